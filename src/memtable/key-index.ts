/**
 * Finds the newest version of a key: an extendible hash table (Fagin et al., 1979) over the entries of an arena.
 *
 * A directory, chosen by the top bits of the hash, points at segments; a segment is an open-addressing table whose slots
 * are two words: the hash, and the reference of the newest entry (0 = free). The next bits of the hash choose the slot,
 * and collisions go to the next one. Nothing is ever removed.
 *
 * The first segment doubles until it has 64 thousand slots; from then on a full segment is split in two by one more bit
 * of the hash. So a put never moves more than 49 thousand entries, however large the memtable is, and because both take
 * the *top* bits, slot i goes to slots 2i and 2i + 1: entries move in the order of memory.
 */
import { HEADER_WORDS, REF_CHUNK_SHIFT, REF_WORD_MASK, wordsFor } from '../sst/entry-arena.ts'
import type { ArenaPool } from './arena-pool.ts'

/** 512 slots × 8 bytes: one page. */
const FIRST_SLOTS_LOG2 = 9
/** 65,536 slots × 8 bytes = 512 KiB. */
const SPLIT_SLOTS_LOG2 = 16
/** With 16 bits in the directory, keys of so equal hashes are left to probing: their segment doubles instead. */
const DEPTH_MAX = 16

interface Segment {
	readonly table: Int32Array
	/** How many top bits of the hash all its entries share. */
	readonly depth: number
	/** 32 − log2(slots): `(hash << depth) >>> shift` is the home slot. */
	readonly shift: number
	readonly mask: number
	/** Full when `count` reaches it: load 3/4. */
	readonly countMax: number
	count: number
}

export class KeyIndex {
	readonly #pool: ArenaPool
	/** The arena's chunks as words; it grows under us. */
	readonly #chunks: readonly Int32Array[]
	/** By `hash >>> #directoryShift`. At least two places, because a shift by 32 is none. */
	#directory: Segment[]
	#directoryShift = 31
	#keyCount = 0
	#bytes = 0

	constructor(pool: ArenaPool, chunks: readonly Int32Array[]) {
		this.#pool = pool
		this.#chunks = chunks
		const first = this.#newSegment(FIRST_SLOTS_LOG2, 0)
		this.#directory = [first, first]
	}

	/** Different keys. */
	get keyCount(): number {
		return this.#keyCount
	}

	get bytes(): number {
		return this.#bytes
	}

	/** Reads the place where a key of this hash begins to be looked for, so that it is near; what it says means nothing. */
	touch(hash: number): number {
		const { table, depth, shift } = this.#directory[hash >>> this.#directoryShift] as Segment
		return table[((hash << depth) >>> shift) * 2] as number
	}

	/** Newest entry whose key is `keyBytes` bytes from word `keyAt` of `words` (zero-padded); 0 for none. */
	find(hash: number, words: Int32Array, keyAt: number, keyBytes: number): number {
		const { table, depth, shift, mask } = this.#directory[hash >>> this.#directoryShift] as Segment
		const tag = hash | 0
		let slot = (hash << depth) >>> shift
		for (;;) {
			const ref = table[slot * 2 + 1] as number
			if (ref === 0) return 0
			if (table[slot * 2] === tag && this.#hasKey(ref, words, keyAt, keyBytes)) return ref
			slot = (slot + 1) & mask
		}
	}

	/** Makes `newest` the newest entry of its key; returns the one that was, 0 for none. */
	replace(hash: number, newest: number, words: Int32Array, keyAt: number, keyBytes: number): number {
		const segment = this.#directory[hash >>> this.#directoryShift] as Segment
		const { table, depth, shift, mask } = segment
		const tag = hash | 0
		let slot = (hash << depth) >>> shift
		for (;;) {
			const ref = table[slot * 2 + 1] as number
			if (ref === 0) {
				table[slot * 2] = tag
				table[slot * 2 + 1] = newest
				this.#keyCount++
				if (++segment.count >= segment.countMax) this.#grow(segment, hash)
				return 0
			}
			if (table[slot * 2] === tag && this.#hasKey(ref, words, keyAt, keyBytes)) {
				table[slot * 2 + 1] = newest
				return ref
			}
			slot = (slot + 1) & mask
		}
	}

	/** Gives the memory to the pool. The index must not be used again. */
	release(): void {
		for (const segment of new Set(this.#directory)) this.#dropSegment(segment)
		this.#directory = []
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

	/** Replaces a full segment by one twice as large, or by two. */
	#grow(segment: Segment, hash: number): void {
		const slotsLog2 = 32 - segment.shift
		if (slotsLog2 < SPLIT_SLOTS_LOG2 || segment.depth === DEPTH_MAX) {
			const larger = this.#newSegment(slotsLog2 + 1, segment.depth)
			this.#point(segment, hash, larger, larger)
		} else {
			const depth = segment.depth + 1
			this.#point(segment, hash, this.#newSegment(slotsLog2, depth), this.#newSegment(slotsLog2, depth))
		}
		const { table } = segment
		for (let i = 0; i < table.length; i += 2) {
			const ref = table[i + 1] as number
			if (ref !== 0)
				insert(this.#directory[(table[i] as number) >>> this.#directoryShift] as Segment, table[i] as number, ref)
		}
		this.#dropSegment(segment)
	}

	/** Points the places of `segment`, which hold `hash`, at `low` and `high` halfway. */
	#point(segment: Segment, hash: number, low: Segment, high: Segment): void {
		if (low.depth > 32 - this.#directoryShift) {
			this.#directory = this.#directory.flatMap(place => [place, place])
			this.#directoryShift--
		}
		const places = 2 ** (32 - this.#directoryShift - segment.depth)
		const place = hash >>> this.#directoryShift
		const first = place - (place % places)
		for (let i = 0; i < places; i++) this.#directory[first + i] = i < places / 2 ? low : high
	}

	#newSegment(slotsLog2: number, depth: number): Segment {
		const slots = 2 ** slotsLog2
		const table = new Int32Array(this.#pool.take(slots * 8)).fill(0)
		this.#bytes += table.byteLength
		return { table, depth, shift: 32 - slotsLog2, mask: slots - 1, countMax: slots * 0.75, count: 0 }
	}

	#dropSegment({ table }: Segment): void {
		this.#bytes -= table.byteLength
		this.#pool.give(table.buffer as ArrayBuffer)
	}
}

/** Adds an entry whose key is known to be new. */
function insert(segment: Segment, hash: number, ref: number): void {
	const { table, depth, shift, mask } = segment
	let slot = (hash << depth) >>> shift
	while (table[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
	table[slot * 2] = hash
	table[slot * 2 + 1] = ref
	segment.count++
}
