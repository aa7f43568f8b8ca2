/** What one operation cost: requests, bytes, where tables and blocks came from, time and money. */
import { describe } from '../arguments.ts'
import type { Host } from '../host/host.ts'
import type { CountingStore, RequestSnapshot } from '../object-store/counting-store.ts'
import type { OriginCounts } from '../object-store/operation-counts.ts'
import { Trace } from '../object-store/trace.ts'

export interface Explanation<Result> {
	/** What the operation gave. */
	readonly result: Result
	readonly elapsedMs: number
	/** What it asked of the store: requests, bytes and estimated cost by kind. Each retry counts. */
	readonly requests: RequestSnapshot
	/** Tables that it opened, each counted once. */
	readonly tables: OriginCounts
	/** Blocks of tables that it read, each counted once. */
	readonly blocks: OriginCounts
}

/** Rejects with what `operation` throws. */
export async function explain<Result>(
	counts: CountingStore,
	{ clock }: Host,
	operation: () => Result | PromiseLike<Result>,
): Promise<Explanation<Result>> {
	if (typeof operation !== 'function') {
		throw new TypeError(`Expected \`operation\` to be a function, got ${describe(operation)}`)
	}
	const trace = new Trace()
	const startedMs = clock.monotonicMs()
	const result = await counts.tracer.run(trace, operation)
	const elapsedMs = clock.monotonicMs() - startedMs
	return { result, elapsedMs, requests: counts.snapshotOf(trace), tables: trace.tables, blocks: trace.blocks }
}
