/**
 * Finds the newest version of a key: an open-addressing hash table over the entries of an arena.
 *
 * A slot is two words: the hash, and the reference of the newest entry (0 = free). The top bits of the hash choose the
 * slot and collisions go to the next one. Because of the top bits, doubling moves the entries of slot i to slots 2i and
 * 2i + 1: growth reads and writes memory in order, and 128 thousand slots move in well under a millisecond.
 * Nothing is ever removed.
 */
import { HEADER_WORDS, REF_CHUNK_SHIFT, REF_WORD_MASK, wordsFor } from '../sst/entry-arena.ts'
import type { ArenaPool } from './arena-pool.ts'

/** 512 slots × 8 bytes: one page. */
const FIRST_SLOTS_LOG2 = 9

export class KeyIndex {
	readonly #pool: ArenaPool
	/** The arena's chunks as words; it grows under us. */
	readonly #chunks: readonly Int32Array[]
	#table: Int32Array
	/** 32 − log2(slots): `hash >>> shift` is the home slot. */
	#shift: number
	#mask: number
	#keyCount = 0
	/** Grow when `#keyCount` reaches it: load 3/4. */
	#growAt: number

	constructor(pool: ArenaPool, chunks: readonly Int32Array[]) {
		this.#pool = pool
		this.#chunks = chunks
		this.#table = takeTable(pool, FIRST_SLOTS_LOG2)
		this.#shift = 32 - FIRST_SLOTS_LOG2
		this.#mask = 2 ** FIRST_SLOTS_LOG2 - 1
		this.#growAt = growthPoint(FIRST_SLOTS_LOG2)
	}

	/** Different keys. */
	get keyCount(): number {
		return this.#keyCount
	}

	get bytes(): number {
		return this.#table.byteLength
	}

	/** Newest entry whose key is `keyBytes` bytes from word `keyAt` of `words` (zero-padded); 0 for none. */
	find(hash: number, words: Int32Array, keyAt: number, keyBytes: number): number {
		const table = this.#table
		const mask = this.#mask
		const tag = hash | 0
		let slot = hash >>> this.#shift
		for (;;) {
			const ref = table[slot * 2 + 1] as number
			if (ref === 0) return 0
			if (table[slot * 2] === tag && this.#hasKey(ref, words, keyAt, keyBytes)) return ref
			slot = (slot + 1) & mask
		}
	}

	/** Makes `newest` the newest entry of its key; returns the one that was, 0 for none. */
	replace(hash: number, newest: number, words: Int32Array, keyAt: number, keyBytes: number): number {
		const table = this.#table
		const mask = this.#mask
		const tag = hash | 0
		let slot = hash >>> this.#shift
		for (;;) {
			const ref = table[slot * 2 + 1] as number
			if (ref === 0) {
				table[slot * 2] = tag
				table[slot * 2 + 1] = newest
				if (++this.#keyCount >= this.#growAt) this.#grow()
				return 0
			}
			if (table[slot * 2] === tag && this.#hasKey(ref, words, keyAt, keyBytes)) {
				table[slot * 2 + 1] = newest
				return ref
			}
			slot = (slot + 1) & mask
		}
	}

	/** Gives the table to the pool. The index must not be used again. */
	release(): void {
		this.#pool.give(this.#table.buffer as ArrayBuffer)
		this.#table = new Int32Array(0)
	}

	#hasKey(ref: number, words: Int32Array, keyAt: number, keyBytes: number): boolean {
		const candidate = this.#chunks[ref >>> REF_CHUNK_SHIFT] as Int32Array
		const at = ref & REF_WORD_MASK
		if (candidate[at + 3] !== keyBytes) return false
		const start = at + HEADER_WORDS
		const count = wordsFor(keyBytes)
		for (let i = 0; i < count; i++) if (candidate[start + i] !== words[keyAt + i]) return false
		return true
	}

	#grow(): void {
		const old = this.#table
		const slotsLog2 = 33 - this.#shift
		const table = takeTable(this.#pool, slotsLog2)
		const shift = 32 - slotsLog2
		const mask = 2 ** slotsLog2 - 1
		for (let i = 0; i < old.length; i += 2) {
			const ref = old[i + 1] as number
			if (ref === 0) continue
			const hash = old[i] as number
			let slot = hash >>> shift
			while (table[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
			table[slot * 2] = hash
			table[slot * 2 + 1] = ref
		}
		this.#table = table
		this.#shift = shift
		this.#mask = mask
		this.#growAt = growthPoint(slotsLog2)
		this.#pool.give(old.buffer as ArrayBuffer)
	}
}

function growthPoint(slotsLog2: number): number {
	return 2 ** slotsLog2 * 0.75
}

function takeTable(pool: ArenaPool, slotsLog2: number): Int32Array {
	return new Int32Array(pool.take(2 ** slotsLog2 * 8)).fill(0)
}
