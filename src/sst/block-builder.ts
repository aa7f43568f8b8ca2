/**
 * Builds one raw block at a time (layout: block-format.ts) from entries in order.
 *
 * Steps: `relate` the next key to the last one (order, shared prefix), ask `bytesWith` whether it still fits, `append` it
 * (a copy of suffix and value straight to their place), `encode` the block, `reset`.
 *
 * The prefix is guessed from the block before (its true common prefix), so that suffixes land where they stay; a guess that proves too
 * long is shortened, and the entries so far are moved. Neighbouring blocks share about the same prefix: it saves copying every entry twice.
 *
 * Invariants: every key of the block begins with the prefix; `ends` never decreases; nothing outside `count` is read.
 */
import { copyRange } from '../bytes/copy.ts'
import type { Block } from './block.ts'
import { BLOCK_HEADER_BYTES } from './block-format.ts'
import { type BlockShape, encodeDeltas, encodeEnds, encodeExpiries, encodeHeader, measureBlock } from './block-shape.ts'
import type { EntryKind } from './entry.ts'

/** Estimate of the columns of one entry: two u16 ends, a sequence delta of up to three bytes, a little more. */
const COLUMN_BYTES = 8
/** Cleared at first: a table of a few entries needs no more. */
const FIRST_DATA_BYTES = 1024

export class BlockBuilder {
	#data: Uint8Array
	#dataBytes = 0
	#count = 0
	// Up to 64 bytes stand in V8's own heap, where an array costs a tenth.
	#ends = new Uint32Array(16)
	#seqs = new Float64Array(8)
	#expiries = new Float64Array(8)
	#kinds = new Uint8Array(8)
	#hasExpiry = false
	#prefix = new Uint8Array(64)
	#prefixBytes = 0
	/** Length of the prefix that all keys of the block truly share; at least `#prefixBytes`. */
	#commonBytes = 0
	/** The common prefix of the last block: the guess for the next one. */
	#guessBytes = Number.POSITIVE_INFINITY
	/** Bytes that the key given to `relate` shares with the key before it. */
	sharedBytes = 0

	constructor(dataBytes: number) {
		this.#data = new Uint8Array(Math.min(dataBytes, FIRST_DATA_BYTES))
	}

	get count(): number {
		return this.#count
	}

	get lastSeq(): number {
		return this.#seqs[this.#count - 1] as number
	}

	/** Estimated raw size. */
	get estimatedBytes(): number {
		return BLOCK_HEADER_BYTES + this.#prefixBytes + this.#dataBytes + this.#count * COLUMN_BYTES
	}

	/**
	 * Negative, zero or positive as the key is smaller than, equal to or larger than the last one; sets `sharedBytes`.
	 * The block must hold an entry.
	 */
	relate(keyBuf: Uint8Array, keyOffset: number, keyBytes: number): number {
		const prefix = this.#prefix
		const prefixBytes = this.#prefixBytes
		const limit = Math.min(prefixBytes, keyBytes)
		let shared = 0
		while (shared < limit && prefix[shared] === keyBuf[keyOffset + shared]) shared++
		this.sharedBytes = shared
		if (shared < prefixBytes) {
			return shared === keyBytes ? -1 : (keyBuf[keyOffset + shared] as number) - (prefix[shared] as number)
		}
		const data = this.#data
		const last = this.#count - 1
		const start = last === 0 ? 0 : (this.#ends[2 * last - 1] as number)
		const lastBytes = prefixBytes + (this.#ends[2 * last] as number) - start
		const base = start - prefixBytes
		const common = Math.min(lastBytes, keyBytes)
		while (shared < common && data[base + shared] === keyBuf[keyOffset + shared]) shared++
		this.sharedBytes = shared
		if (shared === common) return keyBytes - lastBytes
		return (keyBuf[keyOffset + shared] as number) - (data[base + shared] as number)
	}

	/** As `relate`, for the key of entry `i` of a decoded block. */
	relateEntry(source: Block, i: number): number {
		const bytes = source.bytes
		const split = source.prefixBytes
		// Byte p of the key is bytes[before + p] in the prefix of its block, and bytes[behind + p] in its suffix.
		const before = source.prefixStart
		const behind = source.suffixStartAt(i) - split
		const keyBytes = split + source.valueStartAt(i) - source.suffixStartAt(i)
		const prefix = this.#prefix
		const prefixBytes = this.#prefixBytes
		const limit = Math.min(prefixBytes, keyBytes)
		let shared = 0
		const firstEnd = Math.min(limit, split)
		while (shared < firstEnd && prefix[shared] === bytes[before + shared]) shared++
		if (shared >= split) while (shared < limit && prefix[shared] === bytes[behind + shared]) shared++
		this.sharedBytes = shared
		if (shared < prefixBytes) {
			return shared === keyBytes
				? -1
				: (bytes[(shared < split ? before : behind) + shared] as number) - (prefix[shared] as number)
		}
		const data = this.#data
		const last = this.#count - 1
		const start = last === 0 ? 0 : (this.#ends[2 * last - 1] as number)
		const lastBytes = prefixBytes + (this.#ends[2 * last] as number) - start
		const base = start - prefixBytes
		const common = Math.min(lastBytes, keyBytes)
		const secondEnd = Math.min(common, split)
		while (shared < secondEnd && data[base + shared] === bytes[before + shared]) shared++
		if (shared >= split) while (shared < common && data[base + shared] === bytes[behind + shared]) shared++
		this.sharedBytes = shared
		if (shared === common) return keyBytes - lastBytes
		return (bytes[(shared < split ? before : behind) + shared] as number) - (data[base + shared] as number)
	}

	/** Estimated raw size once the key that was given to `relate` is appended with its value. */
	bytesWith(keyBytes: number, valueBytes: number): number {
		const prefixBytes = Math.min(this.#prefixBytes, this.sharedBytes)
		const moved = (this.#prefixBytes - prefixBytes) * this.#count
		return this.estimatedBytes + moved + COLUMN_BYTES + keyBytes - prefixBytes + valueBytes
	}

	/** Appends an entry whose key was related to the last one (unless the block is empty). Ranges are the caller's to check. */
	append(
		keyBuf: Uint8Array,
		keyOffset: number,
		keyBytes: number,
		seq: number,
		kind: EntryKind,
		expiresAtMs: number,
		valueBuf: Uint8Array,
		valueOffset: number,
		valueBytes: number,
	): void {
		const i = this.#count
		if (i === 0) {
			this.#begin(keyBuf, keyOffset, keyBytes)
		} else {
			this.#prepare(i)
		}
		const prefixBytes = this.#prefixBytes
		const start = this.#dataBytes
		const keyEnd = start + keyBytes - prefixBytes
		const end = keyEnd + valueBytes
		if (end > this.#data.length) this.#growData(end)
		if (keyBuf === valueBuf && valueOffset === keyOffset + keyBytes) {
			copyRange(keyBuf, keyOffset + prefixBytes, end - start, this.#data, start)
		} else {
			copyRange(keyBuf, keyOffset + prefixBytes, keyEnd - start, this.#data, start)
			copyRange(valueBuf, valueOffset, valueBytes, this.#data, keyEnd)
		}
		this.#finishEntry(i, keyEnd, end, seq, kind, expiresAtMs)
	}

	/** As `append`, for entry `i` of a decoded block, which was given to `relateEntry` (unless this block is empty). */
	appendEntry(source: Block, i: number, seq: number, kind: EntryKind, expiresAtMs: number): void {
		const slot = this.#count
		const split = source.prefixBytes
		const suffixStart = source.suffixStartAt(i)
		const valueStart = source.valueStartAt(i)
		const valueEnd = source.valueEndAt(i)
		if (slot === 0) {
			const key = source.keyAt(i)
			this.#begin(key, 0, key.length)
		} else {
			this.#prepare(slot)
		}
		const prefixBytes = this.#prefixBytes
		const start = this.#dataBytes
		const end = start + split - prefixBytes + valueEnd - suffixStart
		if (end > this.#data.length) this.#growData(end)
		if (prefixBytes >= split) {
			copyRange(source.bytes, suffixStart + prefixBytes - split, end - start, this.#data, start)
		} else {
			const rest = split - prefixBytes
			copyRange(source.bytes, source.prefixStart + prefixBytes, rest, this.#data, start)
			copyRange(source.bytes, suffixStart, valueEnd - suffixStart, this.#data, start + rest)
		}
		this.#finishEntry(slot, end - (valueEnd - valueStart), end, seq, kind, expiresAtMs)
	}

	/** A copy of the key of the last entry. */
	lastKey(): Uint8Array {
		const last = this.#count - 1
		const start = last === 0 ? 0 : (this.#ends[2 * last - 1] as number)
		const end = this.#ends[2 * last] as number
		const key = new Uint8Array(this.#prefixBytes + end - start)
		key.set(this.#prefix.subarray(0, this.#prefixBytes))
		key.set(this.#data.subarray(start, end), this.#prefixBytes)
		return key
	}

	/** Fixes widths and gives the exact size that `encode` will write. */
	measure(): BlockShape {
		return measureBlock({
			count: this.#count,
			seqs: this.#seqs,
			kinds: this.#kinds,
			expiries: this.#hasExpiry ? this.#expiries : undefined,
			prefixBytes: this.#prefixBytes,
			dataBytes: this.#dataBytes,
		})
	}

	/** Writes the block into `target` at `at`, where `shape.rawBytes` bytes are free. */
	encode(shape: BlockShape, target: Uint8Array, at: number): void {
		const count = this.#count
		let position = encodeHeader(shape, count, this.#prefixBytes, this.#kinds[0] as number, target, at)
		copyRange(this.#prefix, 0, this.#prefixBytes, target, position)
		position += this.#prefixBytes
		copyRange(this.#data, 0, this.#dataBytes, target, position)
		this.#encodeColumns(shape, target, position + this.#dataBytes)
	}

	/** Forgets the entries; the next block begins with this one's common prefix as its guess. */
	reset(): void {
		if (this.#count > 1) this.#guessBytes = this.#commonBytes
		this.#count = 0
		this.#dataBytes = 0
		this.#hasExpiry = false
	}

	/** Makes ready for entry `slot`, which is not the first and whose key is related to the last one. */
	#prepare(slot: number): void {
		if (this.sharedBytes < this.#prefixBytes) this.#shortenPrefix(this.sharedBytes)
		if (this.sharedBytes < this.#commonBytes) this.#commonBytes = this.sharedBytes
		if (slot === this.#kinds.length) this.#growColumns()
	}

	/** Entry `slot`, whose key and value have been copied, ends at `end`. */
	#finishEntry(slot: number, keyEnd: number, end: number, seq: number, kind: EntryKind, expiresAtMs: number): void {
		this.#ends[2 * slot] = keyEnd
		this.#ends[2 * slot + 1] = end
		this.#seqs[slot] = seq
		this.#kinds[slot] = kind
		this.#expiries[slot] = expiresAtMs
		if (expiresAtMs !== 0) this.#hasExpiry = true
		this.#dataBytes = end
		this.#count = slot + 1
	}

	#encodeColumns(shape: BlockShape, target: Uint8Array, start: number): void {
		const count = this.#count
		let position = encodeEnds(this.#ends, 2 * count, shape.endWidth, target, start)
		position = encodeDeltas(this.#seqs, count, shape.minSeq, shape.seqWidth, target, position)
		if (shape.expiryWidth > 0) position = encodeExpiries(this.#expiries, count, shape, target, position)
		if (shape.hasKinds) copyRange(this.#kinds, 0, count, target, position)
	}

	#begin(keyBuf: Uint8Array, keyOffset: number, keyBytes: number): void {
		const prefixBytes = Math.min(keyBytes, this.#guessBytes)
		if (prefixBytes > this.#prefix.length) this.#prefix = new Uint8Array(prefixBytes * 2)
		copyRange(keyBuf, keyOffset, prefixBytes, this.#prefix, 0)
		this.#prefixBytes = prefixBytes
		this.#commonBytes = keyBytes
	}

	/** Gives `prefix[prefixBytes …)` back to the suffixes, from the last entry to the first. */
	#shortenPrefix(prefixBytes: number): void {
		const freed = this.#prefix.subarray(prefixBytes, this.#prefixBytes)
		const ends = this.#ends
		const grown = this.#dataBytes + freed.length * this.#count
		if (grown > this.#data.length) this.#growData(grown)
		for (let i = this.#count - 1; i >= 0; i--) {
			const start = i === 0 ? 0 : (ends[2 * i - 1] as number)
			const end = ends[2 * i + 1] as number
			const to = start + freed.length * i
			this.#data.copyWithin(to + freed.length, start, end)
			this.#data.set(freed, to)
			ends[2 * i] = (ends[2 * i] as number) + freed.length * (i + 1)
			ends[2 * i + 1] = end + freed.length * (i + 1)
		}
		this.#dataBytes = grown
		this.#prefixBytes = prefixBytes
	}

	#growData(needed: number): void {
		const grown = new Uint8Array(Math.max(needed, this.#data.length * 2))
		grown.set(this.#data.subarray(0, this.#dataBytes))
		this.#data = grown
	}

	#growColumns(): void {
		const capacity = this.#kinds.length * 2
		this.#ends = grown(this.#ends, new Uint32Array(capacity * 2))
		this.#seqs = grown(this.#seqs, new Float64Array(capacity))
		this.#expiries = grown(this.#expiries, new Float64Array(capacity))
		this.#kinds = grown(this.#kinds, new Uint8Array(capacity))
	}
}

/** `larger`, with `values` at its start. */
function grown<Column extends Uint8Array | Uint32Array | Float64Array>(values: Column, larger: Column): Column {
	larger.set(values)
	return larger
}
