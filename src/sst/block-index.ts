/**
 * The block index: where each block lies, and from which key on it answers.
 *
 *     offset  size       field
 *     0       4          CRC-32 of all that follows in the section
 *     4       4          count of blocks, u32, at least 1
 *     8       4          bytes of all separators together, u32
 *     12      4 × count  end of each block in the table, u32 (a block begins where the one before ends; the first at 0)
 *     …       4 × count  end of each separator in the separator bytes, u32
 *     …       …          separators, one after another
 *
 * The separator of block b is a key s such that every user key whose newest entry stands in block b or later is ≥ s, and
 * every one whose newest entry stands before is < s. The first is empty. It is the first key of the block, cut off after
 * the first byte in which it differs from the last key of the block before; when the two keys are equal (the versions of
 * one key go on in this block) it is that key and a zero byte. So the last block with a separator ≤ k holds the newest
 * entry of k, if the table has one.
 *
 * In memory the index is searched in place: ends and separators in typed arrays, and four bytes of each separator (after
 * the prefix that all but the first share) as a number, so that most steps of a search compare numbers.
 */
import { compareRanges } from '../bytes/compare.ts'
import { copyRange } from '../bytes/copy.ts'
import { crc32 } from '../bytes/crc32.ts'
import { corrupt } from '../errors.ts'
import { readUint, writeUint } from './block-format.ts'
import type { BlockRun } from './block-run.ts'
import { KEY_MAX_BYTES } from './entry.ts'

const HEADER_BYTES = 12
const OVERHEAD_BYTES = 400

export class BlockIndexBuilder {
	#count = 0
	// 64 bytes each, as in `BlockBuilder`.
	#blockEnds = new Uint32Array(16)
	#separatorEnds = new Uint32Array(16)
	#separators = new Uint8Array(64)
	#separatorBytes = 0

	get count(): number {
		return this.#count
	}

	/** Size of the section, if it ended now. */
	get encodedBytes(): number {
		return HEADER_BYTES + 8 * this.#count + this.#separatorBytes
	}

	/** A block ends at `blockEnd`; its separator was given by `addSeparator` (the first block has none). */
	addBlock(blockEnd: number): void {
		if (this.#count === this.#blockEnds.length) {
			this.#blockEnds = grown(this.#blockEnds)
			this.#separatorEnds = grown(this.#separatorEnds)
		}
		this.#blockEnds[this.#count] = blockEnd
		this.#separatorEnds[this.#count] = this.#separatorBytes
		this.#count++
	}

	/**
	 * The separator of the next block, made from its first key and the count of bytes that this key shares with the last
	 * key before it; `isSameKey` when the two are equal.
	 */
	addSeparator(keyBuf: Uint8Array, keyOffset: number, keyBytes: number, sharedBytes: number, isSameKey: boolean): void {
		const bytes = isSameKey ? keyBytes + 1 : sharedBytes + 1
		const start = this.#separatorBytes
		if (start + bytes > this.#separators.length) {
			const separators = new Uint8Array(Math.max(start + bytes, this.#separators.length * 2))
			separators.set(this.#separators.subarray(0, start))
			this.#separators = separators
		}
		copyRange(keyBuf, keyOffset, isSameKey ? keyBytes : bytes, this.#separators, start)
		if (isSameKey) this.#separators[start + keyBytes] = 0
		this.#separatorBytes = start + bytes
	}

	/** Writes the section at `at`, where `encodedBytes` are free. */
	encode(target: Uint8Array, at: number): void {
		const end = at + this.encodedBytes
		writeUint(target, at + 4, 4, this.#count)
		writeUint(target, at + 8, 4, this.#separatorBytes)
		let position = at + HEADER_BYTES
		for (let i = 0; i < this.#count; i++, position += 4) writeUint(target, position, 4, this.#blockEnds[i] as number)
		for (let i = 0; i < this.#count; i++, position += 4)
			writeUint(target, position, 4, this.#separatorEnds[i] as number)
		target.set(this.#separators.subarray(0, this.#separatorBytes), position)
		writeUint(target, at, 4, crc32(target.subarray(at + 4, end)))
	}
}

function grown(values: Uint32Array): Uint32Array<ArrayBuffer> {
	const larger = new Uint32Array(values.length * 2)
	larger.set(values)
	return larger
}

export class BlockIndex {
	readonly count: number
	readonly #blockEnds: Uint32Array
	readonly #separatorEnds: Uint32Array
	readonly #separators: Uint8Array
	/** Prefix that the separators after the first share: `#separators[0, #commonBytes)`. */
	readonly #commonBytes: number
	/** Of each separator the four bytes after the common prefix, big-endian, zeros where it ends. */
	readonly #heads: Uint32Array

	/** Copies what it needs. `blocksEnd` is where the blocks of the table end. @throws ISLE_CORRUPT naming `where`. */
	constructor(section: Uint8Array, blocksEnd: number, where: string) {
		if (section.length < HEADER_BYTES || crc32(section.subarray(4)) !== readUint(section, 0, 4)) {
			throw corrupt(where, 'a block index whose CRC does not match')
		}
		const count = readUint(section, 4, 4)
		const separatorBytes = readUint(section, 8, 4)
		if (count === 0 || section.length !== HEADER_BYTES + 8 * count + separatorBytes) {
			throw corrupt(where, `a block index that cannot hold its ${count} blocks`)
		}
		this.count = count
		this.#blockEnds = readEnds(section, HEADER_BYTES, count)
		this.#separatorEnds = readEnds(section, HEADER_BYTES + 4 * count, count)
		// Not `slice`, which makes a view when the section is a Buffer.
		this.#separators = new Uint8Array(section.subarray(section.length - separatorBytes))
		this.#verify(blocksEnd, where)
		const first = count > 1 ? (this.#separatorEnds[1] as number) : 0
		const last = count > 1 ? this.#start(count - 1) : 0
		let common = 0
		while (
			common < Math.min(first, separatorBytes - last) &&
			this.#separators[common] === this.#separators[last + common]
		) {
			common++
		}
		this.#commonBytes = common
		this.#heads = new Uint32Array(count)
		for (let i = 1; i < count; i++) {
			this.#heads[i] = head(this.#separators, this.#start(i) + common, this.#separatorEnds[i] as number)
		}
	}

	/** Where block `i` begins in the table. */
	startOf(i: number): number {
		return i === 0 ? 0 : (this.#blockEnds[i - 1] as number)
	}

	endOf(i: number): number {
		return this.#blockEnds[i] as number
	}

	/** The last block whose separator is ≤ `key`; block 0 when none but the empty one is. */
	find(key: Uint8Array): number {
		const separators = this.#separators
		const common = this.#commonBytes
		const count = this.count
		const shared = Math.min(common, key.length)
		for (let i = 0; i < shared; i++) {
			const difference = (key[i] as number) - (separators[i] as number)
			if (difference !== 0) return difference < 0 ? 0 : count - 1
		}
		if (key.length < common) return 0
		const heads = this.#heads
		const keyHead = head(key, common, key.length)
		// Invariant: separator(low) ≤ key < separator(high).
		let low = 0
		let high = count
		while (high - low > 1) {
			const middle = (low + high) >>> 1
			const other = heads[middle] as number
			let isAtMost = other < keyHead
			if (other === keyHead) {
				const start = this.#start(middle) + common
				const end = this.#separatorEnds[middle] as number
				isAtMost = compareRanges(separators, start, end, key, common, key.length) <= 0
			}
			if (isAtMost) low = middle
			else high = middle
		}
		return low
	}

	/** Negative, zero or positive as the separator of block `i` is smaller than, equal to or larger than `key`. */
	compareSeparator(i: number, key: Uint8Array): number {
		return compareRanges(this.#separators, this.#start(i), this.#separatorEnds[i] as number, key, 0, key.length)
	}

	/** True when the separator of block `i` is `key` and a zero byte: versions of `key` may go on in that block. */
	isContinuation(i: number, key: Uint8Array): boolean {
		const start = this.#start(i)
		const end = this.#separatorEnds[i] as number
		if (end - start !== key.length + 1 || this.#separators[end - 1] !== 0) return false
		return compareRanges(this.#separators, start, end - 1, key, 0, key.length) === 0
	}

	/** A copy of the separator of block `i`: empty for the first. */
	separatorOf(i: number): Uint8Array<ArrayBuffer> {
		return new Uint8Array(this.#separators.subarray(this.#start(i), this.#separatorEnds[i] as number))
	}

	/** The first block whose separator is ≥ `key`; `count` when there is none. Block 0 only for an empty key. */
	findAtLeast(key: Uint8Array): number {
		let low = 0
		let high = this.count
		while (low < high) {
			const middle = (low + high) >>> 1
			if (this.compareSeparator(middle, key) < 0) low = middle + 1
			else high = middle
		}
		return low
	}

	/** Blocks `first` to `first + count − 1` as plain data, in memory of its own. */
	slice(first: number, count: number, rawMaxBytes: number): BlockRun {
		const end = first + count
		const start = this.startOf(first)
		const separatorCount = Math.min(count + 1, this.count - first)
		const from = this.#start(first)
		return {
			firstBlock: first,
			ends: Uint32Array.from(this.#blockEnds.subarray(first, end), blockEnd => blockEnd - start),
			separators: new Uint8Array(
				this.#separators.subarray(from, this.#separatorEnds[first + separatorCount - 1] as number),
			),
			separatorEnds: Uint32Array.from(
				this.#separatorEnds.subarray(first, first + separatorCount),
				separatorEnd => separatorEnd - from,
			),
			rawMaxBytes,
		}
	}

	get memoryBytes(): number {
		const arrays = this.#blockEnds.byteLength + this.#separatorEnds.byteLength + this.#heads.byteLength
		return arrays + this.#separators.byteLength + OVERHEAD_BYTES
	}

	#start(i: number): number {
		return i === 0 ? 0 : (this.#separatorEnds[i - 1] as number)
	}

	#verify(blocksEnd: number, where: string): void {
		let blockEnd = 0
		let separatorEnd = 0
		for (let i = 0; i < this.count; i++) {
			const start = separatorEnd
			const before = this.#start(Math.max(0, i - 1))
			if ((this.#blockEnds[i] as number) <= blockEnd) throw corrupt(where, 'a block index that is out of order')
			blockEnd = this.#blockEnds[i] as number
			separatorEnd = this.#separatorEnds[i] as number
			const isPlaced = i === 0 ? separatorEnd === 0 : separatorEnd > start && separatorEnd - start <= KEY_MAX_BYTES + 1
			if (!isPlaced || separatorEnd > this.#separators.length) throw corrupt(where, 'a block index with a bad key')
			if (i > 1 && compareRanges(this.#separators, before, start, this.#separators, start, separatorEnd) > 0) {
				throw corrupt(where, 'a block index that is out of order')
			}
		}
		if (blockEnd !== blocksEnd || separatorEnd !== this.#separators.length) {
			throw corrupt(where, 'a block index that does not cover its table')
		}
	}
}

function readEnds(section: Uint8Array, at: number, count: number): Uint32Array {
	const ends = new Uint32Array(count)
	for (let i = 0; i < count; i++) ends[i] = readUint(section, at + 4 * i, 4)
	return ends
}

/** Four bytes of `bytes[start, end)` as a big-endian number, zeros past its end: ordered as the bytes are, but for ties. */
function head(bytes: Uint8Array, start: number, end: number): number {
	let value = 0
	for (let i = 0; i < 4; i++) value = value * 256 + (start + i < end ? (bytes[start + i] as number) : 0)
	return value
}
