/**
 * What the operations of one kind came to: calls, where tables and blocks came from, requests, bytes, cost and time.
 *
 * Requests are counted by stores of its own (`over`) that stand above the one with the retries, so that nothing has to be asked
 * while a request is made; where something came from is counted by whoever reads for it. What is in memory costs an addition.
 */
import { type CountingStore, countingStore } from './counting-store.ts'
import type { ObjectStore } from './object-store.ts'
import type { Origin } from './trace.ts'

/** How many came from where. */
export interface OriginCounts {
	/** Were in memory. */
	readonly memory: number
	/** Were read from `cacheDir`. */
	readonly disk: number
	/** Were fetched from the store. */
	readonly store: number
	/** Were being fetched for another operation, whose requests these are. */
	readonly shared: number
}

export interface OperationStats {
	/** Of a scan, a stream and a tail: those that were begun. */
	readonly calls: number
	/** Looks at tables and at blocks of them, each time. */
	readonly tables: OriginCounts
	readonly blocks: OriginCounts
	/** Asked of the store. What had to be asked again counts once: `requests()` counts each attempt. */
	readonly requests: number
	readonly failures: number
	readonly receivedBytes: number
	/** US dollars by the list prices of `requests().prices`. */
	readonly estimatedUsd: number
	/**
	 * Time by the clock of the host that they were waited for, together: not for what a get answers at once, of a scan until rows came, of
	 * a stream until it began. Of tails 0: they wait for what others write, and for whoever consumes them; how long a change took to
	 * come is the time less its `committedAtMs`.
	 */
	readonly elapsedMs: number
}

export class OperationCounts {
	calls = 0
	elapsedMs = 0
	readonly tables: Record<Origin, number> = { memory: 0, disk: 0, store: 0, shared: 0 }
	readonly blocks: Record<Origin, number> = { memory: 0, disk: 0, store: 0, shared: 0 }
	readonly #stores: CountingStore[] = []

	/** `store`, with what is asked of it counted here. */
	over(store: ObjectStore): ObjectStore {
		const counting = countingStore(store)
		this.#stores.push(counting)
		return counting
	}

	stats(): OperationStats {
		const sums = { requests: 0, failures: 0, receivedBytes: 0, estimatedUsd: 0 }
		for (const store of this.#stores) {
			const { requests, failures, receivedBytes, estimatedUsd } = store.snapshot().total
			sums.requests += requests
			sums.failures += failures
			sums.receivedBytes += receivedBytes
			sums.estimatedUsd += estimatedUsd
		}
		const { calls, tables, blocks, elapsedMs } = this
		return { calls, tables: { ...tables }, blocks: { ...blocks }, ...sums, elapsedMs }
	}
}
