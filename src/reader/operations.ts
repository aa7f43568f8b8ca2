/** The kinds of operations whose totals are kept apart. */
import { OperationCounts, type OperationStats } from '../object-store/operation-counts.ts'

/** `get` are `get`, `getCached` and `has`; `scan` are `entries`, `keys` and `values`; `tail` is every form of the tail. */
export type OperationKind = 'get' | 'getMany' | 'scan' | 'getStream' | 'prefetch' | 'tail'

export type Operations = Readonly<Record<OperationKind, OperationCounts>>

export function newOperations(): Operations {
	return {
		get: new OperationCounts(),
		getMany: new OperationCounts(),
		scan: new OperationCounts(),
		getStream: new OperationCounts(),
		prefetch: new OperationCounts(),
		tail: new OperationCounts(),
	}
}

export function statsOfOperations(operations: Operations): Readonly<Record<OperationKind, OperationStats>> {
	return {
		get: operations.get.stats(),
		getMany: operations.getMany.stats(),
		scan: operations.scan.stats(),
		getStream: operations.getStream.stats(),
		prefetch: operations.prefetch.stats(),
		tail: operations.tail.stats(),
	}
}
