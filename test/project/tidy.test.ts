/**
 * Holds the bans, sizes and names of the style. The judge is in tidy-rules.ts; each of its rules is shown to bite on a
 * planted piece of code, and to leave alone the piece of code that looks like it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseSource, readSources } from '../../tools/source-tree.ts'
import { LONG_FILES, REAL_TIME_TESTS } from './tidy-exceptions.ts'
import { judgeFile, judgeLengths, judgeText, type TidyViolation } from './tidy-rules.ts'

const ROOT = join(import.meta.dirname, '../..')
const CODE_FOLDERS = ['src', 'workers', 'test', 'tools', 'bench', 'examples']
const MIN_FILES = 60
const MIN_TEXTS = 80

const show = ({ path, line, what }: TidyViolation): string => `${path}:${line} ${what}`

/** What git has, or would add: the texts that a reader of the project gets. */
function listTexts(): string[] {
	const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
		cwd: ROOT,
		encoding: 'utf8',
	})
	const isText = /\.(?:ts|mjs|js|json|md|txt|sh|yml|yaml)$|\/run$|^\.[a-z]+(?:rc|ignore)?$/
	return list
		.split('\n')
		.filter(path => isText.test(path) && path !== 'package-lock.json' && existsSync(join(ROOT, path)))
}

describe('the code of the project', () => {
	const files = readSources(ROOT, CODE_FOLDERS)

	test('contains nothing that the style bans', () => {
		const violations = files.flatMap(file =>
			judgeFile(file, file.path.startsWith('src/host/') || REAL_TIME_TESTS[file.path] !== undefined),
		)
		expect(violations.map(show)).toEqual([])
	})

	test('asks the machine for time in tests only where the list of exceptions says why', () => {
		const needless = Object.keys(REAL_TIME_TESTS).filter(path => {
			const file = files.find(known => known.path === path)
			return file === undefined || judgeFile(file, false).length === 0
		})
		expect(needless).toEqual([])
	})

	test('stands in files of bearable length', () => {
		expect(judgeLengths(files, LONG_FILES).map(show)).toEqual([])
	})

	test('was really looked at', () => {
		expect(files.length).toBeGreaterThan(MIN_FILES)
		expect(files.filter(file => file.path.startsWith('src/')).length).toBeGreaterThan(MIN_FILES / 2)
	})

	test('and its texts name no folder of a machine', () => {
		const texts = listTexts()
		expect(texts.length).toBeGreaterThan(MIN_TEXTS)
		expect(texts.flatMap(path => judgeText(path, readFileSync(join(ROOT, path), 'utf8'))).map(show)).toEqual([])
	})
})

const HEADER = '/** A table of planted faults. */\n'
const PLANTED_PATH = 'src/log/planted.ts'
const judge = (code: string, path = PLANTED_PATH, header = HEADER): string[] =>
	judgeFile(parseSource(path, header + code)).map(violation => violation.what)

/** Code that must be found, and the words that name it. */
const FOUND: readonly (readonly [code: string, what: string, path?: string])[] = [
	['export const t = Date.now()', 'Date.now: take a Clock'],
	['export const t = globalThis.Date.now()', 'Date.now: take a Clock'],
	["export const t = Date['now']()", 'Date.now: take a Clock'],
	['export const { now } = { now: Date.now }', 'Date.now: take a Clock'],
	['export const t = new Date()', 'new Date(): take a Clock'],
	['export const t = performance.now()', 'performance.now: take a Clock'],
	['export const t = process.hrtime.bigint()', 'process.hrtime: take a Clock'],
	['setTimeout(() => {}, 1)', 'setTimeout: take a Clock'],
	['globalThis.setTimeout(() => {}, 1)', 'setTimeout: take a Clock'],
	['export const later = setInterval', 'setInterval: take a Clock'],
	['await new Promise(setImmediate)', 'setImmediate: take a Clock'],
	['export const s = AbortSignal.timeout(5)', 'AbortSignal.timeout: take a Clock'],
	["import { scheduler } from 'node:timers/promises'\nexport { scheduler }", 'node:timers/promises: take a Clock'],
	['await new Promise(resolve => setTimeout(resolve, 5))', 'setTimeout: take a Clock', 'test/log/planted.test.ts'],
	['export const r = Math.random()', 'Math.random: take a Random', 'test/support/planted.ts'],
	['export const r = Math.random()', 'Math.random: take a Random'],
	["import { randomBytes } from 'node:crypto'", 'randomBytes: take a Random'],
	["import * as c from 'node:crypto'\nexport const b = c.randomBytes(3)", 'randomBytes: take a Random'],
	['export const u = crypto.randomUUID()', 'randomUUID: take a Random', 'workers/planted.ts'],
	['export const a = (x: any): unknown => x', 'any: unknown'],
	['export const a: Record<string, any> = {}', 'any: unknown', 'test/log/planted.test.ts'],
	['export const a = [1][0]!', '!: a condition'],
	['export enum Kind { A }', 'enum: a union'],
	['export namespace Space { export const a = 1 }', 'namespace: a module'],
	['export default 1', 'default export: a named export'],
	["console.log('x')", 'console: publish'],
	["globalThis.console.log('x')", 'console: publish', 'workers/planted.ts'],
	['// TODO make it work', 'left-over'],
	['/* FIXME(because of a reason): it */', 'left-over'],
	['// @ts-expect-error\nexport const a = 1', 'suppression'],
	['// @ts-ignore because it must be\nexport const a = 1', 'suppression'],
	['// biome-ignore lint/suspicious/noExplicitAny\nexport const a = 1', 'suppression'],
	['// oxlint-disable no-console\nexport const a = 1', 'suppression'],
	['export const a = 1', 'file name: name the one concept', 'src/log/utils.ts'],
	['export const a = 1', 'file name: name the one concept', 'test/log/test-helpers.ts'],
	['export const a = 1', 'file name: name the one concept', 'src/log/log-types.ts'],
	['export const a = 1', 'file name: kebab-case', 'src/log/FencedLog.ts'],
	["test.only('a', () => {})", 'test.only: delete', 'test/log/planted.test.ts'],
	["describe.skip('a', () => {})", 'describe.skip: delete', 'test/log/planted.test.ts'],
	["it.concurrent.skip.each([1])('a', () => {})", 'it.skip: delete', 'test/log/planted.test.ts'],
	["test.todo('a')", 'test.todo: delete', 'test/log/planted.test.ts'],
	['export const f = (): unknown => ({ get a() { return 1 } })', 'accessor: a class'],
	[
		'export function f(): unknown {\n\tfunction* g(): Generator<number> { yield 1 }\n\treturn g()\n}',
		'generator: a method',
	],
	[
		'export const f = (): unknown => async function* () { yield 1 }',
		'generator: a method',
		'test/simulation/planted.ts',
	],
	[
		'export function f(a: { b: unknown }): void { a.b = () => a }',
		'assigned function: give it a name',
		'workers/planted.ts',
	],
	[`export function long(): void {\n${'\t//\n'.repeat(69)}}`, 'function of 71 lines'],
	[
		`describe('a', () => {\n${'\t//\n'.repeat(69)}look(() => test('b', () => {}))\n})`,
		'function of 72 lines',
		'test/log/planted.test.ts',
	],
	[`test('a', () => {\n${'\t//\n'.repeat(69)}})`, 'function of 71 lines', 'test/log/planted.test.ts'],
]

/** Code that looks like a fault and is none. */
const LEFT_ALONE: readonly (readonly [code: string, path?: string])[] = [
	['export const t = Date.now() + Math.random()', 'src/host/planted.ts'],
	['await new Promise(resolve => setImmediate(resolve))', 'test/log/planted.test.ts'],
	['export const t = Date.now() + performance.now()', 'bench/planted.ts'],
	["export const t = 'Date.now() is banned' // Date.now, setTimeout"],
	['export const t = new Date(5).toISOString()'],
	['export const t = { setTimeout: 1, console: 2 }.setTimeout'],
	['export const clock = { nowMs: () => 1 }\nexport const now = clock.nowMs()'],
	['export const anything = (x: unknown): unknown => x'],
	['export const not = !true'],
	[
		"declare const brand: unique symbol\nexport type Id = string & { readonly [brand]: true }\nexport const a = 'a' as Id",
	],
	['export default 1', 'workers/main.ts'],
	['export default 1', 'vitest.config.ts'],
	["console.log('x')", 'bench/planted.ts'],
	["console.log('x')", 'src/cli/planted.ts'],
	['// TODO(waits for the cloud stores): multipart uploads'],
	['// @ts-expect-error the type forbids what is tested here\nexport const a = 1', 'test/log/planted.test.ts'],
	['// oxlint-disable-next-line no-console -- the command line prints\nexport const a = 1'],
	["test.skipIf(process.platform === 'win32')('a', () => {})", 'test/log/planted.test.ts'],
	[
		"export const a = new Set([1]).has(1)\nqueue.only('b')\ndeclare const queue: { only(x: string): void }",
		'test/log/planted.test.ts',
	],
	['export const a = 1', 'src/sst/typed-commons.ts'],
	[
		'export const once = { get a() { return 1 } }\nexport class A { *b(): Generator<number> { yield 1 } get c() { return 1 } }',
	],
	['export function* g(): Generator<number> { yield 1 }'],
	['export const f = (a: { b: unknown }): void => { const b = () => a\n a.b = b }'],
	['export const f = (): unknown => ({ get a() { return 1 } })', 'test/log/planted.test.ts'],
	[`export function long(): void {\n${'\t//\n'.repeat(68)}}`],
	[`describe('a', () => {\n${'\t//\n'.repeat(300)}test('b', () => {})\n})`, 'test/log/planted.test.ts'],
	[
		`export function suite(): void {\n${'\t//\n'.repeat(300)}test.each([1])('b', () => {})\n}`,
		'test/log/planted.test.ts',
	],
]

describe('the judge of tidiness', () => {
	for (const [code, what, path] of FOUND) {
		test(`finds ${JSON.stringify(code.slice(0, 80))} in ${path ?? PLANTED_PATH}`, () => {
			expect(judge(code, path)).toEqual([expect.stringContaining(what)])
		})
	}

	for (const [code, path] of LEFT_ALONE) {
		test(`leaves alone ${JSON.stringify(code.slice(0, 80))} in ${path ?? PLANTED_PATH}`, () => {
			expect(judge(code, path)).toEqual([])
		})
	}

	test('finds a file without a header, and one whose header comes too late or says nothing', () => {
		const missing = [expect.stringContaining('no header')]
		expect(judge('export const a = 1', 'src/log/planted.ts', '')).toEqual(missing)
		expect(judge(`export const a = 1\n${HEADER}`, 'workers/planted.ts', '')).toEqual(missing)
		expect(judge('export const a = 1', 'tools/planted.ts', '/** Planted. */\n')).toEqual(missing)
		expect(judge('export const a = 1', 'test/log/planted.ts', '')).toEqual([])
	})

	test('allows 300 lines, 400 with a reason, and keeps the list of reasons true', () => {
		const lengths = (lineCount: number, reasons: Record<string, string> = {}): string[] =>
			judgeLengths([{ path: 'src/a.ts', lineCount }], reasons).map(show)
		const reasons = { 'src/a.ts': 'one table' }
		expect(lengths(300)).toEqual([])
		expect(lengths(301)).toEqual([expect.stringContaining('give a reason')])
		expect(lengths(301, reasons)).toEqual([])
		expect(lengths(400, reasons)).toEqual([])
		expect(lengths(401, reasons)).toEqual([expect.stringContaining('split it')])
		expect(lengths(300, reasons)).toEqual([expect.stringContaining('out of date')])
		expect(lengths(1, { 'src/gone.ts': 'one table' })).toEqual([expect.stringContaining('not there')])
		expect(parseSource('src/a.ts', `${'//\n'.repeat(299)}//`).lineCount).toBe(300)
		expect(parseSource('src/a.ts', '//\n'.repeat(300)).lineCount).toBe(300)
	})

	test('finds absolute paths of a machine and no others', () => {
		const folder = (name: string): string => ['', name, 'me', 'x.ts'].join('/')
		for (const name of ['work', 'root', 'farm', 'home']) {
			expect(judgeText('README.md', `a\nsee ${folder(name)}`).map(show)).toEqual([
				'README.md:2 absolute path of a machine',
			])
		}
		expect(
			judgeText('a.md', `file:.${folder('work')} src${folder('root')} ${folder('tmp')} \`\${base}${folder('work')}\``),
		).toEqual([])
	})
})
