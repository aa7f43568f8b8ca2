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

/** Numbers of `places` for one entry: block and kind, suffix start, value start, value end. */
export const PLACE_WIDTH = 4
/** The kind of an entry stands above the number of its block: a table of 4 GiB has fewer than 2^28 blocks. */
export const KIND_SHIFT = 28
export const BLOCK_MASK: number = 2 ** KIND_SHIFT - 1

export interface OrderedTable {
	readonly blocks: readonly Block[]
	/** Entries within the range, in ascending order of sequence numbers. */
	readonly count: number
	/**
	 * Where each entry lies, side by side: to emit them in order then reads this in order, and only the entries' own bytes
	 * here and there.
	 */
	readonly places: Uint32Array
	/** Of each place; undefined when they follow one another from `minSeq`. */
	readonly seqs: Float64Array | undefined
	readonly minSeq: number
	/** Of each place; undefined when no entry expires. */
	readonly expiries: Float64Array | undefined
}

/**
 * Entries lie all over their table. So many are touched at once before they are used, so that the processor waits for
 * their memory side by side and not one after the other.
 */
export const TOUCH_ROWS = 32

/** Reads three bytes of each of the next entries, of which there may be fewer than `TOUCH_ROWS`. */
export function touchPlaces({ blocks, places }: OrderedTable, place: number): number {
	const end = Math.min(places.length, (place + TOUCH_ROWS) * PLACE_WIDTH)
	let touched = 0
	for (let at = place * PLACE_WIDTH; at < end; at += PLACE_WIDTH) {
		const { bytes } = blocks[(places[at] as number) & BLOCK_MASK] as Block
		const start = places[at + 1] as number
		const last = (places[at + 3] as number) - 1
		// Three lines of 64 bytes: keys and values of up to about 150 bytes.
		touched ^= (bytes[start] as number) ^ (bytes[(start + last) >>> 1] as number) ^ (bytes[last] as number)
	}
	return touched
}

export function seqAtPlace(table: OrderedTable, place: number): number {
	return table.seqs === undefined ? table.minSeq + place : (table.seqs[place] as number)
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
		corrupt(`${ref.objectKey} (table ${ref.id})`, 'a table of a commit that lacks some of its sequence numbers,')
	if (count !== maxSeq - minSeq + 1) throw wrong()
	const places = new Uint32Array(count * PLACE_WIDTH)
	const expiries = blocks.some(block => block.hasExpiry) ? new Float64Array(count) : undefined
	for (const [number, block] of blocks.entries()) {
		for (let i = 0; i < block.count; i++) {
			const place = block.seqAt(i) - minSeq
			// A value ends behind the header of its block, so 0 there means that the place is free; outside it is undefined.
			if (places[place * PLACE_WIDTH + 3] !== 0) throw wrong()
			putPlace(places, place, block, number, i)
			if (expiries !== undefined) expiries[place] = block.expiresAtMsAt(i)
		}
		if (slicer.isOver) {
			await slicer.yield()
			signal?.throwIfAborted()
		}
	}
	return { blocks, count, places, seqs: undefined, minSeq, expiries }
}

function putPlace(places: Uint32Array, place: number, block: Block, number: number, entry: number): void {
	const at = place * PLACE_WIDTH
	places[at] = number | (block.kindAt(entry) << KIND_SHIFT)
	places[at + 1] = block.suffixStartAt(entry)
	places[at + 2] = block.valueStartAt(entry)
	places[at + 3] = block.valueEndAt(entry)
}

/** The entries within the range only: sorted by number and index packed into one float. */
async function orderPart(request: TableRequest, blocks: readonly Block[], slicer: Slicer): Promise<OrderedTable> {
	const { ref, filter, signal } = request
	const { minSeq, maxSeq } = ref.meta
	const { lower, upper } = filter
	const spans = blocks.map(block => ({
		first: lower === undefined ? 0 : block.seek(lower),
		end: upper === undefined ? block.count : block.seek(upper),
	}))
	const count = spans.reduce((sum, { first, end }) => sum + end - first, 0)
	// number × count + index is exact below 2^53: a table of 2^26 entries has numbers below 2^26.
	if ((maxSeq - minSeq + 1) * Math.max(1, count) > Number.MAX_SAFE_INTEGER) {
		throw corrupt(`${ref.objectKey} (table ${ref.id})`, `a table that claims sequence numbers up to ${maxSeq}`)
	}
	const order = new Float64Array(count)
	const blockOf = new Uint32Array(count)
	const entryOf = new Uint32Array(count)
	let found = 0
	for (const [number, block] of blocks.entries()) {
		const { first, end } = spans[number] as { first: number; end: number }
		for (let i = first; i < end; i++, found++) {
			blockOf[found] = number
			entryOf[found] = i
			order[found] = (block.seqAt(i) - minSeq) * count + found
		}
		if (slicer.isOver) {
			await slicer.yield()
			signal?.throwIfAborted()
		}
	}
	order.sort()
	const places = new Uint32Array(count * PLACE_WIDTH)
	const seqs = new Float64Array(count)
	const expiries = blocks.some(block => block.hasExpiry) ? new Float64Array(count) : undefined
	for (let place = 0; place < count; place++) {
		const index = (order[place] as number) % count
		const block = blocks[blockOf[index] as number] as Block
		const entry = entryOf[index] as number
		putPlace(places, place, block, blockOf[index] as number, entry)
		seqs[place] = block.seqAt(entry)
		if (expiries !== undefined) expiries[place] = block.expiresAtMsAt(entry)
	}
	return { blocks, count, places, seqs, minSeq, expiries }
}
