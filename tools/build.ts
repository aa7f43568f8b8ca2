/**
 * Builds the package: `npm run build [-- --out folder]`, into `dist` by default.
 *
 * Steps: empty the output folder; compile `src` and `workers` with tsconfig.build.json (a type error fails the build and
 * leaves nothing behind); let the declarations name `.js` files, as the compiler already does in the code; check that
 * every source has its two outputs, that nothing names a `.ts` file, and that package.json points at what is there.
 *
 * No source maps: types are the only thing that is taken away, comments stay, so the output reads like its source, and
 * the package stays at half the size.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { field, isNode, listFiles, parseSource, type SyntaxNode, visit } from './source-tree.ts'

const ROOT = join(import.meta.dirname, '..')
const BUILT_FOLDERS = ['src', 'workers']
const LOCAL_TS = /^\.{1,2}\/.*(?<!\.d)\.ts$/

/** Builds into `outFolder`, which is emptied first. Throws with what the compiler said. */
export function build(outFolder: string): void {
	rmSync(outFolder, { recursive: true, force: true })
	compile(outFolder)
	const outputs = listFiles(outFolder, BUILT_FOLDERS)
	for (const path of outputs.filter(output => output.endsWith('.d.ts'))) nameJsFiles(join(outFolder, path))
	checkOutputs(outFolder, outputs)
}

function compile(outFolder: string): void {
	const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
	const args = [compiler, '--project', join(ROOT, 'tsconfig.build.json'), '--outDir', outFolder]
	const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
	if (error !== undefined) throw error
	if (status === 0) return
	rmSync(outFolder, { recursive: true, force: true })
	throw new Error(`the build failed, tsc ended with ${status}\n${stdout}${stderr}`)
}

/** Positions of the string literals of `text` that name a local `.ts` file to import. */
function localTsSpecifiers(path: string, text: string): SyntaxNode[] {
	const found: SyntaxNode[] = []
	visit(parseSource(path, text).program, node => {
		for (const source of [field(node, 'source'), field(node, 'argument')]) {
			if (!isNode(source)) continue
			const value = field(source, 'value')
			if (typeof value === 'string' && LOCAL_TS.test(value)) found.push(source)
		}
	})
	return found
}

/** TypeScript would follow `./a.ts` in a declaration to `a.d.ts`; other tools look for the file that is named. */
function nameJsFiles(path: string): void {
	let text = readFileSync(path, 'utf8')
	for (const { start, end } of localTsSpecifiers(path, text).reverse()) {
		text = text.slice(0, start) + text.slice(start, end).replace(/\.ts(['"])$/, '.js$1') + text.slice(end)
	}
	writeFileSync(path, text)
}

function checkOutputs(outFolder: string, outputs: readonly string[]): void {
	const sources = listFiles(ROOT, BUILT_FOLDERS).filter(path => path.endsWith('.ts'))
	const expected = sources.flatMap(path => [path.replace(/\.ts$/, '.js'), path.replace(/\.ts$/, '.d.ts')])
	if (expected.length === 0) throw new Error('there is nothing to build')
	const faults = expected.filter(path => !outputs.includes(path)).map(path => `${path} was not written`)
	for (const path of outputs) {
		const text = readFileSync(join(outFolder, path), 'utf8')
		for (const { start, end } of localTsSpecifiers(path, text)) faults.push(`${path} imports ${text.slice(start, end)}`)
	}
	for (const target of exportTargets()) {
		if (!existsSync(join(outFolder, target.replace(/^\.\/dist\//, '')))) faults.push(`package.json names ${target}`)
	}
	if (faults.length > 0) throw new Error(`the build is not whole:\n${faults.join('\n')}`)
}

/** The files below `dist` that `exports` and `bin` of package.json name. */
export function exportTargets(): string[] {
	const manifest: { readonly exports: unknown; readonly bin?: unknown } = JSON.parse(
		readFileSync(join(ROOT, 'package.json'), 'utf8'),
	)
	const targets: string[] = []
	const collect = (value: unknown): void => {
		if (typeof value === 'string' && value.startsWith('./dist/')) targets.push(value)
		if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) collect(inner)
	}
	collect(manifest.exports)
	collect(manifest.bin)
	return targets
}

if (process.argv[1] === import.meta.filename) {
	const { values } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, 'dist') } } })
	const outFolder = resolve(values.out)
	build(outFolder)
	console.log(`built ${listFiles(outFolder, BUILT_FOLDERS).length} files`)
}
