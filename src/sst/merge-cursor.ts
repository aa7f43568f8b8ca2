/**
 * One source of a merge: goes through the entries of a run of blocks that lie in a key range, with one decoded block in
 * memory.
 *
 * Of each entry of that block six bytes of its key (behind those that all keys of the merge share) stand in `heads` as a
 * number, so that most comparisons of a merge are one of two numbers.
 *
 * Invariants: the entries come by key ascending, then by sequence number descending, or the source is ISLE_CORRUPT.
 */
import { corrupt } from '../errors.ts'
import type { Block } from './block.ts'
import type { BlockPlace, BlockRun } from './block-run.ts'
import { BlockRunReader } from './block-run.ts'

/** All that a cursor needs. */
export interface MergeRun {
	readonly run: BlockRun
	readonly blocks: Uint8Array
	readonly where: string
	/** Of the table: what lies outside of them is no entry of it. */
	readonly smallestKey: Uint8Array
	readonly largestKey: Uint8Array
	/** Entries below `lower` and from `upper` on are left out; `null`: none are. */
	readonly lower: Uint8Array | null
	readonly upper: Uint8Array | null
	/** All keys of the range begin with the same so many bytes. */
	readonly sharedBytes: number
}

/** A place that reads off from its block what a merge compares; then a cursor keeps no `heads`. */
export interface MergePlace extends BlockPlace {
	/** Of each entry of the block that was opened last. */
	readonly seqs: Float64Array
	/** Entries from `at` to `end` of the block that was opened last come next; none: the source has ended. */
	enter(at: number, end: number): void
}

/** 2^24: six bytes are two numbers of three. */
const HALF = 16_777_216

export class MergeCursor {
	readonly where: string
	/** The block at hand; `undefined` past the last entry. */
	block: Block | undefined
	/** The entry of it that comes next, and the one that is behind the last of the range. */
	at = 0
	end = 0
	/** Of each entry of the block, from `at` to `end`. */
	heads: Float64Array = new Float64Array(256)
	/** Of each entry of the block. */
	seqs: Float64Array = new Float64Array(256)
	readonly #reader: BlockRunReader
	readonly #run: MergeRun
	readonly #place: MergePlace | undefined
	/** The block of the run that comes next. */
	#next = 0

	/** Stands on the first entry afterwards, if there is one. */
	constructor(run: MergeRun, place?: MergePlace) {
		this.where = run.where
		this.#run = run
		this.#place = place
		if (place !== undefined) this.seqs = place.seqs
		this.#reader = new BlockRunReader(run.run, run.blocks, run.where, place)
		this.nextBlock()
	}

	/** The first six bytes of the key at hand; infinite past the last entry. */
	get head(): number {
		return this.block === undefined ? Number.POSITIVE_INFINITY : (this.heads[this.at] as number)
	}

	/** True when no entry of the block at hand was taken yet and all of them are of the range. */
	get isWholeBlock(): boolean {
		return this.at === 0 && this.end === this.block?.count
	}

	/** The stored bytes of the block at hand. */
	get stored(): Uint8Array {
		return this.#reader.storedOf(this.#next - 1)
	}

	/**
	 * Goes to the next block that has entries of the range; those of older versions alone are not even decoded. The block
	 * before is of no use afterwards: its memory is that of the next one.
	 */
	nextBlock(): void {
		const before = this.block
		const { lower, upper } = this.#run
		this.block = undefined
		while (this.#next < this.#reader.count) {
			const i = this.#next++
			if (before !== undefined && this.#reader.holdsOnlyOlderVersions(i)) continue
			const block = this.#decode(i, before)
			// Once a block has entries of the range, those behind it have none below.
			this.at = lower === null || before !== undefined ? 0 : block.seek(lower)
			this.end = upper === null || block.compareKeyAt(block.count - 1, upper) < 0 ? block.count : block.seek(upper)
			if (this.at < this.end) {
				this.block = block
				if (this.#place === undefined) this.#enter(block)
				else this.#place.enter(this.at, this.end)
				return
			}
			if (this.end < block.count) this.#next = this.#reader.count
		}
		this.#place?.enter(0, 0)
	}

	/** Block `i`, which comes after `before` and belongs there. Separators vouch for that, but for versions that go on. */
	#decode(i: number, before: Block | undefined): Block {
		const { smallestKey, largestKey } = this.#run
		const goesOn = before !== undefined && this.#reader.isContinuation(i, before, before.count - 1)
		const lastSeq = goesOn ? before.seqAt(before.count - 1) : 0
		const block = this.#reader.decode(i)
		if (goesOn && block.seqAt(0) >= lastSeq && this.#reader.isContinuation(i, block, 0)) {
			throw corrupt(this.where, 'a block that is out of order')
		}
		if (block.compareKeyAt(0, smallestKey) < 0 || block.compareKeyAt(block.count - 1, largestKey) > 0) {
			throw corrupt(this.where, 'a block with keys that its table does not have')
		}
		return block
	}

	/** Fills `heads` and `seqs`. */
	#enter(block: Block): void {
		if (block.count > this.heads.length) {
			this.heads = new Float64Array(block.count * 2)
			this.seqs = new Float64Array(block.count * 2)
		}
		block.copySeqs(this.seqs)
		const { bytes, prefixBytes, prefixStart } = block
		const heads = this.heads
		// Of the bytes of a head, some may stand in the prefix of the block, and some of the suffix be shared by all keys.
		const sharedBytes = this.#run.sharedBytes
		const inPrefix = Math.max(0, Math.min(6, prefixBytes - sharedBytes))
		const skip = Math.max(0, sharedBytes - prefixBytes)
		const prefixEnd = prefixStart + sharedBytes + inPrefix
		for (let i = this.at; i < this.end; i++) {
			const start = block.suffixStartAt(i) + skip
			if (inPrefix === 0 && start + 6 <= block.valueStartAt(i)) {
				const high =
					((bytes[start] as number) << 16) | ((bytes[start + 1] as number) << 8) | (bytes[start + 2] as number)
				const low =
					((bytes[start + 3] as number) << 16) | ((bytes[start + 4] as number) << 8) | (bytes[start + 5] as number)
				heads[i] = high * HALF + low
			} else {
				const head = partOf(bytes, prefixEnd - inPrefix, prefixEnd, inPrefix, 0)
				heads[i] = partOf(bytes, start, block.valueStartAt(i), 6 - inPrefix, head)
			}
		}
	}
}

/** `head` and then `count` bytes of `bytes[start, end)`, zeros behind its end, as one number. */
function partOf(bytes: Uint8Array, start: number, end: number, count: number, head: number): number {
	let value = head
	for (let at = start; at < start + count; at++) value = value * 256 + (at < end ? (bytes[at] as number) : 0)
	return value
}
