/**
 * A block that a scan walks: with what is worked out once per block instead of once per row.
 *
 * - Numbers of keys (see key-number.ts) without putting the keys together.
 * - The text of the rows that are wanted of it as one string: a row's value is then a substring (20 ns), not a decoding of
 *   its own (100 ns). Only where they are plain ASCII; V8 keeps the whole string alive while such a substring of 13
 *   characters or more lives, so only up to `TEXT_MAX_BYTES`.
 */
import { isAscii } from 'node:buffer'
import { decodeAscii } from '../bytes/ascii.ts'
import { decodeText } from '../bytes/encoding.ts'
import type { Block } from '../sst/block.ts'
import { KIND_VALUE } from '../sst/entry.ts'

/** Keeps what one row can hold alive at 64 KiB: blocks are 8 or 16 KiB by default, unless they hold large values. */
const TEXT_MAX_BYTES = 65_536
/** Fewer rows are decoded one by one. */
const TEXT_MIN_ROWS = 3

export class ScanPage {
	readonly block: Block
	/** Each of its entries is a row, whatever the others are: a value that does not expire, of a key with one version. */
	readonly isPlain: boolean
	/** Its entries have been found not to be all ASCII. */
	isOtherText = false
	/** Bytes of every key that numbers leave out. */
	readonly #skip: number
	readonly #step: 1 | -1
	/** What the prefix of the block gives to the number of each key, and how many bytes the suffix has to add. */
	readonly #numberBase: number
	readonly #numberBytes: number
	readonly #suffixSkip: number
	#text = ''
	#textStart = 0
	#textEnd = 0
	/** Some of it is not ASCII, or it is too long. */
	#hasNoText = false

	/** All keys of the scan share their first `skip` bytes; `step` is its direction. */
	constructor(block: Block, skip: number, step: 1 | -1) {
		this.block = block
		this.#step = step
		this.isPlain = block.commonKind === KIND_VALUE && !block.hasExpiry && !block.hasVersions
		this.#skip = skip
		const fromPrefix = Math.max(0, Math.min(6, block.prefixBytes - skip))
		let base = 0
		for (let i = 0; i < fromPrefix; i++) base = base * 256 + (block.bytes[block.prefixStart + skip + i] as number)
		this.#numberBytes = 6 - fromPrefix
		this.#numberBase = base * 256 ** this.#numberBytes
		this.#suffixSkip = Math.max(0, this.#skip - block.prefixBytes)
	}

	/** Number of the key of entry `i`. */
	numberAt(i: number): number {
		const block = this.block
		const bytes = block.bytes
		const end = block.valueStartAt(i)
		let at = block.suffixStartAt(i) + this.#suffixSkip
		let number = 0
		let left = this.#numberBytes
		for (; left > 0 && at < end; left--) number = number * 256 + (bytes[at++] as number)
		for (; left > 0; left--) number *= 256
		return this.#numberBase + number
	}

	/** The value of entry `i` as text. From it on `wanted` entries may be asked for. */
	valueText(i: number, wanted: number): string {
		const block = this.block
		const start = block.valueStartAt(i)
		const end = block.valueEndAt(i)
		const isInText = start >= this.#textStart && end <= this.#textEnd
		if (!isInText && (this.#hasNoText || !this.#makeText(i, wanted))) return decodeText(block.bytes, start, end)
		return this.#text.substring(start - this.#textStart, end - this.#textStart)
	}

	#makeText(i: number, wanted: number): boolean {
		if (wanted < TEXT_MIN_ROWS) return false
		const block = this.block
		const last = Math.max(0, Math.min(block.count - 1, i + this.#step * (wanted - 1)))
		const start = block.valueStartAt(Math.min(i, last))
		const end = block.valueEndAt(Math.max(i, last))
		this.#hasNoText = end - start > TEXT_MAX_BYTES || !isAscii(block.bytes.subarray(start, end))
		if (this.#hasNoText) return false
		this.#textStart = start
		this.#textEnd = end
		this.#text = decodeAscii(block.bytes, start, end)
		return true
	}
}

/** Whether entries `i` and `j` of two pages have the same key. */
export function isSameKey(a: ScanPage, i: number, b: ScanPage, j: number): boolean {
	const x = a.block
	const y = b.block
	if (x !== y) return x.keyBytesAt(i) === y.keyBytesAt(j) && x.compareKeysAt(i, y, j) === 0
	const bytes = x.bytes
	let at = x.valueStartAt(i)
	let other = x.valueStartAt(j)
	const start = x.suffixStartAt(i)
	if (at - start !== other - x.suffixStartAt(j)) return false
	// Neighbours in order differ near their ends.
	while (at > start) if (bytes[--at] !== bytes[--other]) return false
	return true
}
