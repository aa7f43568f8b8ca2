/** When commits begin and riders are told, on a clock that is moved by hand: a commit takes as long as the test says. */
import { describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/log/log-position.ts'
import { GroupCommit } from '../../src/writer/group-commit.ts'
import { ManualClock } from '../support/manual-clock.ts'

const COMMIT_MS = 32
const POSITION: LogPosition = { epoch: 1, slot: 1 }

/** Commits that take `commitMs` each, and end in the order in which they began. */
class Commits {
	readonly clock = new ManualClock()
	readonly group: GroupCommit
	commitMs = COMMIT_MS
	begun = 0
	mostInFlight = 0
	readonly #inFlight: Promise<LogPosition>[] = []

	constructor(maxCommitsInFlight = 8) {
		this.group = new GroupCommit({
			clock: this.clock,
			maxCommitsInFlight,
			maxCommitsPerSecond: 100_000,
			inFlight: () => this.#inFlight.length,
			oldestCommit: () => this.#inFlight[0],
			flush: () => this.#flush(),
		})
	}

	async #flush(): Promise<LogPosition> {
		this.begun++
		const earlier = this.#inFlight.at(-1)
		const takes = new Promise<void>(resolve => void this.clock.schedule(this.commitMs, resolve))
		const commit = Promise.all([earlier, takes]).then(() => {
			void this.#inFlight.shift()
			return POSITION
		})
		this.#inFlight.push(commit)
		this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight.length)
		return commit
	}

	/** Joins, and answers how long it took by the clock. */
	async timed(): Promise<number> {
		const beganMs = this.clock.monotonicMs()
		await this.group.join()
		return this.clock.monotonicMs() - beganMs
	}
}

const percentile = (samples: readonly number[], percent: number): number =>
	samples.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * samples.length) - 1] ?? Number.NaN

describe('whoever comes, whenever', () => {
	test('waits for a quarter of a commit at the longest, once commits are known: half of that at the median', async () => {
		const commits = new Commits()
		const waits: Promise<number>[] = []
		for (let ms = 0; ms < 20 * COMMIT_MS; ms++) {
			waits.push(commits.timed())
			await commits.clock.advance(1)
		}
		await commits.clock.advance(2 * COMMIT_MS)
		const settled = (await Promise.all(waits)).slice(3 * COMMIT_MS)
		expect(percentile(settled, 50)).toBeLessThanOrEqual(1.2 * COMMIT_MS)
		expect(percentile(settled, 100)).toBeLessThanOrEqual(1.3 * COMMIT_MS)
		expect(commits.mostInFlight).toBeLessThanOrEqual(8)
		// Four or five on their way at a time, as they are spread: no more than are needed for it.
		expect(commits.begun).toBeLessThanOrEqual(20 * 5 + 8)
	})

	test('would wait for half a commit at the median, were all of them begun at once: the control', async () => {
		// With three in flight none is kept apart.
		const commits = new Commits(3)
		const waits: Promise<number>[] = []
		for (let ms = 0; ms < 20 * COMMIT_MS; ms++) {
			waits.push(commits.timed())
			await commits.clock.advance(1)
		}
		await commits.clock.advance(2 * COMMIT_MS)
		const settled = (await Promise.all(waits)).slice(3 * COMMIT_MS)
		expect(percentile(settled, 50)).toBeGreaterThanOrEqual(1.4 * COMMIT_MS)
	})

	test('waits for nothing while few commits are on their way, however long they take', async () => {
		const commits = new Commits()
		await Promise.all([commits.group.join(), commits.clock.advance(COMMIT_MS)])
		const waits: Promise<number>[] = []
		for (let i = 0; i < 4; i++) {
			waits.push(commits.timed())
			await commits.clock.advance(1)
		}
		expect(commits.begun).toBe(5)
		await commits.clock.advance(COMMIT_MS)
		expect(await Promise.all(waits)).toEqual([COMMIT_MS, COMMIT_MS, COMMIT_MS, COMMIT_MS])
	})

	test('is told in time again after commits that took long', async () => {
		const commits = new Commits()
		commits.commitMs = 100 * COMMIT_MS
		for (let i = 0; i < 3; i++) await Promise.all([commits.group.join(), commits.clock.advance(100 * COMMIT_MS)])
		commits.commitMs = COMMIT_MS
		for (let i = 0; i < 5; i++) await Promise.all([commits.group.join(), commits.clock.advance(COMMIT_MS)])
		const waits: Promise<number>[] = []
		for (let i = 0; i < 8; i++) {
			waits.push(commits.timed())
			await commits.clock.advance(1)
		}
		await commits.clock.advance(3 * COMMIT_MS)
		expect(Math.max(...(await Promise.all(waits)))).toBeLessThanOrEqual(1.3 * COMMIT_MS)
	})
})

test('whoever rides one commit shares it, and a failure of it', async () => {
	const commits = new Commits()
	const riders = Array.from({ length: 3000 }, () => commits.group.join())
	await commits.clock.advance(COMMIT_MS)
	await Promise.all(riders)
	expect(commits.begun).toBe(1)
	const failure = new Error('no store')
	const failing = new GroupCommit({
		clock: commits.clock,
		maxCommitsInFlight: 8,
		maxCommitsPerSecond: 1000,
		inFlight: () => 0,
		oldestCommit: () => undefined,
		flush: () => Promise.reject(failure),
	})
	const outcomes = Promise.allSettled(Array.from({ length: 3 }, () => failing.join()))
	await failing.end()
	for (const outcome of await outcomes) expect(outcome).toEqual({ status: 'rejected', reason: failure })
})
