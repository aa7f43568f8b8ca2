/** How long after a commit its changes come in a process that polls, by round trips: a store each of whose requests takes 25 ms. */
import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/host/clock.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'

const ROUND_TRIP_MS = 25

interface Lags {
	/** From when a commit became visible. */
	readonly longestMs: number
	readonly requests: string[]
	readonly tookMs: number
}

/**
 * A tail that polls each `intervalMs` while commits come, `apartMs(i)` after one another. `lookMs`: when within a request the store looks.
 */
async function follow(
	intervalMs: number,
	lookMs: number,
	commits: number,
	apartMs: (i: number) => number,
): Promise<Lags> {
	const fixture = await CommitFixture.create()
	const { tails } = await fixture.readerTails()
	const { clock } = fixture.host
	fixture.store.onGet = async (_key, run) => {
		await sleep(clock, lookMs)
		const found = await run()
		await sleep(clock, ROUND_TRIP_MS - lookMs)
		return found
	}
	const iterator = tails.changes({ from: 'now', pollIntervalMs: intervalMs })[Symbol.asyncIterator]()
	const cameMs: number[] = []
	const following = (async () => {
		while (cameMs.length < commits) {
			for (const _change of (await iterator.next()).value ?? []) cameMs.push(clock.monotonicMs())
		}
	})()
	await clock.advance(1000)
	fixture.takeCalls()
	const committedMs: number[] = []
	for (let i = 0; i < commits; i++) {
		committedMs.push(clock.monotonicMs())
		await fixture.commit([put(`k${i}`, '')])
		await clock.advance(apartMs(i))
	}
	const requests = fixture.takeCalls().filter(call => call.startsWith('get log/'))
	const tookMs = clock.monotonicMs() - (committedMs[0] ?? 0)
	await fixture.until(following)
	await iterator.return()
	return { longestMs: Math.max(...cameMs.map((ms, i) => ms - (committedMs[i] ?? 0))), requests, tookMs }
}

// The longest: the store has just looked, looks again when the next poll has begun, and its answer is under way for the rest of a round trip.
describe.each([0, 12, 25])('where the store looks %d ms after it was asked', lookMs => {
	describe.each([5, 20, 60, 200])('and is polled each %d ms', intervalMs => {
		// Or one behind the other where the interval is shorter than a round trip.
		const apartMs = Math.max(intervalMs, ROUND_TRIP_MS)
		const longestMs = apartMs + ROUND_TRIP_MS - lookMs

		test('a commit comes with the next poll, whenever it is made, and costs two requests more', async () => {
			const lone = await follow(intervalMs, lookMs, 60, i => 400 + i)
			expect(lone.longestMs).toBeLessThanOrEqual(longestMs)
			expect(lone.requests.length).toBeLessThanOrEqual(lone.tookMs / apartMs + 2 * 60 + 1)
		})

		test('so do commits that keep coming', async () => {
			const many = await follow(intervalMs, lookMs, 120, i => 42 + (i % 7))
			expect(many.longestMs).toBeLessThanOrEqual(longestMs)
		})
	})
})
