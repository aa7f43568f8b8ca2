/**
 * The entries of one commit's table in the order of their sequence numbers: the order in which they were written.
 *
 * Steps: get the blocks that may hold keys of the range (from the bytes that came with the commit, or by ranged GETs of
 * up to 1 MiB, a few at a time); decode them and lay their entries out by number (entry-order.ts): the whole of a large table in a
 * thread of the pool, all else here, in slices that leave the event loop free.
 */
import { decodeInline } from '../cache/decode-blocks.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { Clock } from '../host/clock.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { Job, JobPool } from '../runtime/job-pool.ts'
import type { Block } from '../sst/block.ts'
import type { BlockRun } from '../sst/block-run.ts'
import { EntryOrder, type OrderedEntries } from '../sst/entry-order.ts'
import { openTable, type SstTable } from '../sst/sst-table.ts'
import type { KeyFilter } from './key-filter.ts'

/** One GET is at the most this long, and this many run at a time: 4 MiB in flight. */
const READ_MAX_BYTES = 1_048_576
const READS_IN_FLIGHT = 4
/** The longest time that decoding and sorting hold the event loop, in milliseconds. */
const SLICE_MS = 1.5

/** Raw bytes that are worth a trip to a thread of the pool: half a millisecond. */
const POOL_MIN_RAW_BYTES = 1_048_576

/** The entries within the range, in ascending order of sequence numbers. */
export type OrderedTable = OrderedEntries

export function seqAtPlace(table: OrderedTable, place: number): number {
	return table.seqs === undefined ? table.minSeq + place : (table.seqs[place] as number)
}

export interface TableRequest {
	readonly ref: TableRef
	/** The whole table as stored, when it is in memory. */
	readonly bytes: Uint8Array | undefined
	readonly filter: KeyFilter
	readonly source: TableSource
	readonly pool: JobPool
	readonly clock: Clock
	readonly signal: AbortSignal | undefined
}

/** Blocks `first` up to `end`. */
interface BlockSpan {
	readonly first: number
	readonly end: number
}

/** Blocks of a table that follow one another. */
interface StoredRun {
	readonly run: BlockRun
	readonly stored: Uint8Array
}

/** @throws ISLE_NOT_FOUND when the table's object is gone, ISLE_CORRUPT, what the store throws, the signal's reason. */
export async function orderTable(request: TableRequest): Promise<OrderedTable> {
	const slicer = new Slicer(request.clock)
	const { ref, filter, signal } = request
	const isWhole = filter.coversTable(ref)
	const isForPool = isWhole && ref.meta.rawBytes >= POOL_MIN_RAW_BYTES && request.pool.stats().kind === 'threads'
	const runs = isForPool ? await storedRuns(request) : undefined
	if (runs !== undefined) return await orderInPool(request, runs)
	const blocks =
		request.bytes === undefined ? await fetchBlocks(request) : await decodeBytes(request, request.bytes, slicer)
	const { lower, upper } = filter
	const parts = blocks.map(block => ({
		block,
		first: isWhole || lower === undefined ? 0 : block.seek(lower),
		end: isWhole || upper === undefined ? block.count : block.seek(upper),
	}))
	const { minSeq, maxSeq } = ref.meta
	const order = new EntryOrder({ minSeq, maxSeq, isWhole, where: whereOf(ref) })
	for (const { block, first, end } of parts) {
		order.measure(block, first, end)
		if (slicer.isOver) await slicer.yield(signal)
	}
	order.arrange()
	for (const { block, first, end } of parts) {
		if (slicer.isOver) await slicer.yield(signal)
		order.copy(block, first, end)
	}
	return order.finish()
}

function whereOf(ref: TableRef): string {
	return `${ref.objectKey} (table ${ref.id})`
}

/** Tells when a slice of work is over. */
class Slicer {
	readonly #clock: Clock
	#startMs: number

	constructor(clock: Clock) {
		this.#clock = clock
		this.#startMs = clock.monotonicMs()
	}

	get isOver(): boolean {
		return this.#clock.monotonicMs() - this.#startMs > SLICE_MS
	}

	/** @throws the signal's reason. */
	async yield(signal: AbortSignal | undefined): Promise<void> {
		await this.#clock.yieldToIo()
		signal?.throwIfAborted()
		this.#startMs = this.#clock.monotonicMs()
	}
}

function blockSpan(table: SstTable, filter: KeyFilter): BlockSpan {
	const { lower, upper } = filter
	const first = lower === undefined ? 0 : table.seekBlock(lower)
	const end = upper === undefined ? table.blockCount : Math.min(table.blockCount, table.seekBlock(upper) + 1)
	return { first, end }
}

async function decodeBytes(request: TableRequest, bytes: Uint8Array, slicer: Slicer): Promise<Block[]> {
	const { ref, filter, signal } = request
	const where = whereOf(ref)
	const table = openTable(ref.meta, bytes.subarray(ref.meta.metaOffset), where)
	const { first, end } = blockSpan(table, filter)
	const blocks: Block[] = []
	for (let index = first; index < end; index++) {
		const range = table.blockRange(index)
		const stored = bytes.subarray(range.offset, range.offset + range.bytes)
		blocks.push(...decodeInline(table, index, 1, stored, where))
		if (slicer.isOver) await slicer.yield(signal)
	}
	return blocks
}

/** As they are stored, a megabyte at a time. Undefined where some may stand on a disk. */
async function storedRuns({ ref, bytes, source, signal }: TableRequest): Promise<readonly StoredRun[] | undefined> {
	if (bytes !== undefined) {
		const table = openTable(ref.meta, bytes.subarray(ref.meta.metaOffset), whereOf(ref))
		return [{ run: table.blockRun(0, table.blockCount), stored: bytes.subarray(0, ref.meta.metaOffset) }]
	}
	const { direct } = source
	if (direct === undefined) return undefined
	const slot = source.slot(ref)
	const table = source.cachedTable(slot) ?? (await source.openTable(slot, signal))
	return await readInWaves(table, { first: 0, end: table.blockCount }, async (first, count) => ({
		run: table.blockRun(first, count),
		stored: await direct.stored(slot, table, first, count, signal),
	}))
}

function orderInPool({ ref, pool, signal }: TableRequest, runs: readonly StoredRun[]): Promise<OrderedTable> {
	const { minSeq, maxSeq } = ref.meta
	// Copies for each attempt: a worker that dies takes its buffers with it.
	const make = (): Job<'order-entries'> => {
		const owned = runs.map(({ run, stored }) => ({ run, stored: new Uint8Array(stored) }))
		return {
			input: { runs: owned, minSeq, maxSeq, where: whereOf(ref) },
			transfer: owned.map(({ stored }) => stored.buffer),
		}
	}
	return pool.run('order-entries', make, signal === undefined ? undefined : { signal })
}

async function fetchBlocks({ ref, filter, source, signal }: TableRequest): Promise<Block[]> {
	const slot = source.slot(ref)
	const table = source.cachedTable(slot) ?? (await source.openTable(slot, signal))
	const read = (first: number, count: number): Promise<readonly Block[]> =>
		source.readBlocks(slot, table, first, count, signal)
	return (await readInWaves(table, blockSpan(table, filter), read)).flat()
}

/** What the reads of these blocks give, in their order. */
async function readInWaves<Part>(
	table: SstTable,
	span: BlockSpan,
	read: (first: number, count: number) => Promise<Part>,
): Promise<Part[]> {
	const reads = readsOf(table, span)
	const parts: Part[] = []
	for (let at = 0; at < reads.length; at += READS_IN_FLIGHT) {
		const wave = reads.slice(at, at + READS_IN_FLIGHT)
		parts.push(...(await Promise.all(wave.map(([index, count]) => read(index, count)))))
	}
	return parts
}

/** In reads of neighbours. */
function readsOf(table: SstTable, { first, end }: BlockSpan): [first: number, count: number][] {
	const reads: [first: number, count: number][] = []
	for (let index = first; index < end; ) {
		const start = table.blockRange(index).offset
		let next = index + 1
		while (next < end && table.blockRange(next).offset + table.blockRange(next).bytes - start <= READ_MAX_BYTES) next++
		reads.push([index, next - index])
		index = next
	}
	return reads
}
