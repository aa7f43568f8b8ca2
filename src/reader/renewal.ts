/** Reading over a view whose objects may be gone: with newer views, until one has them. */
import { isIsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import type { OperationCounts } from '../object-store/operation-counts.ts'
import type { ViewProvider } from './read-core.ts'
import type { ReadView } from './read-view.ts'

/** Views that are tried for one read before a missing object is reported. */
const MAX_RENEWALS = 5

export interface Reading {
	readonly views: ViewProvider
	readonly first: ReadView
	readonly signal: AbortSignal | undefined
	/** Is told how long it took. */
	readonly counts: OperationCounts
	readonly clock: Clock
}

/**
 * Runs `read` again with newer views while objects of the view are gone. The memtables of a view are held meanwhile: a
 * commit may end them while the store is asked.
 */
export async function withRenewal<Result>(
	{ views, first, signal, counts, clock }: Reading,
	read: (view: ReadView) => Promise<Result>,
): Promise<Result> {
	const beganMs = clock.monotonicMs()
	let view = first
	try {
		for (let renewals = 0; ; renewals++) {
			const { memtables } = view
			for (const memtable of memtables) memtable.ref()
			try {
				return await read(view)
			} catch (error) {
				if (!isIsleError(error, 'ISLE_NOT_FOUND') || renewals === MAX_RENEWALS) throw error
				view = await views.renew(view, error, signal)
			} finally {
				for (const memtable of memtables) memtable.unref()
			}
		}
	} finally {
		counts.elapsedMs += clock.monotonicMs() - beganMs
	}
}
