/**
 * The newest entries of a memtable, which its index does not know yet: at most 64 of them.
 *
 * A put that indexed its own key would wait for memory: the place of a key in the index is anywhere in megabytes. 64 keys
 * at once wait once: a short loop hashes them and reads their places, and those waits overlap; a second loop then links them.
 * Whoever looks a key up settles the backlog first, which costs a few microseconds, so that nobody can tell the difference.
 */
import { HEADER_WORDS, REF_CHUNK_SHIFT, REF_WORD_MASK } from '../sst/entry-arena.ts'
import type { Arena } from './arena.ts'
import type { ArenaPool } from './arena-pool.ts'
import { KeyIndex } from './key-index.ts'
import { hashWords } from './key-words.ts'

/** 64 entries of 132 bytes and 64 places of the index, a cache line each: 12 KiB, half of the first-level cache. */
const MAX_ENTRIES = 64
const NO_REFS = new Int32Array(0)
/** Of the entries that are being settled. Used within one synchronous call only. */
const hashes = new Uint32Array(MAX_ENTRIES)

export class IndexBacklog {
	readonly #arena: Arena
	readonly #pool: ArenaPool
	/** Of every entry that is settled. Undefined: none is, as in a memtable of a few entries that nobody looks up. */
	index: KeyIndex | undefined
	/** Made for the first entry: a memtable may stay empty. */
	#refs: Int32Array = NO_REFS
	#count = 0
	/** What was read ahead, mixed up. It means nothing. */
	touched = 0

	constructor(arena: Arena, pool: ArenaPool) {
		this.#arena = arena
		this.#pool = pool
	}

	/** The entry at `ref`, which is complete, is the newest one. */
	add(ref: number): void {
		if (this.#refs === NO_REFS) this.#refs = new Int32Array(MAX_ENTRIES)
		this.#refs[this.#count++] = ref
		if (this.#count === MAX_ENTRIES) this.settle()
	}

	/** Makes the index know every entry, oldest first. */
	settle(): void {
		const count = this.#count
		if (count === 0) return
		this.#count = 0
		const { words: wordsOf, bytes: bytesOf } = this.#arena
		this.index ??= new KeyIndex(this.#pool, wordsOf)
		const index = this.index
		const refs = this.#refs
		let touched = 0
		for (let i = 0; i < count; i++) {
			const ref = refs[i] as number
			const words = wordsOf[ref >>> REF_CHUNK_SHIFT] as Int32Array
			const at = ref & REF_WORD_MASK
			const bytes = bytesOf[ref >>> REF_CHUNK_SHIFT] as Uint8Array
			const hash = hashWords(words, bytes, at + HEADER_WORDS, words[at + 3] as number)
			hashes[i] = hash
			touched ^= index.touch(hash)
		}
		// Kept where others could see it, so that the reading is not optimised away.
		this.touched = touched
		for (let i = 0; i < count; i++) {
			const ref = refs[i] as number
			const words = wordsOf[ref >>> REF_CHUNK_SHIFT] as Int32Array
			const at = ref & REF_WORD_MASK
			words[at + 1] = index.replace(hashes[i] as number, ref, words, at + HEADER_WORDS, words[at + 3] as number)
		}
	}
}
