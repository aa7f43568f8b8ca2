/**
 * Tables that do not overlap, one after another, as one input of a scan: a sorted run, or L0 tables that happen to lie
 * side by side.
 *
 * A table is opened when the merge reaches its first key; while its last blocks are read, the next one is prepared.
 */
import { compareBytes } from '../bytes/compare.ts'
import type { TableSlot } from '../cache/table-slot.ts'
import { invariant } from '../errors.ts'
import type { SstTable } from '../sst/sst-table.ts'
import { type ScanBounds, ScanSource } from './scan-source.ts'
import { firstTableBeyond, firstTableFrom, type TableChain } from './search-plan.ts'
import { type ScanContext, TableReader } from './table-reader.ts'

/** The next table is prepared when this many blocks of the current one are left. */
const PREPARE_BLOCKS = 16

/** Blocks of a table, from `first` up to `end`, which is not one. */
interface BlockSpan {
	readonly first: number
	readonly end: number
}

export class ChainSource extends ScanSource {
	readonly #chain: TableChain
	readonly #context: ScanContext
	readonly maxSeq: number
	/** The tables within the bounds: from `#first` up to `#end`, which is not one. */
	readonly #first: number
	readonly #end: number
	/** Tables that are left are those from here on, in the direction of the scan. */
	#at: number
	#reader: TableReader | undefined
	#upcoming: TableReader | undefined
	/** The next block of `#reader`; undefined before its first. */
	#block: number | undefined
	/** The blocks of `#reader` that may hold entries within the bounds. */
	#reach: BlockSpan | undefined

	constructor(chain: TableChain, bounds: ScanBounds, context: ScanContext) {
		super(bounds)
		const { lower, upper, reverse } = bounds
		this.#chain = chain
		this.#context = context
		this.#first = lower === undefined ? 0 : firstTableFrom(chain, lower)
		this.#end = upper === undefined ? chain.tables.length : firstTableBeyond(chain, upper)
		this.maxSeq = chain.maxSeq
		this.#at = reverse ? this.#end - 1 : this.#first
		this.#waitForTable()
	}

	override fill(): Promise<void> | undefined {
		while (this.page === undefined && !this.isDone) {
			const reader = this.#takeReader()
			const opening = reader.open()
			if (opening !== undefined) return opening
			const table = reader.table as SstTable
			this.#reach ??= reachOf(table, this.bounds)
			const reach = this.#reach
			const index = this.#block ?? firstBlockOf(reach, this.bounds)
			if (index < reach.first || index >= reach.end) {
				this.#nextTable()
				// The merge need not come to the next table yet: it stands at that table's head.
				return undefined
			}
			const block = reader.block(index)
			if (block instanceof Promise) return block
			this.#block = this.bounds.reverse ? index - 1 : index + 1
			const blocksLeft = this.bounds.reverse ? index : table.blockCount - 1 - index
			if (blocksLeft < PREPARE_BLOCKS && this.#context.remaining() > blocksLeft * block.count) this.#prepareNext()
			if (!this.enter(block) && this.#isPast(block.keyAt(this.bounds.reverse ? block.count - 1 : 0))) this.finish()
		}
		return undefined
	}

	override get horizon(): Uint8Array | undefined {
		return this.#reader?.horizon
	}

	override prepare(): void {
		if (this.page !== undefined || this.isDone) return
		const reader = this.#takeReader()
		prepare(reader, this.bounds)
	}

	/** Whether nothing at or behind `key` is within the bounds, in the direction of the scan. */
	#isPast(key: Uint8Array): boolean {
		const { lower, upper, reverse } = this.bounds
		if (reverse) return lower !== undefined && compareBytes(key, lower) < 0
		return upper !== undefined && compareBytes(key, upper) >= 0
	}

	#takeReader(): TableReader {
		const slot = this.#slotAt(this.#at)
		invariant(slot !== undefined, 'a source that is not done has a table')
		this.#reader ??= this.#upcoming ?? new TableReader(slot, this.#context)
		if (this.#reader === this.#upcoming) this.#upcoming = undefined
		return this.#reader
	}

	#nextTable(): void {
		this.#reader = undefined
		this.#block = undefined
		this.#reach = undefined
		this.#at += this.bounds.reverse ? -1 : 1
		this.#waitForTable()
	}

	#prepareNext(): void {
		const slot = this.#slotAt(this.#at + (this.bounds.reverse ? -1 : 1))
		if (slot === undefined || this.#upcoming !== undefined) return
		this.#upcoming = new TableReader(slot, this.#context)
		prepare(this.#upcoming, this.bounds)
	}

	#slotAt(index: number): TableSlot | undefined {
		return this.#isWithin(index) ? this.#chain.slotAt(index) : undefined
	}

	#isWithin(index: number): boolean {
		return index >= this.#first && index < this.#end
	}

	#waitForTable(): void {
		const table = this.#isWithin(this.#at) ? this.#chain.tables[this.#at] : undefined
		if (table === undefined) {
			this.finish()
			return
		}
		const { lower, upper, reverse } = this.bounds
		const { smallestKey, largestKey } = table.meta
		if (reverse) this.waitAt(upper !== undefined && compareBytes(upper, largestKey) < 0 ? upper : largestKey)
		else this.waitAt(lower !== undefined && compareBytes(lower, smallestKey) > 0 ? lower : smallestKey)
	}
}

/** Opens the table of `reader` and asks for its first block, without waiting; failures show when the scan comes there. */
function prepare(reader: TableReader, bounds: ScanBounds): void {
	const askFirst = (): void => {
		if (reader.table === undefined) return
		const reach = reachOf(reader.table, bounds)
		if (reach.first < reach.end) void reader.block(firstBlockOf(reach, bounds))
	}
	try {
		const opening = reader.open()
		if (opening === undefined) askFirst()
		else void opening.then(askFirst).catch(() => undefined)
	} catch {
		// The same failure is thrown again when the scan asks.
	}
}

/** Backwards the last block within reach, not the one that `upper` would be in: that begins behind the range when they are equal. */
function firstBlockOf({ first, end }: BlockSpan, { reverse }: ScanBounds): number {
	return reverse ? end - 1 : first
}

/** Also the blocks in which older versions of the last key before `upper` go on: a snapshot may need one of them. */
function reachOf(table: SstTable, { lower, upper }: ScanBounds): BlockSpan {
	const { first, end } = table.blocksBetween(lower ?? null, upper ?? null)
	if (upper === undefined || upper.at(-1) !== 0) return { first, end }
	const lastKey = upper.subarray(0, -1)
	let last = end
	while (last > 0 && table.mayContinue(last - 1, lastKey)) last++
	return { first, end: last }
}
