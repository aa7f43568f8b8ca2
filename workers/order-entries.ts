/**
 * Job: the stored blocks of a table become its entries in the order of their sequence numbers, for tails.
 *
 * Blocks are checked as reads check them, and that each is the one that its place says. Each is decoded twice, in memory that is
 * near, which takes less time than keeping them all until they are copied.
 */
import type { Block } from '../src/sst/block.ts'
import { BriefPlace } from '../src/sst/block-kernel.ts'
import { type BlockRun, BlockRunReader } from '../src/sst/block-run.ts'
import { EntryOrder, type OrderedEntries } from '../src/sst/entry-order.ts'
import type { JobResult } from './jobs.ts'

export interface OrderEntriesInput {
	/** The blocks of the table, some in each buffer; owned by the job. */
	readonly runs: readonly { readonly run: BlockRun; readonly stored: Uint8Array<ArrayBuffer> }[]
	readonly minSeq: number
	readonly maxSeq: number
	/** Object key, for errors. */
	readonly where: string
}

/** Its memory is the caller's. */
export type OrderEntriesOutput = OrderedEntries

/** @throws ISLE_CORRUPT, ISLE_UNSUPPORTED for a codec of a newer version. */
export function orderEntriesJob({ runs, minSeq, maxSeq, where }: OrderEntriesInput): JobResult<OrderEntriesOutput> {
	const place = new BriefPlace()
	const readers = runs.map(({ run, stored }) => new BlockRunReader(run, stored, where, place))
	const order = new EntryOrder({ minSeq, maxSeq, isWhole: true, where })
	for (const block of blocksOf(readers)) order.measure(block, 0, block.count)
	order.arrange()
	for (const block of blocksOf(readers)) order.copy(block, 0, block.count)
	const output = order.finish()
	const arrays = [output.bytes, output.ends, output.kinds, output.expiries]
	return { output, transfer: arrays.flatMap(array => (array === undefined ? [] : [array.buffer])) }
}

/** Each is of use until the next one is asked for. */
function* blocksOf(readers: readonly BlockRunReader[]): Generator<Block, void> {
	for (const reader of readers) for (let i = 0; i < reader.count; i++) yield reader.decode(i)
}
