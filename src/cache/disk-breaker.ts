/**
 * Leaves a failing disk alone for a while: after each failure in a row for longer, with jitter, up to a minute.
 */
import { pauseMs } from '../host/backoff.ts'
import type { Host } from '../host/host.ts'

const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 60_000

export class DiskBreaker {
	readonly #host: Host
	#failuresInRow = 0
	#openUntilMs = 0
	/** Failures so far, and the last of them. */
	failures = 0
	lastError: unknown

	constructor(host: Host) {
		this.#host = host
	}

	/** Whether the disk may be asked now. */
	get isClosed(): boolean {
		return this.#failuresInRow === 0 || this.#host.clock.monotonicMs() >= this.#openUntilMs
	}

	succeed(): void {
		this.#failuresInRow = 0
	}

	fail(error: unknown): void {
		this.failures++
		this.lastError = error
		// Those that began before the first one failed say nothing new.
		if (!this.isClosed) return
		const budget = { maxAttempts: Number.POSITIVE_INFINITY, budgetMs: Number.POSITIVE_INFINITY }
		const ceilings = { ...budget, basePauseMs: FIRST_PAUSE_MS, maxPauseMs: MAX_PAUSE_MS }
		// Between half a ceiling and a whole one: never at once, and not all processes together.
		const jitter = 0.5 + this.#host.random.next() / 2
		this.#openUntilMs = this.#host.clock.monotonicMs() + pauseMs(this.#failuresInRow, ceilings, jitter)
		this.#failuresInRow++
	}
}
