/** Random histories of writers: crashes, takeovers, lost replies, duplicates and outages between writes of every kind. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Durability, WriterOptions } from '../../src/writer/options.ts'
import { settle } from '../support/manual-clock.ts'
import { anyStep, type Step } from './history-steps.ts'
import { type Checks, expectPrefix, type Life, WriterHistory } from './writer-history.ts'
import { refuseUnhandledRejections } from './writer-rig.ts'

refuseUnhandledRejections()

const options = fc.record({
	durability: fc.constantFrom<Durability>('memory', 'committed'),
	flushIntervalMs: fc.constantFrom(0, 50),
	inlineMaxBytes: fc.constantFrom(0, 4_096, 1_048_576),
	maxCommitsInFlight: fc.constantFrom(1, 2, 4),
	maxCommitsPerSecond: fc.constantFrom(2, 1_000),
	codec: fc.constantFrom('none' as const, 'lz4' as const),
})

async function runHistory(
	seed: number,
	settings: WriterOptions,
	steps: readonly Step[],
	checks?: Checks,
): Promise<number> {
	const history = new WriterHistory(seed, {
		...settings,
		blobThresholdBytes: 1_024,
		memtableMaxBytes: 65_536,
		writeBufferMaxBytes: 524_288,
	})
	await history.open()
	for (const each of steps) {
		await history.run(each)
		// Half of the time what was begun gets somewhere before the next step.
		if (seed % 2 === 0) await settle()
	}
	return await history.end(checks)
}

describe('random histories of writers', () => {
	test('hold a prefix of what was accepted, with everything that was acknowledged as durable', async () => {
		let entries = 0
		await fc.assert(
			fc.asyncProperty(
				fc.nat(),
				options,
				fc.array(anyStep, { minLength: 1, maxLength: 60, size: 'max' }),
				async (seed, settings, steps) => {
					entries += await runHistory(seed, settings, steps)
				},
			),
			{ numRuns: Number(process.env.WRITER_HISTORIES ?? 120) },
		)
		expect(entries).toBeGreaterThan(200)
	})

	const steps: Step[] = [
		{ kind: 'put', key: 1, bytes: 10, durable: false },
		{ kind: 'batch', keys: [1, 2, 3], bytes: 10, durable: true },
		{ kind: 'drain' },
		{ kind: 'put', key: 1, bytes: 2_000, durable: false },
		{ kind: 'reopen' },
	]
	const wrong: Record<string, Checks['history']> = {
		'a lost entry': entries => entries.slice(0, -1),
		'an entry with another value': entries =>
			entries.map(entry => (entry.seq === 2 ? { ...entry, value: 'x' } : entry)),
		'two entries in each other’s place': ([first, second, ...others]) =>
			first && second ? [second, first, ...others] : [],
	}
	for (const [name, history] of Object.entries(wrong)) {
		test(`the check finds ${name}`, async () => {
			expect(await runHistory(2, { durability: 'memory' }, steps)).toBe(5)
			await expect(runHistory(2, { durability: 'memory' }, steps, { history })).rejects.toThrow()
		})
	}
	test('the check finds half a batch', () => {
		const accepted = [1, 2, 2].map(call => ({ key: 'k', value: 'v', expiresAtMs: 0, call }))
		const committed = accepted.map((entry, i) => ({
			...entry,
			seq: i + 1,
			isBlob: false,
			commit: { epoch: 1, slot: 0 },
		}))
		const life = { accepted, durable: 1 } as unknown as Life
		expect(() => expectPrefix(life, committed.slice(0, 1))).not.toThrow()
		expect(() => expectPrefix(life, committed)).not.toThrow()
		expect(() => expectPrefix(life, committed.slice(0, 2))).toThrow('a batch is whole')
		expect(() => expectPrefix(life, [])).toThrow('acknowledged')
	})
})
