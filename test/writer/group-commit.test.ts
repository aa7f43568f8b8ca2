/** When commits begin and riders are told, on a clock that is moved by hand: a commit takes as long as the test says. */
import { describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/log/log-position.ts'
import { GroupCommit } from '../../src/writer/group-commit.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

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

describe('riders', () => {
	/** Clients that each write again as soon as they are told; answers the order in which they were told. */
	const clients = async (commits: Commits, count: number, writes: number): Promise<number[]> => {
		const told: number[] = []
		const running = Array.from({ length: count }, async (_, client) => {
			for (let i = 0; i < writes; i++) {
				await commits.group.join()
				told.push(client)
			}
		})
		for (let i = 0; i < 2 * writes; i++) await commits.clock.advance(COMMIT_MS)
		await Promise.all(running)
		return told
	}

	test('of one small commit ride the next one together', async () => {
		const commits = new Commits()
		await clients(commits, 1024, 6)
		expect(commits.begun).toBe(6)
	})

	test('of a large commit are told in parts, and ride as many commits as begin at once, in their order', async () => {
		const commits = new Commits()
		const told = await clients(commits, 8192, 6)
		expect(commits.begun).toBeGreaterThanOrEqual(1 + 4 * 5)
		expect(commits.mostInFlight).toBeLessThanOrEqual(8)
		const order = Array.from({ length: 8192 }, (_, client) => client)
		for (let i = 0; i < told.length; i += 8192) expect(told.slice(i, i + 8192)).toEqual(order)
	})

	test('are told at once where telling them takes longer than a commit', async () => {
		const commits = new Commits()
		// Each turn of the event loop takes more than a commit: the machine is busy with the riders.
		const yieldToIo = commits.clock.yieldToIo.bind(commits.clock)
		let turns = 0
		commits.clock.yieldToIo = async () => {
			turns++
			await yieldToIo()
			await commits.clock.advance(2 * COMMIT_MS)
		}
		for (let round = 0; round < 3; round++) {
			const before = turns
			const told = Promise.all(Array.from({ length: 8192 }, () => commits.group.join())).then(() => true)
			while (!(await Promise.race([told, settle()]))) await commits.clock.advance(COMMIT_MS)
			await commits.group.end()
			// One before the commit begins, one after its riders were told; the first time nothing is known of either.
			if (round > 0) expect(turns - before).toBe(2)
		}
	})

	test('of a commit that failed are all told so, and the end waits until all are told', async () => {
		const clock = new ManualClock()
		const failure = new Error('no store')
		const group = new GroupCommit({
			clock,
			maxCommitsInFlight: 8,
			maxCommitsPerSecond: 1000,
			inFlight: () => 0,
			oldestCommit: () => undefined,
			flush: () => Promise.reject(failure),
		})
		const riders = Array.from({ length: 3000 }, () => group.join())
		const outcomes = Promise.allSettled(riders)
		await group.end()
		for (const outcome of await outcomes) expect(outcome).toEqual({ status: 'rejected', reason: failure })
	})
})
