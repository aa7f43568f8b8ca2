/**
 * Brings a follower up to date in the background: one `poll` per interval, the next one scheduled when it has ended.
 *
 * A failure leaves the good view in place and is tried again with growing, jittered pauses; the timer never keeps the
 * process alive.
 */
import { pauseMs } from '../host/backoff.ts'
import type { Timer } from '../host/clock.ts'
import { Ending } from '../host/ending.ts'
import type { Host } from '../host/host.ts'

/** Longest pause after failures, unless the interval itself is longer: half a minute. */
const MAX_PAUSE_MS = 30_000

export class Refresher {
	readonly #poll: (signal: AbortSignal) => Promise<void>
	readonly #host: Host
	readonly #intervalMs: number
	readonly #stop = new Ending()
	#timer: Timer | undefined
	#running: Promise<void> | undefined
	/** Failures since the last success. */
	failures = 0
	lastError: unknown

	/** Starts at once; the first poll comes after one interval. */
	constructor(poll: (signal: AbortSignal) => Promise<void>, host: Host, intervalMs: number) {
		this.#poll = poll
		this.#host = host
		this.#intervalMs = intervalMs
		this.#schedule(intervalMs)
	}

	/** Ends it, and waits for a poll under way. Idempotent. */
	async close(): Promise<void> {
		this.#timer?.cancel()
		this.#timer = undefined
		this.#stop.end()
		await this.#running
	}

	#schedule(delayMs: number): void {
		this.#timer = this.#host.clock.schedule(
			delayMs,
			() => {
				this.#running = this.#tick()
			},
			{ background: true },
		)
	}

	async #tick(): Promise<void> {
		try {
			await this.#poll(this.#stop.signal)
			this.failures = 0
			this.lastError = undefined
		} catch (error) {
			this.failures++
			this.lastError = error
		}
		if (this.#stop.isOver) return
		this.#schedule(this.#nextDelayMs())
	}

	#nextDelayMs(): number {
		if (this.failures === 0) return this.#intervalMs
		const maxPauseMs = Math.max(MAX_PAUSE_MS, this.#intervalMs)
		const budget = { maxAttempts: Number.POSITIVE_INFINITY, budgetMs: Number.POSITIVE_INFINITY, maxPauseMs }
		// Between one and two ceilings' worth of jitter, never sooner than the interval.
		const jitter = pauseMs(this.failures, { ...budget, basePauseMs: this.#intervalMs }, this.#host.random.next())
		return Math.max(this.#intervalMs, jitter)
	}
}
