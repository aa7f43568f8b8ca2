/**
 * README's code is true: each block of JavaScript or TypeScript runs against the sources and passes the type check.
 *
 * What a block imports is resolved as a user's project would: `isledb` by the `exports` of package.json, with each built
 * file replaced by its source; rxjs is the one that is installed.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CodeBlock, codeBlocks, failureOf, run, runBlock, userCompilerOptions } from './markdown-blocks.ts'

const ROOT = join(import.meta.dirname, '../..')
const BLOCK_MAX_MS = 30_000

interface Manifest {
	readonly name: string
	readonly exports: Readonly<Record<string, string | { readonly default: string }>>
	readonly peerDependencies: Readonly<Record<string, string>>
	readonly scripts: Readonly<Record<string, string>>
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
let project = ''

/** An empty project in which `isledb` is the sources. Node strips no types below node_modules, so files there point out. */
function makeProject(): string {
	const folder = mkdtempSync(join(tmpdir(), 'isledb-readme-'))
	const installed = join(folder, 'node_modules', manifest.name)
	mkdirSync(installed, { recursive: true })
	const exports: Record<string, { types: string; default: string }> = {}
	for (const [name, target] of Object.entries(manifest.exports)) {
		if (typeof target === 'string') continue
		const source = join(ROOT, target.default.replace('./dist/', '').replace(/\.js$/, '.ts'))
		const file = `${name.replaceAll(/[./]/g, '') || 'index'}`
		writeFileSync(join(installed, `${file}.js`), `export * from ${JSON.stringify(pathToFileURL(source).href)}\n`)
		writeFileSync(join(installed, `${file}.d.ts`), `export * from ${JSON.stringify(source)}\n`)
		exports[name] = { types: `./${file}.d.ts`, default: `./${file}.js` }
	}
	writeFileSync(join(installed, 'package.json'), JSON.stringify({ name: manifest.name, type: 'module', exports }))
	for (const peer of [...Object.keys(manifest.peerDependencies), '@types']) {
		const link = join(folder, 'node_modules', peer)
		mkdirSync(dirname(link), { recursive: true })
		symlinkSync(join(ROOT, 'node_modules', peer), link)
	}
	return folder
}

beforeAll(() => {
	project = makeProject()
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

const runHere = async (block: CodeBlock): Promise<string | undefined> =>
	failureOf(await runBlock(block, join(project, `line-${block.line}`), { maxMs: BLOCK_MAX_MS }))

/** What the compiler says of the blocks; `undefined` when it is content. */
async function typeCheckHere(name: string, blocks: readonly CodeBlock[]): Promise<string | undefined> {
	const folder = join(project, name)
	mkdirSync(folder)
	for (const { line, code } of blocks) writeFileSync(join(folder, `line-${line}.mts`), `${code}export {}\n`)
	const compilerOptions = { ...userCompilerOptions(ROOT), allowImportingTsExtensions: true }
	writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }))
	const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
	return failureOf(await run(process.execPath, [tsc, '-p', '.'], { cwd: folder, maxMs: BLOCK_MAX_MS }))
}

describe('README', () => {
	const blocks = codeBlocks(README)
	const runnable = blocks.filter(block => block.notRun === undefined)
	const others = blocks.filter(block => block.notRun !== undefined)

	test('shows code that can be run', () => {
		expect(runnable.length).toBeGreaterThan(0)
		console.log(`README: ${runnable.length} blocks run, ${others.length} not`)
		for (const { line, notRun } of others) console.log(`README line ${line} is not run: ${notRun}`)
		expect(others.length).toBeLessThanOrEqual(runnable.length)
	})

	test('names commands of npm that exist, and begins from a fresh clone', () => {
		const names = [...README.matchAll(/\bnpm run ([\w:-]+)/g)].map(match => match[1] ?? '')
		expect(names).toContain('demo')
		expect(names.filter(name => manifest.scripts[name] === undefined)).toEqual([])
		expect(README).toContain('npm ci && npm test')
		expect(README).toContain('npm ci && npm run demo')
	})

	for (const block of runnable) {
		test(`runs the block of line ${block.line}`, async () => {
			expect(await runHere(block)).toBeUndefined()
		})
	}

	test('shows code that passes the type check, also where it is not run', async () => {
		expect(await typeCheckHere('types', blocks)).toBeUndefined()
	})
})

describe('the runner of blocks', () => {
	const block = (code: string, language: 'js' | 'ts' = 'ts', line = 1): CodeBlock => ({
		code,
		language,
		line,
		notRun: undefined,
	})

	test('finds blocks of code, their lines, and why some are not run', () => {
		const markdown = [
			'# Title',
			'```ts',
			'const a = 1',
			'',
			'```',
			'text',
			'```sh',
			'npm ci',
			'```',
			'<!-- not run: needs a bucket -->',
			'',
			'~~~js title="x"',
			'```',
			'~~~',
			'  ```typescript',
			'  b()',
			'  ```',
			'<!-- not run: far away -->',
			'text between',
			'```js',
			'```',
		].join('\n')
		expect(codeBlocks(markdown)).toEqual([
			{ language: 'ts', code: 'const a = 1\n\n', line: 3, notRun: undefined },
			{ language: 'js', code: '```\n', line: 13, notRun: 'needs a bucket' },
			{ language: 'ts', code: 'b()\n', line: 16, notRun: undefined },
			{ language: 'js', code: '\n', line: 21, notRun: undefined },
		])
		expect(() => codeBlocks('a\n```ts\nlet a')).toThrow('line 2 is not closed')
	})

	test('is content with a good block, and runs TypeScript with its imports', async () => {
		const good =
			"import { Observable, of } from 'rxjs'\nconst a: Observable<number> = of(1)\na.subscribe()\nawait null\n"
		expect(await runHere(block(good, 'ts', 900_001))).toBeUndefined()
	})

	test('reports a block that throws, that rejects behind its back, or that imports what is not there', async () => {
		expect(await runHere(block("throw new Error('planted')", 'js', 900_002))).toContain('planted')
		expect(await runHere(block("void Promise.reject(new Error('planted'))", 'js', 900_003))).toContain('planted')
		expect(await runHere(block("import 'isledb/nothing'", 'js', 900_004))).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED')
		expect(await runHere(block('await new Promise(() => {})', 'js', 900_005))).toContain('ended with 13')
	})

	test('reports a block whose types are wrong', async () => {
		const wrong = block("import { open } from 'isledb'\nconst a: string = 5\nopen(a, a, a)\n", 'ts', 900_007)
		const failure = await typeCheckHere('wrong-types', [wrong])
		expect(failure).toContain("Type 'number' is not assignable to type 'string'")
		expect(failure).toContain('TS2554')
	})

	test('ends a block that does not end by itself', async () => {
		const endless = block("import { createServer } from 'node:net'\ncreateServer().listen(0)", 'js', 900_006)
		const result = await runBlock(endless, join(project, 'endless'), { maxMs: 500 })
		expect(failureOf(result)).toContain('did not end in time')
	})
})
