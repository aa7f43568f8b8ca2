/**
 * Entries of the blocks of one table, laid out in the order of their sequence numbers: the order in which they were written,
 * which is that of a tail. In a table they stand in the order of their keys, all over its memory; here they stand side by side,
 * so that whoever gives them reads memory from front to back.
 *
 * Steps: `measure` each block; `arrange` gives each entry its place; `copy` each block; `finish`. The caller may pause between any two.
 * A block is of no use between its two turns, so that it may be decoded for each, in memory that is near.
 *
 * Invariants: the whole of a table holds each number from `minSeq` to `maxSeq` once (else ISLE_CORRUPT); nothing is allocated by a
 * count that the blocks do not bear out.
 */

import { copyRange, copyWords } from '../bytes/copy.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { corrupt } from '../errors.ts'
import type { Block } from './block.ts'
import { KIND_VALUE } from './entry.ts'

export interface OrderedEntries {
	readonly count: number
	/** Of each entry its key and then its value. */
	readonly bytes: Uint8Array<ArrayBuffer>
	/** Where there the key of entry i ends, at [2i], and its value, at [2i + 1]. */
	readonly ends: Uint32Array<ArrayBuffer>
	readonly minSeq: number
	/** Of each entry; undefined when they follow one another from `minSeq`. */
	readonly seqs: Float64Array<ArrayBuffer> | undefined
	/** Of each entry; undefined when all are values. */
	readonly kinds: Uint8Array<ArrayBuffer> | undefined
	/** Of each entry; undefined when none expires. */
	readonly expiries: Float64Array<ArrayBuffer> | undefined
}

export interface EntryOrderOptions {
	readonly minSeq: number
	readonly maxSeq: number
	/** What is measured is all that the table has. */
	readonly isWhole: boolean
	/** Names the table in errors. */
	readonly where: string
}

/** Until there is more: a table of one entry is to cost little. */
const NO_NUMBERS = new Float64Array(0)
const NO_LENGTHS = new Uint32Array(0)
/** So many entries of a block are worth a view of it: it may take a microsecond, and more of small arrays, which V8 then moves off its heap. */
const VIEW_MIN_ENTRIES = 16

export class EntryOrder {
	readonly #options: EntryOrderOptions
	#count = 0
	/** In the order of the blocks: sequence numbers, and lengths of keys and values. */
	#numbers = NO_NUMBERS
	#lengths = NO_LENGTHS
	/** In the same order, where each entry goes; and how many were copied. */
	#places = NO_LENGTHS
	#copied = 0
	#ends = NO_LENGTHS
	#bytes = NO_BYTES
	/** Of the bytes, for many copies. */
	#target: DataView | undefined
	#hasKinds = false
	#hasExpiry = false
	#kinds: Uint8Array<ArrayBuffer> | undefined
	#expiries: Float64Array<ArrayBuffer> | undefined

	constructor(options: EntryOrderOptions) {
		this.#options = options
	}

	/** Entries `first` up to `end` of a block, which is not one. */
	measure(block: Block, first: number, end: number): void {
		const start = this.#count
		this.#count += end - first
		this.#reserve(this.#count)
		const isMuch = end - first >= VIEW_MIN_ENTRIES
		if (isMuch && end - first === block.count) block.copySeqs(this.#numbers.subarray(start, this.#count))
		else for (let i = first; i < end; i++) this.#numbers[start + i - first] = block.seqAt(i)
		const lengths = this.#lengths
		for (let i = first, at = 2 * start; i < end; i++, at += 2) {
			const valueStart = block.valueStartAt(i)
			lengths[at] = block.prefixBytes + valueStart - block.suffixStartAt(i)
			lengths[at + 1] = block.valueEndAt(i) - valueStart
		}
		this.#hasKinds ||= block.commonKind !== KIND_VALUE
		this.#hasExpiry ||= block.hasExpiry
	}

	/** When all are measured. @throws ISLE_CORRUPT. */
	arrange(): void {
		const count = this.#count
		const places = this.#options.isWhole ? this.#wholePlaces() : this.#partPlaces()
		const lengths = this.#lengths
		const ends = new Uint32Array(2 * count)
		for (let i = 0; i < count; i++) {
			const place = 2 * (places[i] as number)
			// No key is empty, so 0 there means that the place is free.
			if (ends[place] !== 0) throw this.#lacking()
			ends[place] = lengths[2 * i] as number
			ends[place + 1] = lengths[2 * i + 1] as number
		}
		let sum = 0
		for (let i = 0; i < ends.length; i++) {
			sum += ends[i] as number
			ends[i] = sum
		}
		if (sum > 0xffff_ffff) throw corrupt(this.#options.where, `a table with ${sum} bytes of keys and values`)
		this.#places = places
		this.#ends = ends
		this.#bytes = new Uint8Array(sum)
		if (this.#hasKinds) this.#kinds = new Uint8Array(count)
		if (this.#hasExpiry) this.#expiries = new Float64Array(count)
	}

	/** The same blocks again, with the same entries and in the same order. */
	copy(block: Block, first: number, end: number): void {
		const isMuch = end - first >= VIEW_MIN_ENTRIES
		const source = isMuch ? viewOf(block.bytes) : undefined
		if (isMuch) this.#target ??= viewOf(this.#bytes)
		const ends = this.#ends
		const kinds = this.#kinds
		const expiries = this.#expiries
		const { prefixStart, prefixBytes } = block
		for (let i = first; i < end; i++) {
			const place = this.#places[this.#copied++] as number
			const at = place === 0 ? 0 : (ends[2 * place - 1] as number)
			const start = block.suffixStartAt(i)
			// Suffix and value stand side by side.
			const bytes = block.valueEndAt(i) - start
			if (source === undefined || this.#target === undefined) {
				copyRange(block.bytes, prefixStart, prefixBytes, this.#bytes, at)
				copyRange(block.bytes, start, bytes, this.#bytes, at + prefixBytes)
			} else {
				copyWords(source, prefixStart, prefixBytes, this.#target, at)
				copyWords(source, start, bytes, this.#target, at + prefixBytes)
			}
			if (kinds !== undefined) kinds[place] = block.kindAt(i)
			if (expiries !== undefined) expiries[place] = block.expiresAtMsAt(i)
		}
	}

	/** When all are copied. */
	finish(): OrderedEntries {
		const { minSeq, isWhole } = this.#options
		return {
			count: this.#count,
			bytes: this.#bytes,
			ends: this.#ends,
			minSeq,
			seqs: isWhole ? undefined : this.#numbers.subarray(0, this.#count).sort(),
			kinds: this.#kinds,
			expiries: this.#expiries,
		}
	}

	#reserve(count: number): void {
		if (count <= this.#numbers.length) return
		const room = Math.max(count, 2 * this.#numbers.length)
		const numbers = new Float64Array(room)
		numbers.set(this.#numbers)
		this.#numbers = numbers
		const lengths = new Uint32Array(2 * room)
		lengths.set(this.#lengths)
		this.#lengths = lengths
	}

	/** Every entry has its place: its number less the smallest one. */
	#wholePlaces(): Uint32Array<ArrayBuffer> {
		const { minSeq, maxSeq } = this.#options
		const count = this.#count
		if (count !== maxSeq - minSeq + 1) throw this.#lacking()
		const places = new Uint32Array(count)
		for (let i = 0; i < count; i++) {
			const place = (this.#numbers[i] as number) - minSeq
			if (place < 0 || place >= count) throw this.#lacking()
			places[i] = place
		}
		return places
	}

	/** By sorting: number and index packed into one float. */
	#partPlaces(): Uint32Array<ArrayBuffer> {
		const { minSeq, maxSeq, where } = this.#options
		const count = this.#count
		// number × count + index is exact below 2^53: a table of 2^26 entries has numbers below 2^26.
		if ((maxSeq - minSeq + 1) * Math.max(1, count) > Number.MAX_SAFE_INTEGER) {
			throw corrupt(where, `a table that claims sequence numbers up to ${maxSeq}`)
		}
		const order = this.#numbers
			.subarray(0, count)
			.map((number, index) => (number - minSeq) * count + index)
			.sort()
		const places = new Uint32Array(count)
		for (let place = 0; place < count; place++) places[(order[place] as number) % count] = place
		return places
	}

	#lacking(): Error {
		return corrupt(this.#options.where, 'a table of a commit that lacks some of its sequence numbers,')
	}
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
	return new DataView(buffer, byteOffset, byteLength)
}
