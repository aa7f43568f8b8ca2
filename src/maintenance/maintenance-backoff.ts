/** Pauses of something that must go on for ever: from a second, doubled each time up to a minute, with jitter. */
import { isIsleError } from '../errors.ts'
import { pauseMs } from '../host/backoff.ts'
import type { Random } from '../host/random.ts'

const PAUSES = {
	maxAttempts: Number.POSITIVE_INFINITY,
	budgetMs: Number.POSITIVE_INFINITY,
	basePauseMs: 1000,
	maxPauseMs: 60_000,
}

export class Backoff {
	#failures = 0

	/** Between the half and the whole of its ceiling: what failed together comes back apart, and never at once. */
	nextMs(random: Random): number {
		return pauseMs(this.#failures++, PAUSES, (1 + random.next()) / 2)
	}

	reset(): void {
		this.#failures = 0
	}
}

/** The store does not answer, refuses or is full: that may be mended, and nothing of ours is wrong. */
export function isTransientTrouble(error: unknown): boolean {
	return (['ISLE_UNAVAILABLE', 'ISLE_DENIED', 'ISLE_FULL', 'ISLE_BACKPRESSURE'] as const).some(code =>
		isIsleError(error, code),
	)
}
