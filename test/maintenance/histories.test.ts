/**
 * Random histories of a writer, a reader and maintainers, against a plain list of what was written: see history.ts.
 *
 *     ISLE_HISTORIES=5000 TEST_SEED=1 npm test -- test/maintenance/histories
 *
 * A seed gives the same history each time; a failure prints its seed. To look at one, give it with `ISLE_HISTORIES=1`.
 */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import { systemRandom } from '../../src/host/random.ts'
import { acquireWorkerPool, createInlinePool } from '../../src/index.ts'
import { testSeed } from '../support/seed.ts'
import { type HistoryReport, runHistory } from './history.ts'
import { PLANTED_BUGS } from './history-bugs.ts'

const COUNT = Number(process.env['ISLE_HISTORIES'] ?? 250)
const FIRST_SEED = testSeed()
/** Each planted bug was found within 20 histories of many first seeds. */
const HISTORIES_FOR_A_BUG = 100
/** A history takes 30 ms, and ten times as long where many others want the processor. What hangs is found, not what is slow. */
const TIMEOUT_MS = Math.max(600_000, 3_000 * COUNT)
/** Worker threads make a history take twice as long. */
const IN_BOTH_POOLS = Math.ceil(COUNT / 10)

describe(`histories (TEST_SEED=${FIRST_SEED})`, { timeout: TIMEOUT_MS }, () => {
	test(`${COUNT} of them end as the model says, and leave in the store what its state needs`, async () => {
		const total = { works: 0, deleted: 0, fenced: 0, killed: 0, expiries: 0, mutations: 0 }
		for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed++) {
			const report = await runHistory({ seed })
			expect(report.faults, `TEST_SEED=${seed}`).toEqual([])
			for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += report[name]
		}
		console.log(`TEST_SEED=${FIRST_SEED}: ${COUNT} histories: ${JSON.stringify(total)}`)
		// Nothing of it is rare, or the histories would not be about it.
		if (COUNT < 100) return
		expect(total.works).toBeGreaterThan(COUNT)
		expect(total.deleted).toBeGreaterThan(10 * COUNT)
		expect(total.killed).toBeGreaterThan(COUNT / 10)
		expect(total.fenced).toBeGreaterThan(0)
		expect(total.expiries).toBeGreaterThan(0)
	})

	test('read the same whether this thread or worker threads do the work', async () => {
		const keepsThreads = acquireWorkerPool({ clock: systemClock, random: systemRandom })
		try {
			for (let seed = FIRST_SEED; seed < FIRST_SEED + IN_BOTH_POOLS; seed++) {
				const inline = await runHistory({ seed, isOrderly: true, newPool: createInlinePool })
				const threads = await runHistory({ seed, isOrderly: true, newPool: host => acquireWorkerPool(host) })
				expect(inline.faults, `TEST_SEED=${seed}`).toEqual([])
				// Works run beside the housekeeping: which of them ends first decides how many checkpoints and records there are to delete.
				expect({ ...threads, deleted: 0 }, `TEST_SEED=${seed}`).toEqual({ ...inline, deleted: 0 })
			}
			expect(keepsThreads.stats()).toMatchObject({ kind: 'threads', deaths: 0 })
			expect(keepsThreads.stats().completed).toBeGreaterThan(0)
		} finally {
			await keepsThreads.close()
		}
	})

	test('are the same each time', async () => {
		expect(await runHistory({ seed: FIRST_SEED })).toEqual(await runHistory({ seed: FIRST_SEED }))
	})

	test.each(PLANTED_BUGS)('find a maintainer that %s', async bug => {
		let report: HistoryReport | undefined
		for (let seed = FIRST_SEED; seed < FIRST_SEED + HISTORIES_FOR_A_BUG && !report?.faults.length; seed++) {
			report = await runHistory({ seed, bug })
		}
		expect(report?.faults).not.toEqual([])
	})
})
