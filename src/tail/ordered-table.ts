/**
 * The entries of one commit's table in the order of their sequence numbers: the order in which they were written.
 *
 * Steps: get the blocks that may hold keys of the range (from the bytes that came with the commit, or by ranged GETs of
 * up to 1 MiB, a few at a time); decode them in slices that leave the event loop free; sort entries by number.
 *
 * Invariants: the whole of a table holds each number from `minSeq` to `maxSeq` once (else ISLE_CORRUPT); nothing is
 * allocated by a count that the decoded blocks do not bear out.
 */
import { decodeInline } from '../cache/decode-blocks.ts'
import type { TableSource } from '../cache/table-source.ts'
import { corrupt } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { Block } from '../sst/block.ts'
import { openTable, type SstTable } from '../sst/sst-table.ts'
import type { KeyFilter } from './key-filter.ts'

/** One GET is at the most this long, and this many run at a time: 4 MiB in flight. */
const READ_MAX_BYTES = 1_048_576
const READS_IN_FLIGHT = 4
/** The longest time that decoding and sorting hold the event loop, in milliseconds. */
const SLICE_MS = 1.5
/** Entries between two looks at the clock. */
const SLICE_ENTRIES = 4096

export interface OrderedTable {
	readonly blocks: readonly Block[]
	/** Of the entries within the range, in ascending order of sequence numbers: the block, and the entry in it. */
	readonly blockOf: Uint32Array
	readonly entryOf: Uint32Array
	readonly count: number
}

export interface TableRequest {
	readonly ref: TableRef
	/** The whole table as stored, when it is in memory. */
	readonly bytes: Uint8Array | undefined
	readonly filter: KeyFilter
	readonly source: TableSource
	readonly clock: Clock
	readonly signal: AbortSignal | undefined
}

/** @throws ISLE_NOT_FOUND when the table's object is gone, ISLE_CORRUPT, what the store throws, the signal's reason. */
export async function orderTable(request: TableRequest): Promise<OrderedTable> {
	const slicer = new Slicer(request.clock)
	const { ref, filter } = request
	const blocks =
		request.bytes === undefined ? await fetchBlocks(request) : await decodeBytes(request, request.bytes, slicer)
	if (filter.coversTable(ref)) return await orderWhole(request, blocks, slicer)
	return await orderPart(request, blocks, slicer)
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

	async yield(): Promise<void> {
		await this.#clock.yieldToIo()
		this.#startMs = this.#clock.monotonicMs()
	}
}

function blockSpan(table: SstTable, filter: KeyFilter): { first: number; end: number } {
	const { lower, upper } = filter
	const first = lower === undefined ? 0 : table.seekBlock(lower)
	const end = upper === undefined ? table.blockCount : Math.min(table.blockCount, table.seekBlock(upper) + 1)
	return { first, end }
}

async function decodeBytes(request: TableRequest, bytes: Uint8Array, slicer: Slicer): Promise<Block[]> {
	const { ref, filter, signal } = request
	const where = `${ref.objectKey} (table ${ref.id})`
	const table = openTable(ref.meta, bytes.subarray(ref.meta.metaOffset), where)
	const { first, end } = blockSpan(table, filter)
	const blocks: Block[] = []
	for (let index = first; index < end; index++) {
		const range = table.blockRange(index)
		const stored = bytes.subarray(range.offset, range.offset + range.bytes)
		blocks.push(...decodeInline(table, index, 1, stored, where))
		if (slicer.isOver) {
			await slicer.yield()
			signal?.throwIfAborted()
		}
	}
	return blocks
}

async function fetchBlocks({ ref, filter, source, signal }: TableRequest): Promise<Block[]> {
	const slot = source.slot(ref)
	const table = source.cachedTable(slot) ?? (await source.openTable(slot, signal))
	const { first, end } = blockSpan(table, filter)
	const reads: [first: number, count: number][] = []
	for (let index = first; index < end; ) {
		const start = table.blockRange(index).offset
		let next = index + 1
		while (next < end && table.blockRange(next).offset + table.blockRange(next).bytes - start <= READ_MAX_BYTES) next++
		reads.push([index, next - index])
		index = next
	}
	const blocks: Block[] = []
	for (let at = 0; at < reads.length; at += READS_IN_FLIGHT) {
		const wave = reads.slice(at, at + READS_IN_FLIGHT)
		const parts = await Promise.all(wave.map(([index, count]) => source.readBlocks(slot, table, index, count, signal)))
		for (const part of parts) blocks.push(...part)
	}
	return blocks
}

/** Every entry has its place: its number less the smallest one. */
async function orderWhole(request: TableRequest, blocks: readonly Block[], slicer: Slicer): Promise<OrderedTable> {
	const { ref, signal } = request
	const { minSeq, maxSeq } = ref.meta
	const count = blocks.reduce((sum, block) => sum + block.count, 0)
	const wrong = (): Error =>
		corrupt(
			`${ref.objectKey} (table ${ref.id})`,
			'a table of a commit that does not hold each of its sequence numbers once',
		)
	if (count !== maxSeq - minSeq + 1) throw wrong()
	const blockOf = new Uint32Array(count)
	const entryOf = new Uint32Array(count)
	const isTaken = new Uint8Array(count)
	for (const [number, block] of blocks.entries()) {
		for (let i = 0; i < block.count; i++) {
			const place = block.seqAt(i) - minSeq
			// Written once each, `count` places hold every number.
			if (isTaken[place] !== 0) throw wrong()
			isTaken[place] = 1
			blockOf[place] = number
			entryOf[place] = i
			if (i % SLICE_ENTRIES === 0 && slicer.isOver) {
				await slicer.yield()
				signal?.throwIfAborted()
			}
		}
	}
	return { blocks, blockOf, entryOf, count }
}

/** The entries within the range only: sorted by number and index packed into one float. */
async function orderPart(request: TableRequest, blocks: readonly Block[], slicer: Slicer): Promise<OrderedTable> {
	const { ref, filter, signal } = request
	const { minSeq, maxSeq } = ref.meta
	const found: number[] = []
	const foundSeqs: number[] = []
	const total = blocks.reduce((sum, block) => sum + block.count, 0)
	// number × total + index is exact below 2^53: a table of 2^26 entries has numbers below 2^26.
	if ((maxSeq - minSeq + 1) * total > Number.MAX_SAFE_INTEGER) {
		throw corrupt(`${ref.objectKey} (table ${ref.id})`, `a table of ${total} entries that claims more sequence numbers`)
	}
	let base = 0
	for (const block of blocks) {
		const first = filter.lower === undefined ? 0 : block.seek(filter.lower)
		const end = filter.upper === undefined ? block.count : block.seek(filter.upper)
		for (let i = first; i < end; i++) {
			found.push(base + i)
			foundSeqs.push(block.seqAt(i) - minSeq)
			if (i % SLICE_ENTRIES === 0 && slicer.isOver) {
				await slicer.yield()
				signal?.throwIfAborted()
			}
		}
		base += block.count
	}
	const order = new Float64Array(found.length)
	for (let i = 0; i < order.length; i++) order[i] = (foundSeqs[i] as number) * total + (found[i] as number)
	order.sort()
	return placeEntries(blocks, order, total)
}

function placeEntries(blocks: readonly Block[], order: Float64Array, total: number): OrderedTable {
	const starts = new Float64Array(blocks.length + 1)
	for (const [number, block] of blocks.entries()) starts[number + 1] = (starts[number] as number) + block.count
	const blockOf = new Uint32Array(order.length)
	const entryOf = new Uint32Array(order.length)
	for (let place = 0; place < order.length; place++) {
		const index = (order[place] as number) % total
		let low = 0
		let high = blocks.length
		while (high - low > 1) {
			const middle = (low + high) >>> 1
			if ((starts[middle] as number) <= index) low = middle
			else high = middle
		}
		blockOf[place] = low
		entryOf[place] = index - (starts[low] as number)
	}
	return { blocks, blockOf, entryOf, count: order.length }
}
