/**
 * Where reading gets tables and blocks: from memory when they are there, else from files of a cache, else from the store.
 *
 * Steps: a table is opened by one GET of its end (filter, index, properties), or of all of it when it is small; blocks that stand beside one another are
 * read by one GET. Both are single-flight, both stay in caches that are bounded in bytes. Bytes that are in memory
 * anyway (a table that came inside a log record, one that was just encoded) are offered, and then nothing is read.
 *
 * Invariants: a `TableSlot` holds what is in memory of one table and nothing else does; what is cached keeps no larger buffer
 * alive; whoever reads a block holds it himself, so that evicting it frees nothing under him; an absent object is
 * `ISLE_NOT_FOUND`, which the reader turns into a refresh or `ISLE_EXPIRED`.
 */
import type { TableRef } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { OperationCounts } from '../object-store/operation-counts.ts'
import { Tracer } from '../object-store/trace.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { Block } from '../sst/block.ts'
import { BriefPlace } from '../sst/block-kernel.ts'
import { openTable, type SstTable } from '../sst/sst-table.ts'
import { ByteCache, type CacheStats } from './byte-cache.ts'
import { decodeInline } from './decode-blocks.ts'
import type { DiskCacheStats } from './disk-cache.ts'
import type { DiskTables } from './disk-tables.ts'
import { Flight } from './single-flight.ts'
import { TableFetcher } from './table-fetcher.ts'
import type { BlockRead, TableSlot } from './table-slot.ts'
import { TableSlots } from './table-slots.ts'

export const DEFAULT_BLOCK_CACHE_BYTES: number = 64 * 1024 * 1024
export const DEFAULT_TABLE_CACHE_BYTES: number = 256 * 1024 * 1024
/** Stored tables that were offered: sixteen of the largest that ride in a log record (1 MiB). */
const DEFAULT_OFFERED_BYTES: number = 16 * 1024 * 1024

export interface TableSourceOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	/** Decodes what would hold this thread up. */
	readonly pool: JobPool
	/** Bound of decoded blocks. Default 64 MiB; 0 keeps none. */
	readonly blockCacheBytes?: number | undefined
	/** Bound of opened tables (filters and indexes). Default 64 MiB; 0 keeps none. */
	readonly tableCacheBytes?: number | undefined
	/** Bound of offered tables, as stored, with 2,400 bytes for each. Default 16 MiB; 0 keeps none. */
	readonly offeredBytes?: number | undefined
	/** Files beneath the memory. Default: none. Whoever opened its cache closes it. */
	readonly disk?: DiskTables | undefined
	/** Is told where tables and blocks came from. Default: nobody. */
	readonly tracer?: Tracer | undefined
}

/** What all sources of one database share. */
interface SourceMemory {
	readonly blocks: ByteCache<Block>
	readonly tables: ByteCache<SstTable>
	readonly slots: TableSlots
}

export interface TableSourceStats {
	readonly blocks: CacheStats
	readonly tables: CacheStats
	/** Bytes of offered tables that are kept. */
	readonly offeredBytes: number
	/** Undefined without a disk cache. */
	readonly disk: DiskCacheStats | undefined
}

export class TableSource {
	readonly #options: TableSourceOptions
	readonly #memory: SourceMemory
	readonly #counts: OperationCounts
	readonly #fetcher: TableFetcher
	/** Gives blocks as the store has them, for whoever needs all of them once. Undefined where they may stand on a disk. */
	readonly direct: Pick<TableFetcher, 'stored'> | undefined
	readonly #tracer: Tracer
	readonly #blocks: ByteCache<Block>
	readonly #tables: ByteCache<SstTable>
	/** Of all sources that share the memory. */
	readonly demand: Pick<TableSlots, 'wantsOffers'>
	readonly #briefMemory: BriefPlace | undefined
	#turn: Promise<void> | undefined

	/** With `memory` and `counts`: use `countedBy`. */
	constructor(options: TableSourceOptions, memory?: SourceMemory, counts: OperationCounts = new OperationCounts()) {
		const { blockCacheBytes = DEFAULT_BLOCK_CACHE_BYTES, tableCacheBytes = DEFAULT_TABLE_CACHE_BYTES } = options
		this.#options = options
		this.#memory = memory ?? {
			blocks: new ByteCache(blockCacheBytes),
			tables: new ByteCache(tableCacheBytes),
			slots: new TableSlots(options.offeredBytes ?? DEFAULT_OFFERED_BYTES),
		}
		this.#counts = counts
		this.#tracer = options.tracer ?? new Tracer()
		this.#fetcher = new TableFetcher({ ...options, store: counts.over(options.store), tracer: this.#tracer, counts })
		this.direct = options.disk === undefined ? this.#fetcher : undefined
		this.#blocks = this.#memory.blocks
		this.#tables = this.#memory.tables
		this.demand = this.#memory.slots
		this.#briefMemory = blockCacheBytes === 0 ? new BriefPlace() : undefined
	}

	/** The same, with the same memory: what is read through it is counted by `counts`. */
	countedBy(counts: OperationCounts): TableSource {
		return new TableSource(this.#options, this.#memory, counts)
	}

	/** The slot of `ref`, always the same one while anything of the table is in memory. */
	slot(ref: TableRef): TableSlot {
		return this.#memory.slots.get(ref)
	}

	/**
	 * Makes a table readable without a GET, as long as the bounds allow. `bytes` is the whole table as stored; it is kept
	 * as it is (not copied) and must not change. @throws ISLE_CORRUPT.
	 */
	offerTable(ref: TableRef, bytes: Uint8Array): void {
		this.#memory.slots.offer(ref, bytes)
	}

	/** Drops what is cached of a table that nobody will read any more (one that was merged into another). */
	forget(ref: TableRef): void {
		const slot = this.#memory.slots.take(ref)
		if (slot === undefined) return
		this.#tables.deleteShelf(slot.tables)
		this.#blocks.deleteShelf(slot.blocks)
	}

	/** The table, if no GET is needed. @throws ISLE_CORRUPT when offered bytes are damaged. */
	cachedTable(slot: TableSlot): SstTable | undefined {
		const table = this.#tables.get(slot.tables, 0)
		if (table === undefined && slot.offered === undefined) return undefined
		this.#counts.tables.memory++
		if (this.#tracer.isActive) this.#tracer.current()?.sawTable(slot.ref.id, 'memory')
		if (table !== undefined || slot.offered === undefined) return table
		const metaBytes = slot.offered.subarray(slot.ref.meta.metaOffset)
		return this.#keepTable(slot, openTable(slot.ref.meta, metaBytes, slot.where))
	}

	/** A block, if no GET is needed. @throws ISLE_CORRUPT when offered bytes are damaged. */
	cachedBlock(slot: TableSlot, table: SstTable, index: number): Block | undefined {
		const block = this.#blocks.get(slot.blocks, index)
		if (block === undefined && slot.offered === undefined) return undefined
		this.#counts.blocks.memory++
		if (this.#tracer.isActive) this.#tracer.current()?.sawBlock(slot.ref.id, index, 'memory')
		if (block !== undefined || slot.offered === undefined) return block
		const { offset, bytes } = table.blockRange(index)
		const decoded = decodeInline(table, index, 1, slot.offered.subarray(offset, offset + bytes), slot.where)
		this.#keepBlocks(slot, table, index, decoded)
		return decoded[0]
	}

	/**
	 * A block that is not in memory, if the store gives it at once. One that the cache would not keep stands in memory that the
	 * next call takes, when `isBrief`. Undefined: `takeTurn` may say when to ask again. @throws ISLE_CORRUPT.
	 */
	readBlockNow(slot: TableSlot, table: SstTable, index: number, isBrief: boolean): Block | undefined {
		if (slot.reading.has(index)) return undefined
		const memory = isBrief ? this.#briefMemory : undefined
		const answer = this.#fetcher.blockNow(slot, table, index, memory)
		if (answer instanceof Promise) {
			this.#turn = answer
			return undefined
		}
		if (answer !== undefined && memory === undefined) this.#keepBlocks(slot, table, index, [answer])
		return answer
	}

	/** When `readBlockNow` may give what it has just refused. Told once. */
	takeTurn(): Promise<void> | undefined {
		const turn = this.#turn
		this.#turn = undefined
		return turn
	}

	/** Of this and the one below: from memory, and no use. */
	peekTable(slot: TableSlot): SstTable | undefined {
		return this.#tables.peek(slot.tables, 0)
	}

	peekBlock(slot: TableSlot, index: number): Block | undefined {
		return this.#blocks.peek(slot.blocks, index)
	}

	/** Whether a block needs no GET; does not count as a use. */
	hasBlock(slot: TableSlot, index: number): boolean {
		return slot.offered !== undefined || this.#blocks.peek(slot.blocks, index) !== undefined
	}

	/**
	 * Opens a table: at the most one GET. Of one that is no larger than `wholeMaxBytes` the blocks are in memory then, too, if blocks are
	 * kept at all. @throws ISLE_NOT_FOUND, ISLE_CORRUPT, what the store throws, the signal's reason.
	 */
	openTable(slot: TableSlot, signal: AbortSignal | undefined, wholeMaxBytes = 0): Promise<SstTable> {
		if (slot.opening === undefined) {
			slot.opening = new Flight(
				signal,
				async shared => {
					const { table, blocks } = await this.#fetcher.table(
						slot,
						this.#briefMemory === undefined ? wholeMaxBytes : 0,
						shared,
					)
					this.#keepBlocks(slot, table, 0, blocks)
					return this.#keepTable(slot, table)
				},
				() => {
					slot.opening = undefined
				},
			)
		} else {
			this.#counts.tables.shared++
			this.#tracer.current()?.sawTable(slot.ref.id, 'shared')
		}
		return slot.opening.join(signal)
	}

	/**
	 * Reads blocks `first` to `first + count − 1` by one GET. Those that somebody else is reading already are waited for
	 * instead, so that the result may take more than one GET, side by side; none is read twice at a time.
	 */
	readBlocks(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		signal: AbortSignal | undefined,
	): Promise<readonly Block[]> {
		if (count === 1 && !slot.reading.has(first)) {
			return this.#startRead(slot, table, first, 1, signal).flight.join(signal)
		}
		const reads: Promise<readonly Block[]>[] = []
		for (let index = first; index < first + count; ) {
			const shared = slot.reading.get(index)
			if (shared === undefined) {
				let end = index + 1
				while (end < first + count && !slot.reading.has(end)) end++
				reads.push(this.#startRead(slot, table, index, end - index, signal).flight.join(signal))
				index = end
			} else {
				const from = index - shared.first
				const trace = this.#tracer.current()
				for (; index < first + count && slot.reading.get(index) === shared; index++) {
					trace?.sawBlock(slot.ref.id, index, 'shared')
				}
				const to = index - shared.first
				this.#counts.blocks.shared += to - from
				reads.push(shared.flight.join(signal).then(blocks => blocks.slice(from, to)))
			}
		}
		const [only] = reads
		return reads.length === 1 && only !== undefined ? only : Promise.all(reads).then(parts => parts.flat())
	}

	stats(): TableSourceStats {
		return {
			blocks: this.#blocks.stats(),
			tables: this.#tables.stats(),
			offeredBytes: this.#memory.slots.offeredBytes,
			disk: this.#options.disk?.stats(),
		}
	}

	#startRead(
		slot: TableSlot,
		table: SstTable,
		first: number,
		count: number,
		signal: AbortSignal | undefined,
	): BlockRead {
		const flight = new Flight(
			signal,
			async shared => {
				const blocks = await this.#fetcher.blocks(slot, table, first, count, shared)
				this.#keepBlocks(slot, table, first, blocks)
				return blocks
			},
			() => {
				for (let i = first; i < first + count; i++) slot.reading.delete(i)
			},
		)
		const read: BlockRead = { first, flight }
		for (let i = first; i < first + count; i++) slot.reading.set(i, read)
		return read
	}

	#keepTable(slot: TableSlot, table: SstTable): SstTable {
		slot.blocks.reserve(table.blockCount)
		this.#tables.put(slot.tables, 0, table, table.memoryBytes)
		this.#memory.slots.register(slot)
		return table
	}

	#keepBlocks(slot: TableSlot, table: SstTable, first: number, blocks: readonly Block[]): void {
		slot.blocks.reserve(table.blockCount)
		for (const [i, block] of blocks.entries()) {
			this.#blocks.put(slot.blocks, first + i, block, block.memoryBytes)
		}
		this.#memory.slots.register(slot)
	}
}
