/**
 * What a tail does about a store that does not answer: asks again, for ever, with jittered pauses, until it is told to
 * stop. Only `ISLE_UNAVAILABLE` is worth asking again for; everything else is the end of the tail.
 */
import { isIsleError } from '../errors.ts'
import { pauseMs, type RetryBudget } from '../host/backoff.ts'
import { sleep } from '../host/clock.ts'
import type { Host } from '../host/host.ts'

/** Pauses up to 50, 100, 200 … ms, 30 s at the most: a store that is down for a day is asked twice a minute. */
const ENDLESS: RetryBudget = {
	maxAttempts: Number.POSITIVE_INFINITY,
	budgetMs: Number.POSITIVE_INFINITY,
	basePauseMs: 50,
	maxPauseMs: 30_000,
}

/** How long to wait after `failures` failures in a row, in milliseconds. */
export function endlessPauseMs(failures: number, host: Host): number {
	return pauseMs(failures - 1, ENDLESS, host.random.next())
}

export function isTransient(error: unknown): boolean {
	return isIsleError(error, 'ISLE_UNAVAILABLE')
}

/** The result of `attempt`, however often it takes. Rejects with what is not transient, or with the signal's reason. */
export async function retryEndlessly<Value>(
	host: Host,
	signal: AbortSignal | undefined,
	attempt: () => Promise<Value>,
): Promise<Value> {
	for (let failures = 1; ; failures++) {
		signal?.throwIfAborted()
		try {
			return await attempt()
		} catch (error) {
			signal?.throwIfAborted()
			if (!isTransient(error)) throw error
			await sleep(host.clock, endlessPauseMs(failures, host), signal)
		}
	}
}
