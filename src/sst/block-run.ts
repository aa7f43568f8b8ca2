/** Some blocks of a table, one after another: as plain data for a job (`SstTable.blockRun` makes it), and their reader. */
import { compareRanges } from '../bytes/compare.ts'
import { corrupt } from '../errors.ts'
import { Block } from './block.ts'
import { openStoredBlock } from './stored-block.ts'

export interface BlockRun {
	/** Index of the first block in its table. */
	readonly firstBlock: number
	/** Where each block ends, counted from the start of the first: at least one, ascending. */
	readonly ends: Uint32Array
	/**
	 * Separators (see block-index.ts) of the blocks and of the one behind them, one after another, and where each ends.
	 * One more than there are blocks; when the table ends with the run, as many.
	 */
	readonly separators: Uint8Array
	readonly separatorEnds: Uint32Array
	/** No block declares more raw bytes than this. */
	readonly rawMaxBytes: number
}

/** Where a reader puts the block at hand when not into memory of its own. */
export interface BlockPlace {
	/** Room for the raw bytes of a block; what stood there is gone. */
	room(rawBytes: number): Uint8Array
	/** The block with these raw bytes, which stand in the room or elsewhere. @throws ISLE_CORRUPT naming `where`. */
	open(raw: Uint8Array, where: string): Block
}

/** Reads the blocks of a run from their stored bytes, and checks that each is the one that its place says. */
export class BlockRunReader {
	readonly count: number
	readonly where: string
	readonly #run: BlockRun
	readonly #stored: Uint8Array
	/** Memory of the block at hand: its raw bytes, when they are not those stored. */
	#raw = new Uint8Array(0)
	readonly #place: BlockPlace | undefined
	readonly #memory = (rawBytes: number): Uint8Array => {
		if (this.#place !== undefined) return this.#place.room(rawBytes)
		if (rawBytes > this.#raw.length) this.#raw = new Uint8Array(Math.min(rawBytes * 2, this.#run.rawMaxBytes))
		return new Uint8Array(this.#raw.buffer, 0, rawBytes)
	}

	/** `stored` may be shared by the blocks: it must not change any more. @throws ISLE_CORRUPT naming `where`. */
	constructor(run: BlockRun, stored: Uint8Array, where: string, place?: BlockPlace) {
		this.#place = place
		this.count = run.ends.length
		this.where = where
		this.#run = run
		this.#stored = stored
		if (run.ends[this.count - 1] !== stored.length) {
			throw corrupt(where, `${stored.length} bytes of blocks, which the index does not describe,`)
		}
	}

	/** The stored bytes of block `i` of the run, as a view. */
	storedOf(i: number): Uint8Array {
		const start = i === 0 ? 0 : (this.#run.ends[i - 1] as number)
		return this.#stored.subarray(start, this.#run.ends[i])
	}

	/** Block `i` of the run, of use until the next one is decoded. @throws ISLE_CORRUPT naming `where`, ISLE_UNSUPPORTED for a codec of a newer version. */
	decode(i: number): Block {
		const raw = openStoredBlock(this.storedOf(i), this.#run.rawMaxBytes, this.where, this.#memory)
		const block = this.#place?.open(raw, this.where) ?? new Block(raw, this.where)
		const isAfter = this.#compareSeparator(i, block, 0) <= 0 || this.isContinuation(i, block, 0)
		const isBefore =
			i + 1 >= this.#run.separatorEnds.length || this.#compareSeparator(i + 1, block, block.count - 1) > 0
		if (!isAfter || !isBefore) {
			throw corrupt(this.where, `block ${this.#run.firstBlock + i} with keys that belong elsewhere`)
		}
		return block
	}

	/** True when the separator of block `i` is the key of entry `j` of `block` and a zero byte: its versions may go on there. */
	isContinuation(i: number, block: Block, j: number): boolean {
		const start = this.#separatorStart(i)
		const end = this.#separatorEnd(i)
		if (end - start !== block.keyBytesAt(j) + 1 || this.#run.separators[end - 1] !== 0) return false
		return this.#compare(start, end - 1, block, j) === 0
	}

	/** True when block `i`, as `holdsOnlyOlderVersions` of the table says, has nothing but older versions of one key. */
	holdsOnlyOlderVersions(i: number): boolean {
		if (i + 1 >= this.#run.separatorEnds.length) return false
		const start = this.#separatorStart(i)
		const middle = this.#separatorEnd(i)
		const end = this.#separatorEnd(i + 1)
		const { separators } = this.#run
		return (
			middle > start &&
			separators[middle - 1] === 0 &&
			compareRanges(separators, start, middle, separators, middle, end) === 0
		)
	}

	#compareSeparator(i: number, block: Block, j: number): number {
		return this.#compare(this.#separatorStart(i), this.#separatorEnd(i), block, j)
	}

	/** Compares `separators[start, end)` with the key of entry `j` of `block`. */
	#compare(start: number, end: number, block: Block, j: number): number {
		const { separators } = this.#run
		const { bytes, prefixStart, prefixBytes } = block
		const common = Math.min(prefixBytes, end - start)
		const prefix = compareRanges(separators, start, start + common, bytes, prefixStart, prefixStart + common)
		if (prefix !== 0) return prefix
		if (common < prefixBytes) return -1
		return compareRanges(separators, start + common, end, bytes, block.suffixStartAt(j), block.valueStartAt(j))
	}

	#separatorStart(i: number): number {
		return i === 0 ? 0 : this.#separatorEnd(i - 1)
	}

	#separatorEnd(i: number): number {
		return this.#run.separatorEnds[i] as number
	}
}
