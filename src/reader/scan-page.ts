/**
 * A block that a scan walks: with what is worked out once per block instead of once per row.
 *
 * - Numbers of keys (see key-number.ts) without putting the keys together.
 * - The text of all its keys and values as one string: a row's value is then a substring (20 ns), not a decoding of
 *   its own (100 ns). Only for blocks of plain ASCII; V8 keeps the whole string alive while such a substring of 13
 *   characters or more lives, so only for blocks up to `TEXT_MAX_BYTES`.
 */
import { isAscii } from 'node:buffer'
import { decodeAscii } from '../bytes/ascii.ts'
import { decodeText } from '../bytes/encoding.ts'
import type { Block } from '../sst/block.ts'
import { KIND_VALUE } from '../sst/entry.ts'

/** Keeps what one row can hold alive at 64 KiB: blocks are 4 to 16 KiB unless they hold large values. */
const TEXT_MAX_BYTES = 65_536
/** Rows of a page that are decoded one by one before the text of all is worth it. */
const TEXT_AFTER_ROWS = 4

export class ScanPage {
	readonly block: Block
	/** Each of its entries is a row, whatever the others are: a value that does not expire, of a key with one version. */
	readonly isPlain: boolean
	/** Its entries have been found not to be all ASCII. */
	isOtherText = false
	/** Bytes of every key that numbers leave out. */
	readonly #skip: number
	/** What the prefix of the block gives to the number of each key, and how many bytes the suffix has to add. */
	readonly #numberBase: number
	readonly #numberBytes: number
	readonly #suffixSkip: number
	#text: string | undefined
	#textStart = 0
	#rowsBeforeText = TEXT_AFTER_ROWS

	/** All keys of the scan share their first `skip` bytes. */
	constructor(block: Block, skip: number) {
		this.block = block
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

	/** The value of entry `i` as text. */
	valueText(i: number): string {
		const block = this.block
		const start = block.valueStartAt(i)
		const end = block.valueEndAt(i)
		if (this.#rowsBeforeText >= 0 && this.#rowsBeforeText-- === 0) this.#makeText()
		if (this.#text === undefined) return decodeText(block.bytes, start, end)
		return this.#text.substring(start - this.#textStart, end - this.#textStart)
	}

	#makeText(): void {
		const block = this.block
		const start = block.suffixStartAt(0)
		const end = block.valueEndAt(block.count - 1)
		if (end - start > TEXT_MAX_BYTES || !isAscii(block.bytes.subarray(start, end))) return
		this.#textStart = start
		this.#text = decodeAscii(block.bytes, start, end)
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
