/**
 * The conformance suite of the store contract (`object-store.ts`), for our adapters and for users' own stores, under
 * any test runner:
 *
 *   import { test } from 'node:test'
 *   storeConformance({ test, createStore: () => new MyStore(freshBucket()) })
 *
 * Each clause is one test with a store of its own, which the suite closes. A store that passes can carry a database.
 */
import { LIMIT_CLAUSES } from './conformance-limits.ts'
import { LIST_CLAUSES } from './conformance-lists.ts'
import { OBJECT_CLAUSES } from './conformance-objects.ts'
import { STREAM_CLAUSES } from './conformance-streams.ts'
import type { ObjectStore } from './object-store.ts'

/** One promise of the contract, and what shows that it is kept. `run` rejects when it is not. */
export interface Clause {
	/** A sentence of behaviour; the name of the test. */
	readonly name: string
	readonly run: (store: ObjectStore) => Promise<void>
}

export interface StoreConformanceOptions {
	/** The runner's: `test(name, run)`, where a rejection of `run` is a failure. */
	readonly test: (name: string, run: () => Promise<void>) => unknown
	/** A store that holds nothing. Called once for each test. */
	readonly createStore: () => ObjectStore | Promise<ObjectStore>
}

/** Every clause, for runners that are driven in another way. */
export const STORE_CLAUSES: readonly Clause[] = [
	...OBJECT_CLAUSES,
	...LIST_CLAUSES,
	...STREAM_CLAUSES,
	...LIMIT_CLAUSES,
]

/** Registers one test for each clause. */
export function storeConformance(options: StoreConformanceOptions): void {
	for (const clause of STORE_CLAUSES) {
		options.test(clause.name, async () => {
			const store = await options.createStore()
			try {
				await clause.run(store)
			} finally {
				await store.close()
			}
		})
	}
}
