/**
 * When durable writes are committed: at once while fewer than `maxCommitsInFlight` commits are on their way, otherwise when
 * the oldest of them has ended; on average never more than `maxCommitsPerSecond`. Whoever asks before the commit begins
 * rides along.
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

/** Timers are good to a millisecond: what is due sooner begins at once, and the next one waits the longer for it. */
const SHORTEST_SLEEP_MS = 1

export class GroupCommit {
	readonly #options: GroupCommitOptions
	readonly #ending = new AbortController()
	/** The commit that has not begun: still to be joined. */
	#next: Promise<LogPosition> | undefined
	/** When the schedule of `maxCommitsPerSecond` lets it begin. */
	#nextStartMs = Number.NEGATIVE_INFINITY

	constructor(options: GroupCommitOptions) {
		this.#options = options
	}

	/** Resolves when all that is accepted by now is durable. */
	join(): Promise<LogPosition> {
		this.#next ??= this.#commit()
		return this.#next
	}

	/** The commit that waits for its turn begins now. Resolves when it has ended, in whatever way. */
	async end(): Promise<void> {
		this.#ending.abort()
		await this.#next?.catch(() => undefined)
	}

	async #commit(): Promise<LogPosition> {
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
		this.#nextStartMs = Math.max(this.#nextStartMs, clock.monotonicMs()) + 1000 / maxCommitsPerSecond
		return await this.#options.flush()
	}

	async #untilDue(): Promise<void> {
		const { clock } = this.#options
		const waitMs = this.#nextStartMs - clock.monotonicMs()
		if (waitMs < SHORTEST_SLEEP_MS || this.#ending.signal.aborted) return
		await sleep(clock, waitMs, this.#ending.signal).catch(() => undefined)
	}
}
