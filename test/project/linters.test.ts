/**
 * The linters and the compiler find, with the project's own settings, what they are there for. A linter whose type-aware
 * part does not load, or whose settings name no file, says "no problems" as happily as one that looked.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './markdown-blocks.ts'

const ROOT = join(import.meta.dirname, '../..')
const STEP_MAX_MS = 60_000
let folder = ''

const CLEAN = 'export const a = 1\n'
const PLANTED: Readonly<Record<string, string>> = {
	'src/clean.ts': CLEAN,
	'src/floating.ts': "import { stat } from 'node:fs/promises'\n\nexport function look(): void {\n\tstat('a')\n}\n",
	'src/misused.ts':
		'export function each(items: number[]): void {\n\titems.forEach(async item => await Promise.resolve(item))\n}\n',
	'src/thenable.ts': 'export async function wait(): Promise<number> {\n\treturn await 5\n}\n',
	'src/any.ts': 'export const a: any = 1\n',
	'src/console.ts': "console.log('a')\n",
	'src/non-null.ts': 'export const first = (a: number[]): number => a[0]!\n',
	'src/default.ts': 'export default 1\n',
	'src/format.ts': 'export const a = "1";\n',
	'src/long.ts': `export function long(): void {\n${'\tvoid 0\n'.repeat(71)}}\n`,
	'src/enum.ts': 'export enum Kind {\n\tA = 1,\n}\n',
	'src/index-access.ts': 'export const first = (a: number[]): number => a[0]\n',
	'src/undeclared.ts': 'export const sum = (a: number, b: number) => [a, b]\n',
}

beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'isledb-linters-'))
	for (const name of ['biome.json', '.oxlintrc.json', 'tsconfig.json', '.gitignore', 'package.json']) {
		cpSync(join(ROOT, name), join(folder, name))
	}
	symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
	mkdirSync(join(folder, 'src'))
	for (const [path, text] of Object.entries(PLANTED)) writeFileSync(join(folder, path), text)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a tool of the project over the planted files, and gives what it said; it must have found something. */
async function complaints(tool: string, ...args: string[]): Promise<string> {
	const path = join(ROOT, 'node_modules', tool)
	const result = await run(process.execPath, [path, ...args], { cwd: folder, maxMs: STEP_MAX_MS })
	expect(result.tookTooLong).toBe(false)
	expect(result.exitCode).not.toBe(0)
	return result.stdout + result.stderr
}

test('oxlint knows types: promises that nobody waits for, or that stand where none belongs', async () => {
	const said = await complaints('oxlint/bin/oxlint', '--type-aware', '--deny-warnings', '--format=unix')
	expect(said).toMatch(/floating\.ts.*no-floating-promises/)
	expect(said).toMatch(/misused\.ts.*no-misused-promises/)
	expect(said).toMatch(/thenable\.ts.*await-thenable/)
	expect(said).toMatch(/any\.ts.*no-explicit-any/)
	expect(said).toMatch(/console\.ts.*no-console/)
	expect(said).toMatch(/non-null\.ts.*no-non-null-assertion/)
	expect(said).not.toContain('clean.ts')
})

test('biome holds format, length of functions and the bans of the style', async () => {
	const said = await complaints('@biomejs/biome/bin/biome', 'ci', '--colors=off', '--max-diagnostics=none', 'src')
	expect(said).toMatch(/format\.ts\b[^\n]* format/)
	expect(said).toMatch(/long\.ts:\S+ lint\/complexity\/noExcessiveLinesPerFunction/)
	expect(said).toMatch(/any\.ts:\S+ lint\/suspicious\/noExplicitAny/)
	expect(said).toMatch(/non-null\.ts:\S+ lint\/style\/noNonNullAssertion/)
	expect(said).toMatch(/default\.ts:\S+ lint\/style\/noDefaultExport/)
	expect(said).not.toContain('clean.ts')
})

test('the compiler holds erasable syntax, checked indexes and declared exports', async () => {
	const said = await complaints('typescript/bin/tsc', '--noEmit', '--pretty', 'false')
	expect(said).toMatch(/enum\.ts\(1,13\): error TS1294/)
	expect(said).toMatch(/index-access\.ts\(1,47\): error TS2322/)
	expect(said).toMatch(/undeclared\.ts\(1,\d+\): error TS90/)
	expect(said).not.toContain('clean.ts')
})
