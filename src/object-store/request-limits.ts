/**
 * How long a request to a cloud store may take. Deadlines are ours: the SDKs have none that ends a hung call, or two that
 * disagree.
 *
 * - An answer has to begin within `answerMs`, and each MiB of its body to follow within as much again: a store that
 *   hangs is told from a line that is slow (down to 100 KiB/s), however large the body is.
 * - What a request sends gives it `uploadMsPerMib` more for each MiB, because nothing is heard before all of it is sent.
 * - A request that is sent again because it was late gets twice the time of the one before, up to 8 times.
 *
 * Invariant: the default of a request (10 s; 27 s with the largest body that is not cut into parts, 17 MiB) is shorter
 * than the 30 s for which `retryingStore` sits out an outage. So a request that hangs is given up and sent again.
 */
import { type RetryBudget, retryIdempotent } from '../host/backoff.ts'
import type { Host } from '../host/host.ts'
import { type CallName, withLimits } from './deadline.ts'

export interface RequestDeadlines {
	/** Until an answer begins, and for each MiB of its body; milliseconds. */
	readonly answerMs: number
	/** For each MiB that is sent; milliseconds. */
	readonly uploadMsPerMib: number
}

export const DEFAULT_DEADLINES: RequestDeadlines = { answerMs: 10_000, uploadMsPerMib: 1_000 }

const MIB = 1024 * 1024
const MAX_PATIENCE = 8
/** Repetitions of one request within an upload. Late ones: 1 + 2 + 4 + 8 times their deadline, which are four. */
const REPEAT_BUDGET: Omit<RetryBudget, 'budgetMs'> = { maxAttempts: 10, basePauseMs: 50, maxPauseMs: 5_000 }

export interface RepeatOptions {
	/** Ends the request that is under way, and all. */
	readonly signal: AbortSignal
	/** Ends repetitions only. */
	readonly repeatSignal: AbortSignal
	readonly deadlineMs: number
}

export class RequestLimits {
	readonly host: Host
	readonly #deadlines: RequestDeadlines

	constructor(host: Host, deadlines: RequestDeadlines = DEFAULT_DEADLINES) {
		this.host = host
		this.#deadlines = deadlines
	}

	get answerMs(): number {
		return this.#deadlines.answerMs
	}

	/** For a request that sends so many bytes. */
	deadlineMs(sentBytes = 0): number {
		return this.#deadlines.answerMs + Math.ceil((sentBytes / MIB) * this.#deadlines.uploadMsPerMib)
	}

	/** One request. Late: `ISLE_UNAVAILABLE`, and the signal that `send` got aborts. */
	once<T>(
		name: CallName,
		signal: AbortSignal | undefined,
		deadlineMs: number,
		send: (signal: AbortSignal) => Promise<T>,
	): Promise<T> {
		return withLimits(this.host.clock, name, { signal }, deadlineMs, scope => send(scope.signal))
	}

	/** A request that is harmless when it arrives twice: sent again while the store is unavailable. */
	repeated<T>(name: CallName, options: RepeatOptions, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
		const { clock } = this.host
		let patience = 1
		const attempt = async (): Promise<T> => {
			const deadlineMs = options.deadlineMs * patience
			const startedMs = clock.monotonicMs()
			try {
				return await this.once(name, options.signal, deadlineMs, send)
			} catch (error) {
				if (clock.monotonicMs() - startedMs >= deadlineMs) patience = Math.min(MAX_PATIENCE, patience * 2)
				throw error
			}
		}
		const budget = { ...REPEAT_BUDGET, budgetMs: options.deadlineMs * MAX_PATIENCE }
		return retryIdempotent(this.host, attempt, { budget, signal: options.repeatSignal })
	}
}
