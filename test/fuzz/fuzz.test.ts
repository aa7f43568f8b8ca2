/** Runs the fuzzing in a process of its own: it patches modules as they load, and counts what is allocated. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { testSeed } from '../support/seed.ts'
import { FORMATS } from './formats.ts'
import { PLANTED_DAMAGE } from './planted-damage.ts'

const PROGRAM = fileURLToPath(new URL('fuzz.ts', import.meta.url))
const INPUTS = 400

function fuzz(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
	return new Promise(resolve => {
		execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
			resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
		})
	})
}

test('every decoder answers rightly or refuses with a code, whatever its bytes are', async ({ annotate }) => {
	const { code, output } = await fuzz('--inputs', String(INPUTS), '--seed', String(testSeed()))
	await annotate(output)
	expect(code, output).toBe(0)
	for (const { name } of FORMATS) {
		const [, accepted, refused] =
			new RegExp(`^${name} .* (\\d+) accepted, (\\d+) refused`, 'm').exec(output)?.map(Number) ?? []
		expect((accepted ?? 0) + (refused ?? 0), name).toBe(INPUTS)
		// Errors on their way between threads are never refused.
		if (name !== 'wire-error') expect(Math.min(accepted ?? 0, refused ?? 0), name).toBeGreaterThan(5)
	}
})

test('a decoder that lost one of its checks is found', async () => {
	const { code, output } = await fuzz('--controls', '--seed', String(testSeed()))
	for (const { name } of PLANTED_DAMAGE) expect(output).toContain(`found ${name} in `)
	expect(output).not.toContain('NOT FOUND')
	expect(code, output).toBe(0)
})

test('an input is repeated by its numbers', async () => {
	const again = ['--seed', '3', '--format', 'pin', '--planted', 'pin-without-checksum']
	const first = await fuzz(...again, '--inputs', '2000')
	const input = /--input (\d+)/.exec(first.output)?.[1] ?? ''
	const second = await fuzz(...again, '--input', input)
	const found = (output: string): string | undefined => /^FOUND.*\n/m.exec(output)?.[0]
	expect(found(second.output)).toBe(found(first.output))
	expect(second).toMatchObject({ code: 1, output: expect.stringContaining('FOUND in pin') })
})
