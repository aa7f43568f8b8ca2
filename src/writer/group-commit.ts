/**
 * When durable writes are committed: at once while fewer than `maxCommitsInFlight` commits are on their way, otherwise with
 * the next one; never more than `maxCommitsPerSecond`. Whoever asks before the commit begins rides along.
 */
import { type Clock, sleep } from '../host/clock.ts'
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

export class GroupCommit {
	readonly #options: GroupCommitOptions
	#next: Promise<LogPosition> | undefined
	#lastStartMs = Number.NEGATIVE_INFINITY

	constructor(options: GroupCommitOptions) {
		this.#options = options
	}

	/** Resolves when all that is accepted by now is durable. */
	join(): Promise<LogPosition> {
		this.#next ??= this.#commit()
		return this.#next
	}

	async #commit(): Promise<LogPosition> {
		const { clock, maxCommitsInFlight, maxCommitsPerSecond } = this.#options
		try {
			// Whoever writes in the same turn of the event loop rides along.
			await clock.yieldToIo()
			while (this.#options.inFlight() >= maxCommitsInFlight) await this.#options.oldestCommit()
			const waitMs = this.#lastStartMs + 1000 / maxCommitsPerSecond - clock.monotonicMs()
			if (waitMs >= 1) await sleep(clock, waitMs)
		} finally {
			this.#next = undefined
		}
		this.#lastStartMs = clock.monotonicMs()
		return await this.#options.flush()
	}
}
