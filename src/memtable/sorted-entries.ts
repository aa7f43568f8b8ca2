/**
 * Entries of a memtable in order: key ascending, then newest first. Read by index, like a `Block`.
 *
 * For scans that must not allocate per entry: `bytesAt(i)` is the memory of entry i, `keyStartAt(i)` and `keyBytesAt(i)`
 * find its key there, `valueStartAt(i)` and `valueEndAt(i)` its value.
 * It reads the memtable in place: hold a `ref` of the memtable while it is used.
 */
import type { EntryKind } from '../sst/entry.ts'
import {
	expiresAtMsAt,
	HEADER_WORDS,
	keyBytesAt,
	kindAt,
	REF_CHUNK_SHIFT,
	REF_WORD_MASK,
	seqDeltaAt,
	valueBytesAt,
	valueOffsetAt,
} from '../sst/entry-arena.ts'

export class SortedEntries {
	readonly count: number
	readonly #refs: Uint32Array
	readonly #words: readonly Int32Array[]
	readonly #bytes: readonly Uint8Array[]
	readonly #baseSeq: number

	/** @param refs references into the arena whose chunks are `words` and `bytes`, in order. */
	constructor(refs: Uint32Array, words: readonly Int32Array[], bytes: readonly Uint8Array[], baseSeq: number) {
		this.count = refs.length
		this.#refs = refs
		this.#words = words
		this.#bytes = bytes
		this.#baseSeq = baseSeq
	}

	get memoryBytes(): number {
		return this.#refs.byteLength
	}

	/** Index of the first entry whose key is ≥ `key` (its newest version); `count` when there is none. */
	seek(key: Uint8Array): number {
		let low = 0
		let high = this.count
		while (low < high) {
			const middle = (low + high) >>> 1
			if (this.compareKeyAt(middle, key) < 0) low = middle + 1
			else high = middle
		}
		return low
	}

	/** Negative, zero or positive as the key of entry `i` is smaller than, equal to or larger than `key`. */
	compareKeyAt(i: number, key: Uint8Array): number {
		const ref = this.#refs[i] as number
		const at = ref & REF_WORD_MASK
		const bytes = this.#bytes[ref >>> REF_CHUNK_SHIFT] as Uint8Array
		const keyBytes = keyBytesAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, at)
		const start = (at + HEADER_WORDS) << 2
		const common = Math.min(keyBytes, key.length)
		for (let j = 0; j < common; j++) {
			const difference = (bytes[start + j] as number) - (key[j] as number)
			if (difference !== 0) return difference
		}
		return keyBytes - key.length
	}

	/** The key of entry `i`, in memory of its own. */
	keyAt(i: number): Uint8Array {
		const key = new Uint8Array(this.keyBytesAt(i))
		this.copyKeyAt(i, key, 0)
		return key
	}

	/** Writes the key of entry `i` into `target` at `at`, where there is room for `keyBytesAt(i)`; returns its end. */
	copyKeyAt(i: number, target: Uint8Array, at: number): number {
		const bytes = this.bytesAt(i)
		const start = this.keyStartAt(i)
		const keyBytes = this.keyBytesAt(i)
		for (let j = 0; j < keyBytes; j++) target[at + j] = bytes[start + j] as number
		return at + keyBytes
	}

	kindAt(i: number): EntryKind {
		const ref = this.#refs[i] as number
		return kindAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, ref & REF_WORD_MASK)
	}

	seqAt(i: number): number {
		const ref = this.#refs[i] as number
		return this.#baseSeq + seqDeltaAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, ref & REF_WORD_MASK)
	}

	/** 0: never. */
	expiresAtMsAt(i: number): number {
		const ref = this.#refs[i] as number
		return expiresAtMsAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, ref & REF_WORD_MASK)
	}

	/** The value of entry `i` as a view: copy it before it leaves the engine. */
	valueViewAt(i: number): Uint8Array {
		const bytes = this.bytesAt(i)
		const start = this.valueStartAt(i)
		return new Uint8Array(bytes.buffer, bytes.byteOffset + start, this.valueEndAt(i) - start)
	}

	/** The memory that key and value of entry `i` stand in. Never written to. */
	bytesAt(i: number): Uint8Array {
		return this.#bytes[(this.#refs[i] as number) >>> REF_CHUNK_SHIFT] as Uint8Array
	}

	keyStartAt(i: number): number {
		return (((this.#refs[i] as number) & REF_WORD_MASK) + HEADER_WORDS) << 2
	}

	keyBytesAt(i: number): number {
		const ref = this.#refs[i] as number
		return keyBytesAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, ref & REF_WORD_MASK)
	}

	valueStartAt(i: number): number {
		const ref = this.#refs[i] as number
		return valueOffsetAt(this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array, ref & REF_WORD_MASK)
	}

	valueEndAt(i: number): number {
		const ref = this.#refs[i] as number
		const words = this.#words[ref >>> REF_CHUNK_SHIFT] as Int32Array
		const at = ref & REF_WORD_MASK
		return valueOffsetAt(words, at) + valueBytesAt(words, at)
	}
}
