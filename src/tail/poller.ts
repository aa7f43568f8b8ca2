/**
 * The one poller of all tails of a process that only reads.
 *
 * Steps: while at least one tail waits, poll at the smallest interval among those that wait, counted from the start of the
 * last poll (what is committed meanwhile waits no longer than one interval and one poll); nobody waits, nothing is scheduled.
 * A poll that fails for a transient reason is repeated after a jittered pause that grows, counted from its end; any other
 * failure is told to all that wait.
 *
 * Invariants: one poll at a time, one timer at the most; both end when the last member leaves.
 */
import type { Timer } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import { endlessPauseMs, isTransient } from './endless-retry.ts'

export interface PollerOptions {
	readonly host: Host
	/** Looks for what is new; it wakes whom it concerns by itself. */
	poll(signal: AbortSignal): Promise<void>
	/** Told of a failure that asking again does not mend. */
	onFailure(error: unknown): void
}

export class Poller {
	readonly #options: PollerOptions
	/** Interval of each member, in milliseconds. */
	readonly #members = new Map<symbol, number>()
	#timer: Timer | undefined
	#dueMs = Number.POSITIVE_INFINITY
	#polling: AbortController | undefined
	#lastPollMs = Number.NEGATIVE_INFINITY
	#failures = 0
	#pauseMs = 0

	constructor(options: PollerOptions) {
		this.#options = options
	}

	/** Polls at least every `intervalMs` until the function that it answers is called. */
	join(intervalMs: number): () => void {
		const member = Symbol('member of a poller')
		this.#members.set(member, intervalMs)
		this.#schedule()
		return () => this.#leave(member)
	}

	/** Somebody else has just looked: the next poll is due one interval from now. */
	noteLook(): void {
		this.#lastPollMs = this.#options.host.clock.monotonicMs()
	}

	#leave(member: symbol): void {
		this.#members.delete(member)
		this.#timer?.cancel()
		this.#timer = undefined
		if (this.#members.size > 0) {
			// The one that left may have been the most impatient.
			this.#schedule()
			return
		}
		this.#polling?.abort(new DOMException('nobody waits for the poll any more', 'AbortError'))
		this.#polling = undefined
	}

	#schedule(): void {
		if (this.#polling !== undefined || this.#members.size === 0) return
		const nowMs = this.#options.host.clock.monotonicMs()
		const dueMs = Math.max(nowMs, this.#lastPollMs + Math.min(...this.#members.values()) + this.#pauseMs)
		if (this.#timer !== undefined && this.#dueMs <= dueMs) return
		this.#timer?.cancel()
		this.#dueMs = dueMs
		// Not a background timer: who waits for a tail wants the process to live.
		this.#timer = this.#options.host.clock.schedule(dueMs - nowMs, () => {
			this.#timer = undefined
			void this.#poll()
		})
	}

	async #poll(): Promise<void> {
		const polling = new AbortController()
		this.#polling = polling
		this.noteLook()
		try {
			await this.#options.poll(polling.signal)
			this.#failures = 0
			this.#pauseMs = 0
		} catch (error) {
			if (polling.signal.aborted) return
			this.noteLook()
			if (isTransient(error)) this.#pauseMs = endlessPauseMs(++this.#failures, this.#options.host)
			else this.#options.onFailure(error)
		} finally {
			if (this.#polling === polling) this.#polling = undefined
		}
		this.#schedule()
	}
}
