/** Puts a large value into the batch that waits for it; transient errors of the store are waited out. */
import { IsleError, isIsleError } from '../errors.ts'
import type { LargeValues } from './change.ts'
import type { ChangeBatch } from './change-batch.ts'
import type { CommitFeed } from './commit-feed.ts'
import { retryEndlessly } from './endless-retry.ts'

export interface LargeValueContext {
	readonly feed: CommitFeed
	readonly signal: AbortSignal
}

/** @throws ISLE_EXPIRED when the value was collected, ISLE_CORRUPT, what an encoding of the application's own throws. */
export async function settleLargeValue(
	batch: ChangeBatch,
	largeValues: LargeValues,
	{ feed, signal }: LargeValueContext,
): Promise<void> {
	const { pending } = batch
	if (pending === undefined) return
	try {
		batch.settle(await retryEndlessly(feed.host, signal, () => largeValues.read(pending.encodedRef, signal)))
	} catch (error) {
		if (!isIsleError(error, 'ISLE_NOT_FOUND')) throw error
		throw new IsleError('ISLE_EXPIRED', `a large value is no longer retained: ${error.message}`, { cause: error })
	}
}
