/**
 * Since when something is accepted and not yet frozen, and the timer that freezes it `intervalMs` later.
 *
 * The timer is in the background: it does not keep the process alive, and an idle writer has none.
 */
import type { Clock, Timer } from '../host/clock.ts'

export class FlushTimer {
	readonly #clock: Clock
	readonly #intervalMs: number
	readonly #flush: () => void
	#timer: Timer | undefined
	#isRunning = false
	#startedMs = 0

	/** `intervalMs` 0: `flush` is never called. */
	constructor(clock: Clock, intervalMs: number, flush: () => void) {
		this.#clock = clock
		this.#intervalMs = intervalMs
		this.#flush = flush
	}

	/** Something waits to be frozen. */
	get isRunning(): boolean {
		return this.#isRunning
	}

	/** Wall clock of the first mutation since the last freeze. */
	get startedMs(): number {
		return this.#startedMs
	}

	/** The first mutation after a freeze. */
	start(): void {
		this.#isRunning = true
		this.#startedMs = this.#clock.nowMs()
		if (this.#intervalMs === 0) return
		this.#timer = this.#clock.schedule(this.#intervalMs, this.#flush, { background: true })
	}

	stop(): void {
		this.#isRunning = false
		this.#timer?.cancel()
		this.#timer = undefined
	}
}
