/**
 * The package as a user gets it: built, packed, judged by publint and attw, installed from the tarball into an empty
 * project, and used there by plain Node.js: README's first code block, and a load whose CPU work must run in threads.
 *
 * The tarball is packed from a copy, so that a build of somebody else's in `dist` is neither used nor disturbed. The
 * project is installed with the lock file's own versions: tarballs that npm has in its cache need no network.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '../../tools/build.ts'
import { parseSource } from '../../tools/source-tree.ts'
import {
	type CodeBlock,
	codeBlocks,
	failureOf,
	type RunResult,
	run,
	runBlock,
	userCompilerOptions,
} from './markdown-blocks.ts'

const ROOT = join(import.meta.dirname, '../..')
const STEP_MAX_MS = 90_000

interface Manifest {
	readonly name: string
	readonly version: string
	readonly files: readonly string[]
	readonly dependencies: Readonly<Record<string, string>>
	readonly peerDependencies: Readonly<Record<string, string>>
	readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
	readonly devDependencies: Readonly<Record<string, string>>
}

interface LockEntry {
	readonly dev?: boolean
	readonly peer?: boolean
	readonly dependencies?: Readonly<Record<string, string>>
	readonly optionalDependencies?: Readonly<Record<string, string>>
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8'))
const manifest = readJson<Manifest>(join(ROOT, 'package.json'))

let folder = ''
let tarball = ''
let project = ''
let packed: readonly string[] = []

/** npm by the Node.js that runs the tests: what stands first in PATH may be an older one. */
function npm(args: readonly string[], cwd: string): Promise<RunResult> {
	const cli = process.env['npm_execpath']
	const isScript = cli !== undefined && /npm-cli\.c?js$/.test(cli)
	return run(isScript ? process.execPath : 'npm', [...(isScript ? [cli] : []), ...args], { cwd, maxMs: STEP_MAX_MS })
}

async function must(step: Promise<RunResult>): Promise<string> {
	const result = await step
	const failure = failureOf(result)
	if (failure !== undefined) throw new Error(failure)
	return result.stdout
}

async function pack(): Promise<void> {
	const copy = join(folder, 'copy')
	mkdirSync(copy)
	build(join(copy, 'dist'))
	for (const name of ['package.json', ...manifest.files.filter(file => file !== 'dist')]) {
		if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
	}
	const answer = await must(npm(['pack', '--ignore-scripts', '--json', '--workspaces=false'], copy))
	const [first]: readonly { filename: string; files: readonly { path: string }[] }[] = JSON.parse(answer)
	if (first === undefined) throw new Error(`npm pack answered ${answer}`)
	tarball = join(copy, first.filename)
	packed = first.files.map(file => file.path)
}

/** What every user installs; the others only who uses the store that they are for. */
const requiredPeers = Object.keys(manifest.peerDependencies).filter(
	name => manifest.peerDependenciesMeta[name]?.optional !== true,
)

/** The lock file of a project that uses the tarball and its peers: the versions of ours, and nothing for developing. */
async function install(): Promise<void> {
	project = join(folder, 'project')
	mkdirSync(project)
	const { packages } = readJson<{ packages: Record<string, LockEntry> }>(join(ROOT, 'package-lock.json'))
	const wanted = new Map<string, LockEntry>()
	const want = (name: string): void => {
		const path = `node_modules/${name}`
		const { dev: _dev, peer: _peer, ...entry } = packages[path] ?? {}
		if (wanted.has(path) || packages[path] === undefined) return
		wanted.set(path, entry)
		for (const next of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) want(next)
	}
	for (const name of [...Object.keys(manifest.dependencies), ...requiredPeers]) want(name)
	const peers = requiredPeers.map(name => [name, manifest.devDependencies[name] ?? '*'])
	const dependencies = { [manifest.name]: `file:${tarball}`, ...Object.fromEntries(peers) }
	const { version, dependencies: ours, peerDependencies, peerDependenciesMeta } = manifest
	const own = { version, resolved: `file:${tarball}`, dependencies: ours, peerDependencies, peerDependenciesMeta }
	const head = { name: 'project', version: '1.0.0', private: true, type: 'module' }
	writeFileSync(join(project, 'package.json'), JSON.stringify({ ...head, dependencies }))
	const lock = {
		...head,
		lockfileVersion: 3,
		requires: true,
		packages: { '': { ...head, dependencies }, [`node_modules/${manifest.name}`]: own, ...Object.fromEntries(wanted) },
	}
	writeFileSync(join(project, 'package-lock.json'), JSON.stringify(lock))
	await must(npm(['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], project))
}

function publint(file: string): Promise<RunResult> {
	const cli = join(ROOT, 'node_modules/publint/src/cli.js')
	return run(process.execPath, [cli, 'run', file, '--strict'], { cwd: folder, maxMs: STEP_MAX_MS })
}

function attw(file: string): Promise<RunResult> {
	const cli = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
	const args = [cli, '--profile', 'esm-only', '--format', 'json', file]
	return run(process.execPath, args, { cwd: folder, maxMs: STEP_MAX_MS })
}

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'isledb-package-'))
	await pack()
	await install()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the tarball', () => {
	test('has the built code, its declarations and the documents, and nothing else', () => {
		expect(packed).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']))
		expect(packed).toEqual(expect.arrayContaining(['dist/src/index.js', 'dist/src/index.d.ts', 'dist/workers/main.js']))
		const known = /^(?:dist\/(?:src|workers)\/.*\.(?:js|d\.ts)|docs\/.*\.(?:md|svg|png)|package\.json|[A-Z]+(?:\.md)?)$/
		expect(packed.filter(path => !known.test(path))).toEqual([])
		expect(packed.filter(path => /(?:^|\/)(?:test|bench|tools|examples|fixtures)\//.test(path))).toEqual([])
	})

	test('imports nothing that its package.json does not declare', () => {
		const declared = new Set([
			manifest.name,
			...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
		])
		const isDeclared = (specifier: string): boolean =>
			specifier.startsWith('.') ||
			specifier.startsWith('node:') ||
			declared.has(specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'))
		const installed = join(project, 'node_modules', manifest.name)
		const edges = packed
			.filter(path => /\.(?:js|d\.ts)$/.test(path))
			.flatMap(path =>
				parseSource(path, readFileSync(join(installed, path), 'utf8')).imports.map(edge => ({ path, ...edge })),
			)
		expect(edges.length).toBeGreaterThan(50)
		expect(edges.filter(({ specifier }) => specifier !== undefined && !isDeclared(specifier))).toEqual([])
		expect(edges.filter(({ specifier }) => specifier !== undefined && builtinModules.includes(specifier))).toEqual([])
	})

	test('is what publint asks of a package', async () => {
		const result = await publint(tarball)
		expect(failureOf(result)).toBeUndefined()
		expect(result.stdout).toContain('All good!')
	})

	/** attw ends with 0 for a package that has no types at all: it has to be asked what it looked at. */
	test('has types that every resolver of modules finds', async () => {
		const result = await attw(tarball)
		expect(failureOf(result)).toBeUndefined()
		const { analysis }: { analysis: { types: unknown; entrypoints: object } } = JSON.parse(result.stdout)
		expect(analysis.types).toMatchObject({ kind: 'included' })
		expect(Object.keys(analysis.entrypoints)).toEqual(expect.arrayContaining(['.', './conformance']))
	})

	test('is judged by tools that refuse a package whose exports lead nowhere', async () => {
		const broken = join(folder, 'broken')
		mkdirSync(broken)
		const exports = { '.': { types: './index.d.ts', default: './missing.js' } }
		writeFileSync(join(broken, 'index.d.ts'), "export * from './nothing.js'\n")
		writeFileSync(
			join(broken, 'package.json'),
			JSON.stringify({ name: 'broken', version: '1.0.0', type: 'module', exports }),
		)
		await must(npm(['pack', '--ignore-scripts'], broken))
		expect((await publint(join(broken, 'broken-1.0.0.tgz'))).exitCode).toBe(1)
		expect((await attw(join(broken, 'broken-1.0.0.tgz'))).exitCode).toBe(1)
	})
})

function firstBlock(): CodeBlock {
	const first = codeBlocks(readFileSync(join(ROOT, 'README.md'), 'utf8')).find(block => block.notRun === undefined)
	if (first === undefined) throw new Error('README has no code block that can be run')
	return first
}

describe('the installed package', () => {
	test("runs README's first code block", async () => {
		expect(failureOf(await runBlock(firstBlock(), project, { maxMs: STEP_MAX_MS }))).toBeUndefined()
	})

	test("has declarations that a strict compiler reads whole, with README's first code block", async () => {
		const compilerOptions = { ...userCompilerOptions(ROOT), skipLibCheck: false }
		writeFileSync(join(project, 'first.ts'), `${firstBlock().code}export {}\n`)
		writeFileSync(join(project, 'conformance.ts'), `export * from '${manifest.name}/conformance'\n`)
		writeFileSync(
			join(project, 'tsconfig.json'),
			JSON.stringify({ compilerOptions, files: ['first.ts', 'conformance.ts'] }),
		)
		const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
		const result = await run(process.execPath, [tsc, '-p', '.'], { cwd: project, maxMs: STEP_MAX_MS })
		expect(failureOf(result)).toBeUndefined()
	})

	test('says which package a cloud store lacks, and how to install it, when exactly that one is missing', async () => {
		const code = `
			import { openStore } from 'isledb'
			const urls = ['s3://bucket', 'gs://bucket', 'azblob://container?account=account']
			const failures = await Promise.allSettled(urls.map(url => openStore(url)))
			console.log(JSON.stringify(failures.map(({ reason }) => reason.code + ' ' + reason.message)))`
		const result = await runBlock({ language: 'js', code, line: 0, notRun: undefined }, project, { maxMs: STEP_MAX_MS })
		expect(failureOf(result)).toBeUndefined()
		const messages: readonly string[] = JSON.parse(result.stdout)
		for (const [at, name] of ['@aws-sdk/client-s3', '@google-cloud/storage', '@azure/storage-blob'].entries()) {
			expect(messages[at]).toMatch(/^ISLE_UNSUPPORTED /)
			expect(messages[at]).toContain(`npm install ${name}`)
		}
	})

	/** The first process says what it saw of threads; a pool that fell back to its own thread would say it on stderr. */
	test('does its CPU work in worker threads, from dist', async () => {
		const code = `
			import { open } from 'isledb'
			let started = 0
			process.on('worker', () => started++)
			const db = await open('file:./data/threads', { compaction: { l0Tables: 2, targetTableBytes: 1_048_576 } })
			for (let i = 0; i < 20_000; i++) await db.put('key-' + String(i).padStart(8, '0'), 'value-'.repeat(16) + i)
			await db.flush()
			const last = await db.get('key-00019999')
			const { pool } = db.stats()
			for (let i = 0; i < 20_000; i++) await db.put('key-' + String(i).padStart(8, '0'), 'another-'.repeat(16) + i)
			await db.flush()
			while (db.stats().maintenance.state !== 'active') await new Promise(resolve => setTimeout(resolve, 10))
			const { maintenance } = db.stats()
			await db.close()
			console.log(JSON.stringify({ started, last, pool, maintenance }))`
		const block = { language: 'js', code, line: 0, notRun: undefined } as const
		const result = await runBlock(block, project, { maxMs: STEP_MAX_MS })
		expect(failureOf(result)).toBeUndefined()
		expect(result.stderr).toBe('')
		const seen: {
			readonly started: number
			readonly last: string
			readonly pool: { readonly kind: string; readonly completed: number }
			readonly maintenance: { readonly requests?: unknown; readonly deaths: number }
		} = JSON.parse(result.stdout)
		expect(seen.last).toBe(`${'value-'.repeat(16)}19999`)
		expect(seen.started).toBeGreaterThan(0)
		expect(seen.pool.kind).toBe('threads')
		expect(seen.pool.completed).toBeGreaterThan(0)
		// Only in a thread of its own has maintenance a connection of its own.
		expect(seen.maintenance).toMatchObject({ deaths: 0, requests: { total: { failures: 0 } } })
	})
})
