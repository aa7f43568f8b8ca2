/**
 * Cuts the key space of a merge into ranges whose input fits into memory, along the block indexes of its inputs.
 *
 * The inputs are chains: a run, or one table of L0. `next` takes where the last range ended and grows the next one block by
 * block, always at the chain whose next block begins first, until one more would take it past the budget. A range ends
 * where a block begins, so that only its first block of each chain is read by two ranges.
 *
 * Invariants: ranges follow one another without gaps; a range takes at most the budget, or, where that is more, what it
 * cannot do without: one block of each chain. At most one table of each chain is open before a range reaches it: hundreds of
 * small ones are asked for at once, and planned once. Blocks that hold
 * only older versions of a key cannot win: they are left out where that saves more than a request costs.
 */
import { compareBytes } from '../bytes/compare.ts'
import { invariant } from '../errors.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { SstTable } from '../sst/sst-table.ts'

/** Old blocks in a row are read along when they are fewer bytes than this: a GET of its own costs as much. */
const SKIP_MIN_BYTES = 131_072

/** Keys from `lower` (`null`: from the first) to below `upper` (`null`: to the last). */
export interface KeyRange {
	readonly lower: Uint8Array | null
	readonly upper: Uint8Array | null
}

/** Blocks of one table that lie beside one another. */
export interface RangePart {
	readonly ref: TableRef
	readonly firstBlock: number
	readonly blockCount: number
	/** As stored. */
	readonly bytes: number
}

export interface MergeRange extends KeyRange {
	readonly parts: readonly RangePart[]
	/** Stored bytes of all parts: what a job gets. */
	readonly inputBytes: number
}

export type NextRange =
	| { readonly kind: 'range'; readonly range: MergeRange }
	/** These tables are needed to go on, the first of each chain at which it stands: open them and ask again. */
	| { readonly kind: 'open'; readonly refs: readonly TableRef[] }

/** Tables in key order that do not overlap: a sorted run, or one table of L0. */
export type Chain = readonly TableRef[]

/**
 * The range that begins at `within.lower`; it ends at `within.upper` at the latest. `opened` answers the tables that are open.
 *
 * @throws an invariant's Error for a budget below 1.
 */
export function nextRange(
	chains: readonly Chain[],
	within: KeyRange,
	budgetBytes: number,
	opened: (ref: TableRef) => SstTable | undefined,
): NextRange {
	invariant(budgetBytes >= 1, `a range of ${budgetBytes} bytes`)
	const cursors = chains.map(chain => new ChainCursor(chain, opened))
	const missing = cursors.map(cursor => cursor.seek(within.lower)).filter(ref => ref !== undefined)
	if (missing.length > 0) return { kind: 'open', refs: missing }
	let inputBytes = cursors.reduce((sum, cursor) => sum + cursor.inputBytes, 0)
	const waiting = new WaitingCursors(cursors)
	for (;;) {
		const bound = waiting.lowest
		if (bound === undefined || (within.upper !== null && compareBytes(bound, within.upper) >= 0)) {
			return { kind: 'range', range: rangeOf(cursors, within.lower, within.upper) }
		}
		// Blocks that begin at one key stand or fall together: the range ends before all of them or none.
		const group = waiting.takeLowest()
		if (group.some(cursor => cursor.missing.length > 0)) {
			return { kind: 'open', refs: cursors.flatMap(cursor => (isBelow(cursor, within.upper) ? cursor.missing : [])) }
		}
		const cost = group.reduce((sum, cursor) => sum + cursor.cost, 0)
		if (inputBytes > 0 && inputBytes + cost > budgetBytes) {
			return { kind: 'range', range: rangeOf(cursors, within.lower, bound) }
		}
		inputBytes += cost
		for (const cursor of group) {
			cursor.take()
			waiting.add(cursor)
		}
	}
}

/** Cursors that are not at their end, by boundary. */
class WaitingCursors {
	/** Descending: the lowest is the last. */
	readonly #cursors: ChainCursor[]

	constructor(cursors: readonly ChainCursor[]) {
		this.#cursors = cursors.filter(cursor => cursor.boundary !== undefined)
		this.#cursors.sort((a, b) => compareBytes(boundaryOf(b), boundaryOf(a)))
	}

	get lowest(): Uint8Array | undefined {
		return this.#cursors.at(-1)?.boundary
	}

	/** All that stand at the lowest boundary. */
	takeLowest(): ChainCursor[] {
		const group: ChainCursor[] = []
		const lowest = this.lowest
		while (lowest !== undefined && this.lowest !== undefined && compareBytes(this.lowest, lowest) === 0) {
			const cursor = this.#cursors.pop()
			if (cursor !== undefined) group.push(cursor)
		}
		return group
	}

	add(cursor: ChainCursor): void {
		if (cursor.boundary === undefined) return
		let low = 0
		let high = this.#cursors.length
		while (low < high) {
			const middle = (low + high) >>> 1
			if (compareBytes(boundaryOf(this.#cursors[middle]), cursor.boundary) > 0) low = middle + 1
			else high = middle
		}
		this.#cursors.splice(low, 0, cursor)
	}
}

function isBelow({ boundary }: ChainCursor, upper: Uint8Array | null): boolean {
	return boundary !== undefined && (upper === null || compareBytes(boundary, upper) < 0)
}

function boundaryOf(cursor: ChainCursor | undefined): Uint8Array {
	invariant(cursor?.boundary !== undefined, 'a cursor waits at its end')
	return cursor.boundary
}

function rangeOf(cursors: readonly ChainCursor[], lower: Uint8Array | null, upper: Uint8Array | null): MergeRange {
	return {
		lower,
		upper,
		parts: cursors.flatMap(cursor => cursor.parts),
		inputBytes: cursors.reduce((sum, cursor) => sum + cursor.inputBytes, 0),
	}
}

/** What of one chain a range has taken, and where its next block begins. */
class ChainCursor {
	readonly #chain: Chain
	readonly #opened: (ref: TableRef) => SstTable | undefined
	readonly #parts: { ref: TableRef; firstBlock: number; blockCount: number; bytes: number }[] = []
	/** The table at which the chain stands, and the next of its blocks. */
	#index = 0
	#nextBlock = 0
	inputBytes = 0
	/** The key from which on more of the chain is needed; `undefined` at its end. */
	boundary: Uint8Array | undefined

	constructor(chain: Chain, opened: (ref: TableRef) => SstTable | undefined) {
		this.#chain = chain
		this.#opened = opened
	}

	get parts(): readonly RangePart[] {
		return this.#parts
	}

	/** Goes to `lower` and takes the block that it lies in, if any. Answers the table that must be opened for that. */
	seek(lower: Uint8Array | null): TableRef | undefined {
		if (lower !== null) this.#index = firstAtOrBehind(this.#chain, lower)
		const ref = this.#chain[this.#index]
		if (ref === undefined) return undefined
		if (lower === null || compareBytes(ref.meta.smallestKey, lower) > 0) {
			this.boundary = ref.meta.smallestKey
			return undefined
		}
		const table = this.#opened(ref)
		if (table === undefined) return ref
		this.#take(ref, table, table.seekBlock(lower))
		return undefined
	}

	/** The table at which the chain stands, unless it is open. */
	get missing(): readonly TableRef[] {
		const ref = this.#chain[this.#index]
		return ref === undefined || this.#opened(ref) !== undefined ? [] : [ref]
	}

	/** What the next block costs. */
	get cost(): number {
		const [ref, table] = this.#next()
		const gapBytes = this.#gapBytes(ref, table, this.#nextBlock)
		return table.blockRange(this.#nextBlock).bytes + (gapBytes > SKIP_MIN_BYTES ? 0 : gapBytes)
	}

	/** Takes the next block. */
	take(): void {
		const [ref, table] = this.#next()
		this.#take(ref, table, this.#nextBlock)
	}

	#next(): [TableRef, SstTable] {
		const ref = this.#chain[this.#index]
		invariant(ref !== undefined, 'a step behind the end of a chain')
		const table = this.#opened(ref)
		invariant(table !== undefined, 'a step into a table that is not open')
		return [ref, table]
	}

	#take(ref: TableRef, table: SstTable, block: number): void {
		const { bytes } = table.blockRange(block)
		const gapBytes = this.#gapBytes(ref, table, block)
		const last = this.#parts.at(-1)
		if (last?.ref === ref && gapBytes <= SKIP_MIN_BYTES) {
			last.blockCount = block + 1 - last.firstBlock
			last.bytes += gapBytes + bytes
			this.inputBytes += gapBytes + bytes
		} else {
			this.#parts.push({ ref, firstBlock: block, blockCount: 1, bytes })
			this.inputBytes += bytes
		}
		let next = block + 1
		while (next < table.blockCount && table.holdsOnlyOlderVersions(next)) next++
		if (next < table.blockCount) {
			this.#nextBlock = next
			this.boundary = table.separatorOf(next)
			return
		}
		this.#index++
		this.#nextBlock = 0
		this.boundary = this.#chain[this.#index]?.meta.smallestKey
	}

	/** Bytes of the old blocks between what was taken of this table and `block`; 0 when nothing was. */
	#gapBytes(ref: TableRef, table: SstTable, block: number): number {
		const last = this.#parts.at(-1)
		if (last?.ref !== ref) return 0
		return table.bytesBefore(block) - table.bytesBefore(last.firstBlock + last.blockCount)
	}
}

/** The first table of the chain that holds a key at or above `key`, by its largest key; the count of tables when none does. */
export function firstAtOrBehind(chain: Chain, key: Uint8Array): number {
	let low = 0
	let high = chain.length
	while (low < high) {
		const middle = (low + high) >>> 1
		const table = chain[middle] as TableRef
		if (compareBytes(table.meta.largestKey, key) < 0) low = middle + 1
		else high = middle
	}
	return low
}
