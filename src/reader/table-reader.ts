/**
 * Reads the blocks of one table one after another, in either direction, ahead of the scan that uses them.
 *
 * Steps: a cached block is handed out at once. A cold one begins a window: a run of cold neighbours that is read by one
 * GET. As soon as a window is entered the next one is requested, twice as large: 64 KiB, doubling up to a limit.
 *
 * Invariants: at the most one window is in hand and one under way; a request ahead that fails is reported when its
 * blocks are asked for, and never before or instead of others.
 */
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { Ending } from '../host/ending.ts'
import type { Block } from '../sst/block.ts'
import type { SstTable } from '../sst/sst-table.ts'

/** First window: about four blocks, or one round trip's worth at 5 Mbit/s. A table that is no larger is read whole when it is opened. */
const WINDOW_MIN_BYTES = 65_536
/** Longest window: at 100 MB/s it takes as long as a round trip to a near store (10 ms). */
export const WINDOW_MAX_BYTES = 1_048_576

/** What all table readers of one scan share. */
export interface ScanContext {
	readonly source: TableSource
	readonly ending: Pick<Ending, 'signal'>
	readonly reverse: boolean
	/** Of one table reader; less than `WINDOW_MAX_BYTES` when a scan has many. At least one block is read. */
	readonly windowMaxBytes: number
	/** Entries that the scan may still give, by its limit: what lies beyond is not read ahead. */
	readonly remaining: () => number
}

interface Window {
	readonly first: number
	readonly count: number
	blocks: readonly Block[] | undefined
	readonly arrival: Promise<void>
	error: unknown
	hasFailed: boolean
}

export class TableReader {
	readonly slot: TableSlot
	readonly #context: ScanContext
	table: SstTable | undefined
	#opening: Promise<void> | undefined
	#openError: unknown
	#hasFailed = false
	#current: Window | undefined
	#next: Window | undefined
	#windowBytes: number

	constructor(slot: TableSlot, context: ScanContext) {
		this.slot = slot
		this.#context = context
		this.#windowBytes = Math.min(WINDOW_MIN_BYTES, context.windowMaxBytes)
	}

	/** Opens the table. Undefined: it is open. Otherwise call again when the promise has resolved. @throws what opening threw. */
	open(): Promise<void> | undefined {
		if (this.table !== undefined) return undefined
		if (this.#hasFailed) throw this.#openError
		if (this.#opening !== undefined) return this.#opening
		this.table = this.#context.source.cachedTable(this.slot)
		if (this.table !== undefined) return undefined
		this.#opening = this.#context.source.openTable(this.slot, this.#context.ending.signal, WINDOW_MIN_BYTES).then(
			table => {
				this.table = table
			},
			(error: unknown) => {
				this.#hasFailed = true
				this.#openError = error
			},
		)
		return this.#opening
	}

	/** Block `index`, or a promise after which it is to be asked for again. @throws what reading it threw. */
	block(index: number): Block | Promise<void> {
		const inHand = this.#blockOf(this.#current, index)
		if (inHand !== undefined) return inHand
		if (isWithin(this.#next, index)) {
			const next = this.#next as Window
			if (next.hasFailed) throw next.error
			if (next.blocks === undefined) return next.arrival
			this.#current = next
			this.#next = undefined
			this.#readAhead(index)
			return next.blocks[index - next.first] as Block
		}
		const { source } = this.#context
		const cached = source.cachedBlock(this.slot, this.table as SstTable, index)
		if (cached !== undefined) return cached
		this.#next = this.#startWindow(index)
		return this.#next.arrival
	}

	/**
	 * Where the blocks end that are on their way, in the direction of the scan: a key that none of their entries lies behind. Of a
	 * table that is being opened, where it ends.
	 */
	get horizon(): Uint8Array | undefined {
		const { table } = this
		const window = this.#next
		if (table === undefined)
			return this.#context.reverse ? this.slot.ref.meta.smallestKey : this.slot.ref.meta.largestKey
		if (window === undefined) return undefined
		if (this.#context.reverse) return window.first === 0 ? table.meta.smallestKey : table.separatorOf(window.first)
		const end = window.first + window.count
		return end === table.blockCount ? table.meta.largestKey : table.separatorOf(end)
	}

	#blockOf(window: Window | undefined, index: number): Block | undefined {
		return isWithin(window, index) ? window?.blocks?.[index - window.first] : undefined
	}

	/** Requests the window that follows the current one, if what follows is cold. */
	#readAhead(entered: number): void {
		const { reverse, source } = this.#context
		const current = this.#current as Window
		const index = reverse ? current.first - 1 : current.first + current.count
		const table = this.table as SstTable
		if (index < 0 || index >= table.blockCount || source.hasBlock(this.slot, index)) return
		if (this.#context.remaining() <= this.#entriesOf(Math.abs(index - entered))) return
		this.#next = this.#startWindow(index)
	}

	#startWindow(index: number): Window {
		const { reverse, source, ending } = this.#context
		const table = this.table as SstTable
		const step = reverse ? -1 : 1
		const remaining = this.#context.remaining()
		// Of the block where a scan begins only its last entry may be wanted.
		const partial = this.#current === undefined ? 1 : 0
		let bytes = table.blockRange(index).bytes
		let count = 1
		for (let next = index + step; next >= 0 && next < table.blockCount; next += step, count++) {
			bytes += table.blockRange(next).bytes
			const isFull = bytes > this.#windowBytes || this.#entriesOf(count - partial) >= remaining
			if (isFull || source.hasBlock(this.slot, next)) break
		}
		this.#windowBytes = Math.min(this.#windowBytes * 2, this.#context.windowMaxBytes)
		const first = reverse ? index - count + 1 : index
		const window: Window = {
			first,
			count,
			blocks: undefined,
			error: undefined,
			hasFailed: false,
			arrival: source.readBlocks(this.slot, table, first, count, ending.signal).then(
				blocks => {
					window.blocks = blocks
				},
				(error: unknown) => {
					window.hasFailed = true
					window.error = error
				},
			),
		}
		return window
	}

	/** About how many entries `blocks` blocks hold. */
	#entriesOf(blocks: number): number {
		const { entryCount } = this.slot.ref.meta
		return (entryCount / (this.table as SstTable).blockCount) * blocks
	}
}

function isWithin(window: Window | undefined, index: number): boolean {
	return window !== undefined && index >= window.first && index < window.first + window.count
}
