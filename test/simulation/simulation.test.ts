/** Runs the simulation in a process of its own: it patches modules as they load, which a test runner does in its own way. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { testSeed } from '../support/seed.ts'
import { keptHistories } from './kept-histories.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'

const PROGRAM = fileURLToPath(new URL('simulate.ts', import.meta.url))
/** Those that need more are looked for by `npm run simulate -- --bugs`. */
const BUG_HISTORIES_MAX = 400
const TIMEOUT_MS = 120_000

function simulate(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
	return new Promise(resolve => {
		execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
			resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
		})
	})
}

test('fresh histories find nothing', { timeout: TIMEOUT_MS }, async ({ annotate }) => {
	const { code, output } = await simulate('--minutes', '0.05', '--seed', String(testSeed()))
	await annotate(output)
	expect(code, output).toBe(0)
	expect(output).toMatch(/^seeds from \d+ on\n[1-9]\d* histories/m)
})

test('every history that once found something finds nothing, and the bug again where it is planted', {
	timeout: TIMEOUT_MS,
}, async () => {
	const { code, output } = await simulate('--found')
	expect(code, output).toBe(0)
	const fine = output.split('\n').filter(line => line.startsWith('fine: '))
	expect(fine.sort()).toEqual(
		keptHistories()
			.map(({ what }) => `fine: ${what}`)
			.sort(),
	)
})

test('a seed gives the same history each time', { timeout: TIMEOUT_MS }, async () => {
	const [first, second] = await Promise.all([
		simulate('--seed', '12', '--kind', 'long', '--histories', '1', '--trace'),
		simulate('--seed', '12', '--kind', 'long', '--histories', '1', '--trace'),
	])
	const steps = (output: string): string[] =>
		output.split('\n').filter(line => /^\d+ \S/.test(line) && !/a second/.test(line))
	expect(steps(first.output).length).toBeGreaterThan(20)
	expect(steps(second.output)).toEqual(steps(first.output))
})

test('planted bugs are found, each in a bounded number of histories', { timeout: TIMEOUT_MS }, async () => {
	const names = PLANTED_BUGS.filter(bug => bug.historiesMax <= BUG_HISTORIES_MAX).map(({ name }) => name)
	expect(names.length).toBeGreaterThanOrEqual(10)
	const { code, output } = await simulate('--bugs', '--only', names.join(','), '--seed', '1')
	for (const name of names) expect(output).toContain(`found ${name} in `)
	expect(code, output).toBe(0)
})

test('a failure prints a shorter history and the command that repeats it', { timeout: TIMEOUT_MS }, async () => {
	const { output } = await simulate('--bug', 'oldest-version-wins', '--seed', '1')
	const command = /^again: npm run simulate -- (.*)$/m.exec(output)?.[1]
	expect(output).toContain('operations and')
	const args = [...(command ?? '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
	const again = await simulate(...args)
	expect(again.code).toBe(1)
	expect(again.output).toContain('0 faults do, too')
})

test('every order in which an owner, a claimer and a collector meet in a log is right, and planted mistakes are found', {
	timeout: TIMEOUT_MS,
}, async () => {
	const { code, output } = await simulate('--orders', '--extent', '0')
	expect(code, output).toBe(0)
	expect(output.match(/^\d+ states, all there are/gm)).toHaveLength(5)
	expect(output.match(/^found /gm)).toHaveLength(7)
})

test('crashes at every request of short histories, and takeovers in many orders, find nothing', {
	timeout: TIMEOUT_MS,
}, async () => {
	const { code, output } = await simulate('--exhaustive', '--delays', '1')
	expect(code, output).toBe(0)
	expect(Number(/^(\d+) crashes/m.exec(output)?.[1])).toBeGreaterThan(300)
})
