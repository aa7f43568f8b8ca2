/**
 * How long to wait between attempts: full jitter over an exponential ceiling ("Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015), so that clients that failed together do not come back together.
 */
import { IsleError, isIsleError } from '../errors.ts'
import { sleep } from './clock.ts'
import type { Host } from './host.ts'

export interface RetryBudget {
	/** Attempts at the most, the first included. */
	readonly maxAttempts: number
	/** No attempt starts later than this after the first one, in milliseconds. */
	readonly budgetMs: number
	/** Ceiling of the first pause, in milliseconds; it doubles. */
	readonly basePauseMs: number
	/** Ceiling of every pause, in milliseconds. */
	readonly maxPauseMs: number
}

/** 10 attempts within 30 s: a store that restarts or throttles is waited for, one that is gone is reported. */
export const DEFAULT_RETRY_BUDGET: RetryBudget = {
	maxAttempts: 10,
	budgetMs: 30_000,
	basePauseMs: 50,
	maxPauseMs: 5_000,
}

export function pauseMs(attempt: number, budget: RetryBudget, uniform: number): number {
	const ceiling = Math.min(budget.maxPauseMs, budget.basePauseMs * 2 ** Math.min(attempt, 30))
	return Math.ceil(ceiling * uniform)
}

/** Counts attempts and pauses between them; `pause` answers false when the budget is spent. */
export class Retry {
	readonly #host: Host
	readonly #budget: RetryBudget
	readonly #startedMs: number
	#attempts = 0

	constructor(host: Host, budget: RetryBudget = DEFAULT_RETRY_BUDGET) {
		this.#host = host
		this.#budget = budget
		this.#startedMs = host.clock.monotonicMs()
	}

	get attempts(): number {
		return this.#attempts
	}

	/** Waits before the next attempt. False: no attempt is left. Rejects with the signal's reason on abort. */
	async pause(signal?: AbortSignal): Promise<boolean> {
		this.#attempts++
		const waitMs = pauseMs(this.#attempts - 1, this.#budget, this.#host.random.next())
		const spentMs = this.#host.clock.monotonicMs() - this.#startedMs
		if (this.#attempts >= this.#budget.maxAttempts || spentMs + waitMs > this.#budget.budgetMs) return false
		await sleep(this.#host.clock, waitMs, signal)
		return true
	}
}

/** Runs what is idempotent until it succeeds, fails for good (any code but `ISLE_UNAVAILABLE`) or the budget is spent. */
export async function retryIdempotent<Value>(
	host: Host,
	attempt: () => Promise<Value>,
	options: { readonly budget?: RetryBudget | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Value> {
	const retry = new Retry(host, options.budget)
	for (;;) {
		try {
			return await attempt()
		} catch (error) {
			options.signal?.throwIfAborted()
			if (!isIsleError(error, 'ISLE_UNAVAILABLE')) throw error
			if (!(await retry.pause(options.signal))) {
				throw new IsleError('ISLE_UNAVAILABLE', `no answer in ${retry.attempts} attempts: ${error.message}`, {
					cause: error,
				})
			}
		}
	}
}
