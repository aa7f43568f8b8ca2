/**
 * Fetches what is not in memory of a table: from the disk cache where there is one and it has it, else from the store.
 *
 * Steps: what the disk has is decoded. What it lacks is read by one ranged GET: of several blocks the shortest range that
 * holds all that is missing, of a small table the whole. What the store gave is offered to the disk once it has been decoded, so that nothing damaged
 * is ever kept.
 *
 * Invariants: a short answer of the store is never taken for the whole; an absent object is `ISLE_NOT_FOUND`; what the disk
 * gave and cannot be decoded is dropped and read from the store.
 */
import { corrupt, IsleError, isIsleError } from '../errors.ts'
import type { ByteRange, ObjectStore } from '../object-store/object-store.ts'
import type { OperationCounts } from '../object-store/operation-counts.ts'
import type { Tracer } from '../object-store/trace.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { Block } from '../sst/block.ts'
import { BriefPlace } from '../sst/block-kernel.ts'
import { metaRange, openTable, type SstTable } from '../sst/sst-table.ts'
import { decodeInline, decodeInPool, estimatedRawBytes, POOL_MIN_RAW_BYTES } from './decode-blocks.ts'
import type { DiskTables } from './disk-tables.ts'
import type { TableSlot } from './table-slot.ts'

/** No store answers at once for more (`QUICK_READ_MAX_BYTES`). */
const NOW_MAX_BYTES = 65_536

export interface OpenedTable {
	readonly table: SstTable
	/** All of them, or none. */
	readonly blocks: readonly Block[]
}

export interface TableFetcherOptions {
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly disk?: DiskTables | undefined
	readonly tracer: Tracer
	readonly counts: OperationCounts
}

export class TableFetcher {
	readonly #store: ObjectStore
	readonly #pool: JobPool
	readonly #disk: DiskTables | undefined
	readonly #tracer: Tracer
	readonly #counts: OperationCounts
	/** For stored bytes that are decoded at once. */
	readonly #memory = new BriefPlace()

	constructor({ store, pool, disk, tracer, counts }: TableFetcherOptions) {
		this.#store = store
		this.#pool = pool
		this.#disk = disk
		this.#tracer = tracer
		this.#counts = counts
	}

	/**
	 * At the most one GET, which brings the blocks too of a table that is no larger than `wholeMaxBytes`, unless one is damaged.
	 * @throws ISLE_NOT_FOUND, ISLE_CORRUPT, what the store throws, the signal's reason.
	 */
	async table(slot: TableSlot, wholeMaxBytes: number, signal: AbortSignal | undefined): Promise<OpenedTable> {
		const { meta } = slot.ref
		const kept = this.#disk === undefined ? undefined : await this.#disk.metadata(slot)
		if (kept !== undefined) {
			const table = unlessCorrupt(() => openTable(meta, kept, slot.where))
			if (table !== undefined) {
				this.#sawTable(slot, 'disk')
				return { table, blocks: [] }
			}
			this.#disk?.discardMetadata(slot)
		}
		const isSmall = meta.storedBytes <= wholeMaxBytes && meta.rawBytes <= POOL_MIN_RAW_BYTES
		const range = isSmall ? { offset: 0, bytes: meta.storedBytes } : metaRange(meta)
		const bytes = await this.#read(slot, range, signal)
		const metaBytes = bytes.subarray(meta.metaOffset - range.offset)
		const table = openTable(meta, metaBytes, slot.where)
		this.#disk?.keepMetadata(slot, metaBytes)
		this.#sawTable(slot, 'store')
		return { table, blocks: isSmall ? this.#blocksAlong(slot, table, bytes.subarray(0, meta.metaOffset)) : [] }
	}

	/** None where one is damaged: that is for whoever asks for it. */
	#blocksAlong(slot: TableSlot, table: SstTable, stored: Uint8Array): readonly Block[] {
		const count = table.blockCount
		const blocks = unlessCorrupt(() => decodeInline(table, 0, count, stored, slot.where)) ?? []
		if (blocks.length === 0) return blocks
		this.#sawBlocks(slot, 0, count, 'store')
		this.#disk?.keepBlocks(slot, table, 0, count, stored)
		return blocks
	}

	/**
	 * Block `index` at once, from a store that can; in `memory`, or in its own. A promise: ask again when it has resolved.
	 * @throws ISLE_CORRUPT.
	 */
	blockNow(
		slot: TableSlot,
		table: SstTable,
		index: number,
		memory: BriefPlace | undefined,
	): Block | Promise<void> | undefined {
		if (this.#disk !== undefined || this.#store.readNow === undefined) return undefined
		const { offset, bytes } = table.blockRange(index)
		if (bytes > NOW_MAX_BYTES || estimatedRawBytes(table, bytes) > POOL_MIN_RAW_BYTES) return undefined
		const { ref } = slot
		// A block that is not compressed keeps the memory into which it is read.
		const isKept = memory === undefined && table.meta.codec === 'none'
		const stored = isKept ? new Uint8Array(bytes) : (memory ?? this.#memory).stored(bytes)
		const answer = this.#store.readNow(ref.objectKey, ref.offset + offset, stored)
		if (answer === true) {
			this.#sawBlocks(slot, index, 1, 'store')
			return table.decodeBlock(index, stored, slot.where, memory)
		}
		return answer === false ? undefined : answer
	}

	/** Blocks `first` to `first + count − 1`: at the most one GET. @throws as `table`. */
	async blocks(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		signal: AbortSignal | undefined,
	): Promise<readonly Block[]> {
		const disk = this.#disk
		if (disk === undefined) {
			this.#sawBlocks(slot, first, count, 'store')
			return await this.#decode(
				slot,
				table,
				first,
				count,
				await this.#readBlocks(slot, table, first, count, signal),
				signal,
			)
		}
		const kept = await disk.blocks(slot, table, first, count)
		let from = kept.indexOf(undefined)
		if (from < 0) {
			try {
				const blocks = await this.#decode(slot, table, first, count, joined(kept), signal)
				this.#sawBlocks(slot, first, count, 'disk')
				return blocks
			} catch (error) {
				if (!isIsleError(error, 'ISLE_CORRUPT')) throw error
				disk.discardBlocks(slot, table, first, count)
				kept.fill(undefined)
				from = 0
			}
		}
		const missing = kept.lastIndexOf(undefined) - from + 1
		this.#sawBlocks(slot, first, from, 'disk')
		this.#sawBlocks(slot, first + from, missing, 'store')
		this.#sawBlocks(slot, first + from + missing, count - from - missing, 'disk')
		const fetched = await this.#readBlocks(slot, table, first + from, missing, signal)
		const stored =
			missing === count ? fetched : joined([...kept.slice(0, from), fetched, ...kept.slice(from + missing)])
		const blocks = await this.#decode(slot, table, first, count, stored, signal)
		disk.keepBlocks(slot, table, first + from, missing, fetched)
		return blocks
	}

	/** The same blocks as the store has them. */
	stored(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		signal: AbortSignal | undefined,
	): Promise<Uint8Array> {
		this.#sawBlocks(slot, first, count, 'store')
		return this.#readBlocks(slot, table, first, count, signal)
	}

	#sawTable(slot: TableSlot, origin: 'disk' | 'store'): void {
		this.#counts.tables[origin]++
		this.#tracer.current()?.sawTable(slot.ref.id, origin)
	}

	#sawBlocks(slot: TableSlot, first: number, count: number, origin: 'disk' | 'store'): void {
		this.#counts.blocks[origin] += count
		const trace = this.#tracer.current()
		if (trace === undefined) return
		for (let index = first; index < first + count; index++) trace.sawBlock(slot.ref.id, index, origin)
	}

	#decode(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		stored: Uint8Array,
		signal: AbortSignal | undefined,
	): readonly Block[] | Promise<readonly Block[]> {
		return estimatedRawBytes(table, stored.length) > POOL_MIN_RAW_BYTES
			? decodeInPool(this.#pool, table, first, count, stored, slot.where, signal)
			: decodeInline(table, first, count, stored, slot.where)
	}

	#readBlocks(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		signal: AbortSignal | undefined,
	): Promise<Uint8Array> {
		const { offset } = table.blockRange(first)
		const last = table.blockRange(first + count - 1)
		return this.#read(slot, { offset, bytes: last.offset + last.bytes - offset }, signal)
	}

	/** `range` counts from the start of the table. */
	async #read(slot: TableSlot, range: ByteRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
		signal?.throwIfAborted()
		const { objectKey, offset } = slot.ref
		const inObject = { offset: offset + range.offset, bytes: range.bytes }
		const bytes = await this.#store.getRange(objectKey, inObject, signal === undefined ? undefined : { signal })
		if (bytes === undefined) {
			throw new IsleError('ISLE_NOT_FOUND', `the object of a table is gone: key=\`${objectKey}\``, {
				details: { key: objectKey },
			})
		}
		if (bytes.length === range.bytes) return bytes
		throw corrupt(objectKey, `${bytes.length} bytes instead of ${range.bytes} from offset ${inObject.offset}`)
	}
}

function unlessCorrupt<Value>(decode: () => Value): Value | undefined {
	try {
		return decode()
	} catch (error) {
		if (isIsleError(error, 'ISLE_CORRUPT')) return undefined
		throw error
	}
}

/** The pieces after one another; one alone as it is. */
function joined(pieces: readonly (Uint8Array | undefined)[]): Uint8Array {
	const [only] = pieces
	if (pieces.length === 1 && only !== undefined) return only
	const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + (piece?.length ?? 0), 0))
	let at = 0
	for (const piece of pieces) {
		if (piece === undefined) continue
		whole.set(piece, at)
		at += piece.length
	}
	return whole
}
