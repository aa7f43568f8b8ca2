/**
 * Whether small reads of local files may be made on this thread, or have to go to the thread pool.
 *
 * Why: a read of 4 KiB that the kernel has in memory takes 2 µs here; by way of the pool it takes 25 µs of CPU and two
 * switches between threads. A read that has to wait for a disk is better made in the pool, beside others. Nobody can tell
 * before, so the reads themselves are timed.
 *
 * Steps: reads are made here while they are quick. A few slow ones together stop that for a while, which doubles each time;
 * many quick ones in a row forgive it.
 *
 * Invariants: in one turn of the event loop no more than `TURN_MAX_MS` are spent on reads and what follows from them; the
 * others wait for the next turn, so that other events happen however many reads are asked for.
 */
import type { Clock } from '../host/clock.ts'

/** A read of at most this is copied in about 15 µs. */
export const QUICK_READ_MAX_BYTES = 65_536
/** Of reads here, until other events get their turn. */
const TURN_MAX_MS = 1
/** Longer than from memory: a fast disk was waited for, or another process had the processor. */
const SLOW_MS = 0.06
/**
 * A slow read weighs as much as sixteen quick ones; four of them without quick ones between are a disk. A busy machine that
 * takes the processor away now and then makes one in hundreds slow, which never adds up.
 */
const SLOW_WEIGHT = 16
const SLOW_MAX_WEIGHT = 64
const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 30_000
/** Quick reads in a row after which the next pause is a short one again. */
const FORGIVEN_AFTER_COUNT = 256

export class QuickReads {
	readonly #clock: Clock
	#weight = 0
	#quickInRow = 0
	#pauseMs = FIRST_PAUSE_MS
	#pausedUntilMs = Number.NEGATIVE_INFINITY
	/** When reads of this turn began; undefined before the first. */
	#turnStartedMs: number | undefined
	#turn: Promise<void> | undefined

	constructor(clock: Clock) {
		this.#clock = clock
	}

	/** When a read begins that may be made here: tell `end`. Undefined: it may not. */
	begin(): number | undefined {
		const nowMs = this.#clock.monotonicMs()
		if (nowMs < this.#pausedUntilMs) return undefined
		if (this.#turnStartedMs === undefined) {
			this.#turnStartedMs = nowMs
			this.#turn = this.#clock.yieldToIo().then(() => {
				this.#turnStartedMs = undefined
				this.#turn = undefined
			})
		}
		return nowMs - this.#turnStartedMs > TURN_MAX_MS ? undefined : nowMs
	}

	/** When `begin` refused only because this turn has had its share: the next one. Then it is to be asked again. */
	get nextTurn(): Promise<void> | undefined {
		return this.#clock.monotonicMs() < this.#pausedUntilMs ? undefined : this.#turn
	}

	end(startedMs: number): void {
		const nowMs = this.#clock.monotonicMs()
		if (nowMs - startedMs < SLOW_MS) {
			this.#weight = Math.max(0, this.#weight - 1)
			this.#quickInRow++
			if (this.#quickInRow === FORGIVEN_AFTER_COUNT) this.#pauseMs = FIRST_PAUSE_MS
			return
		}
		this.#quickInRow = 0
		this.#weight += SLOW_WEIGHT
		if (this.#weight < SLOW_MAX_WEIGHT) return
		this.#weight = 0
		this.#pausedUntilMs = nowMs + this.#pauseMs
		this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS)
	}
}
