/**
 * When durable writes are committed.
 *
 * A commit begins at once while few are on their way: half of `maxCommitsInFlight`. The others keep their distance: they are
 * spread over the time that a commit takes, so that one begins soon, whenever somebody comes. (All of them at once, and
 * whoever comes next waits for as long as a commit takes.) Whoever asks before a commit begins rides along. On average
 * never more than `maxCommitsPerSecond` begin.
 */
import { type Clock, sleep } from '../host/clock.ts'
import { Ending } from '../host/ending.ts'
import type { LogPosition } from '../log/log-position.ts'

export interface GroupCommitOptions {
	readonly clock: Clock
	readonly maxCommitsInFlight: number
	readonly maxCommitsPerSecond: number
	/** Commits that are on their way, and the end of the oldest of them. */
	inFlight(): number
	oldestCommit(): Promise<LogPosition> | undefined
	/** Freezes what was accepted and resolves when it is durable. */
	flush(): Promise<LogPosition>
}

/** Timers are good to a millisecond: what is due sooner begins at once, and the next one waits the longer for it. */
const SHORTEST_SLEEP_MS = 1
/** What a commit takes is the least that one took, this much more after each that took longer: 15 of them double it. */
const COMMIT_GROWTH = 1.05

export class GroupCommit {
	readonly #options: GroupCommitOptions
	readonly #ending = new Ending()
	/** How many commits begin at once, whenever; the others are spread. */
	readonly #promptCommits: number
	/** The commit that has not begun: still to be joined. */
	#next: Promise<void> | undefined
	/** When the schedule of `maxCommitsPerSecond` lets it begin. */
	#nextStartMs = Number.NEGATIVE_INFINITY
	#lastStartMs = Number.NEGATIVE_INFINITY
	/** What a commit takes when it waits for nothing but the store; see `COMMIT_GROWTH`. 0: none has ended. */
	#commitMs = 0

	constructor(options: GroupCommitOptions) {
		this.#options = options
		this.#promptCommits = Math.ceil(options.maxCommitsInFlight / 2)
	}

	/** Resolves when all that is accepted by now is durable. Whoever rides one commit shares the promise. */
	join(): Promise<void> {
		this.#next ??= this.#commit()
		return this.#next
	}

	/** The commit that waits for its turn begins now. Resolves when it has ended, in whatever way. */
	async end(): Promise<void> {
		this.#ending.end()
		await this.#next?.catch(() => undefined)
	}

	async #commit(): Promise<void> {
		const { clock, maxCommitsInFlight, maxCommitsPerSecond } = this.#options
		try {
			// Whoever writes in the same turn of the event loop rides along.
			await clock.yieldToIo()
			// Once is enough: each commit that begins here has seen another one end. Meanwhile others may freeze what we are
			// to commit; waiting for fewer commits on their way might then never end.
			if (this.#options.inFlight() >= maxCommitsInFlight) await this.#options.oldestCommit()
			await this.#untilDue()
		} finally {
			this.#next = undefined
		}
		const startMs = clock.monotonicMs()
		this.#nextStartMs = Math.max(this.#nextStartMs, startMs) + 1000 / maxCommitsPerSecond
		this.#lastStartMs = startMs
		await this.#options.flush()
		const tookMs = clock.monotonicMs() - startMs
		this.#commitMs = this.#commitMs === 0 ? tookMs : Math.min(tookMs, this.#commitMs * COMMIT_GROWTH)
	}

	async #untilDue(): Promise<void> {
		const { clock } = this.#options
		const waitMs = Math.max(this.#nextStartMs, this.#spreadStartMs()) - clock.monotonicMs()
		if (waitMs < SHORTEST_SLEEP_MS || this.#ending.isOver) return
		await sleep(clock, waitMs, this.#ending.signal).catch(() => undefined)
	}

	/** With S commits to be spread over the time that one takes, whoever comes waits for an S-th of it at the longest. */
	#spreadStartMs(): number {
		const spreadCommits = this.#options.maxCommitsInFlight - this.#promptCommits
		// One alone would wait for the end of another.
		if (spreadCommits < 2 || this.#options.inFlight() < this.#promptCommits) return Number.NEGATIVE_INFINITY
		return this.#lastStartMs + this.#commitMs / spreadCommits
	}
}
