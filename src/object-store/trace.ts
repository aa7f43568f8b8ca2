/**
 * What single operations ask for, told apart while many run: a trace follows an operation through everything that it awaits.
 *
 * `AsyncLocalStorage` carries it, and only while some operation is traced: otherwise asking costs a look at a boolean. What an
 * operation starts is its own, also when others wait for the same; what it only waits for is not.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestKind } from './prices.ts'

/** Sums of one kind of request. */
export interface Tally {
	requests: number
	failures: number
	sentBytes: number
	receivedBytes: number
}

/** Where something came from; 'shared': another operation was fetching it already. */
export type Origin = 'memory' | 'disk' | 'store' | 'shared'

export class Trace {
	/** Of the kinds that were asked for. */
	readonly tallies: Partial<Record<RequestKind, Tally>> = {}
	readonly #tables = new Map<string, Origin>()
	readonly #blocks = new Map<string, Origin>()

	/** The first origin counts: what was fetched is in memory when it is looked at again. */
	sawTable(tableId: string, origin: Origin): void {
		if (!this.#tables.has(tableId)) this.#tables.set(tableId, origin)
	}

	sawBlock(tableId: string, index: number, origin: Origin): void {
		const name = `${tableId}/${index}`
		if (!this.#blocks.has(name)) this.#blocks.set(name, origin)
	}

	get tables(): Readonly<Record<Origin, number>> {
		return countsOf(this.#tables)
	}

	get blocks(): Readonly<Record<Origin, number>> {
		return countsOf(this.#blocks)
	}
}

/** Traces of one database or reader. */
export class Tracer {
	/** Whether any operation is traced. */
	isActive = false
	/** Made for the first operation that is traced: most owners of one never trace any. */
	#storage: AsyncLocalStorage<Trace> | undefined
	#running = 0

	/** Of the operation that calls, if it is traced. */
	current(): Trace | undefined {
		return this.isActive ? this.#storage?.getStore() : undefined
	}

	/** Runs `operation`, and what it awaits, with `trace`. */
	async run<Result>(trace: Trace, operation: () => Result | PromiseLike<Result>): Promise<Result> {
		this.#storage ??= new AsyncLocalStorage()
		this.#running++
		this.isActive = true
		try {
			return await this.#storage.run(trace, operation)
		} finally {
			this.#running--
			this.isActive = this.#running > 0
		}
	}
}

export function newTally(): Tally {
	return { requests: 0, failures: 0, sentBytes: 0, receivedBytes: 0 }
}

function countsOf(origins: ReadonlyMap<string, Origin>): Record<Origin, number> {
	const counts: Record<Origin, number> = { memory: 0, disk: 0, store: 0, shared: 0 }
	for (const origin of origins.values()) counts[origin]++
	return counts
}
