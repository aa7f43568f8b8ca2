/**
 * The append-only memory of one memtable: chunks that entries are written into and never move.
 *
 * The first chunk is small and each next one twice as large, up to 256 KiB, so that a memtable of one entry costs a page.
 * When a chunk is full a copy of it is made at once, for the job that will encode it, while reads go on in the original: so the
 * job copies at most the chunk that was open, and no moment copies more than 256 KiB (except for an entry larger than that).
 * Copies in shared memory stay ours, and serve a job that has to be made again; others travel, and are made anew then.
 */
import { copyShared } from '../bytes/copy.ts'
import { invariant } from '../errors.ts'
import { type ArenaSegment, CHUNK_BYTES, CHUNK_MAX_COUNT, REF_CHUNK_SHIFT } from '../sst/entry-arena.ts'
import type { ArenaPool } from './arena-pool.ts'

/** 4 KiB: one page. Then 8, 16, … 256 KiB. */
const FIRST_CHUNK_BYTES = 4_096
/** An entry beyond a quarter of a chunk has its own, so that at most a quarter of a chunk is ever left unused. */
const LARGE_ENTRY_WORDS = CHUNK_BYTES / 4 / 4
/** Word 0 of each chunk is unused. */
const FIRST_WORD = 1

/** How far an arena was filled: the word each chunk ended at, by chunk. */
export type ArenaMark = readonly number[]

export class Arena {
	/** By chunk, as words and as bytes. */
	readonly words: Int32Array[] = []
	readonly bytes: Buffer[] = []

	/** The chunk that small entries go to, and the room in it: words `[top, limit)` are free. */
	openChunk = -1
	openWords: Int32Array = new Int32Array(0)
	openBytes: Buffer = Buffer.alloc(0)
	top = 0
	limit = 0

	readonly #pool: ArenaPool
	/** Where each closed chunk ends, in words. */
	readonly #ends: number[] = []
	readonly #copies: (ArrayBuffer | SharedArrayBuffer | undefined)[] = []
	#capacityBytes = 0
	#copyBytes = 0
	#closedWords = 0
	#nextChunkBytes = FIRST_CHUNK_BYTES

	constructor(pool: ArenaPool) {
		this.#pool = pool
	}

	/** Memory held: chunks and copies, whole. Copies count until the arena is released, wherever they are by then. */
	get memoryBytes(): number {
		return this.#capacityBytes + this.#copyBytes
	}

	/** Bytes that entries take. */
	get usedBytes(): number {
		return (this.#closedWords + Math.max(0, this.top - FIRST_WORD)) * 4
	}

	/** Finds room for an entry of `entryWords`; returns its chunk. The open chunk may change. */
	reserve(entryWords: number): number {
		if (entryWords > LARGE_ENTRY_WORDS) return this.#addOwnChunk(entryWords)
		if (this.top + entryWords > this.limit) this.#openNext(entryWords)
		return this.openChunk
	}

	/** First free word of a chunk that `reserve` returned. */
	topOf(chunk: number): number {
		return chunk === this.openChunk ? this.top : FIRST_WORD
	}

	/** The entry at the top of `chunk` is written and takes `entryWords`. Returns its reference. */
	commit(chunk: number, entryWords: number): number {
		if (chunk === this.openChunk) {
			const ref = (chunk << REF_CHUNK_SHIFT) | this.top
			this.top += entryWords
			return ref
		}
		this.#close(chunk, FIRST_WORD + entryWords)
		return (chunk << REF_CHUNK_SHIFT) | FIRST_WORD
	}

	/** Ends writing. Idempotent. */
	freeze(): void {
		if (this.openChunk >= 0) this.#end(this.openChunk, this.top)
		this.openChunk = -1
		this.top = 0
		this.limit = 0
	}

	mark(): ArenaMark {
		const ends = this.#ends.slice()
		if (this.openChunk >= 0) ends[this.openChunk] = this.top
		return ends
	}

	/** All of a frozen arena, still in place: for reading on this thread only. */
	segments(): ArenaSegment[] {
		return this.segmentsBetween([], this.#ends)
	}

	/** What was written between two marks, still in place: for reading on this thread only. */
	segmentsBetween(from: ArenaMark, to: ArenaMark): ArenaSegment[] {
		return this.#stretches(from, to).map(({ chunk, firstWord, endWord }) => {
			return { chunk, buffer: this.#bufferOf(chunk), originWord: 0, firstWord, endWord }
		})
	}

	/** The same in copies, which the caller owns. */
	copySegments(from: ArenaMark, to: ArenaMark): ArenaSegment[] {
		return this.#stretches(from, to).map(({ chunk, firstWord, endWord }) => {
			const buffer = this.#takeOwn((endWord - firstWord) * 4)
			this.#copyTo(buffer, chunk, firstWord, endWord)
			return this.#segmentOfCopy(chunk, buffer, firstWord, endWord)
		})
	}

	/** All of a frozen arena in copies. The caller owns those that are not shared, and reads the others until `dropCopies`. */
	takeCopies(): ArenaSegment[] {
		return this.#stretches([], this.#ends).map(({ chunk, firstWord, endWord }) => {
			const buffer = this.#copies[chunk] ?? this.#makeCopy(chunk, firstWord, endWord)
			if (buffer instanceof ArrayBuffer) this.#copies[chunk] = undefined
			return this.#segmentOfCopy(chunk, buffer, firstWord, endWord)
		})
	}

	/** Nobody needs copies any more. */
	dropCopies(): void {
		for (const copy of this.#copies) if (copy !== undefined) this.#pool.give(copy)
		this.#copies.length = 0
		this.#copyBytes = 0
	}

	/** Gives all memory to the pool. Nothing may be read from the arena again. */
	release(): void {
		this.dropCopies()
		for (let chunk = 0; chunk < this.words.length; chunk++) this.#pool.give(this.#bufferOf(chunk))
		this.words.length = 0
		this.bytes.length = 0
		this.#ends.length = 0
		this.#capacityBytes = 0
		this.#closedWords = 0
	}

	#openNext(entryWords: number): void {
		if (this.openChunk >= 0) this.#close(this.openChunk, this.top)
		while (this.#nextChunkBytes < (FIRST_WORD + entryWords) * 4) this.#nextChunkBytes *= 2
		const chunk = this.#addChunk(this.#pool.take(this.#nextChunkBytes))
		this.#nextChunkBytes = Math.min(this.#nextChunkBytes * 2, CHUNK_BYTES)
		this.openChunk = chunk
		this.openWords = this.words[chunk] as Int32Array
		this.openBytes = this.bytes[chunk] as Buffer
		this.top = FIRST_WORD
		this.limit = this.openWords.length
	}

	#addOwnChunk(entryWords: number): number {
		return this.#addChunk(new ArrayBuffer((FIRST_WORD + entryWords) * 4))
	}

	#addChunk(buffer: ArrayBuffer): number {
		const chunk = this.words.length
		invariant(chunk < CHUNK_MAX_COUNT, 'an arena has more chunks than a reference can name')
		this.words.push(new Int32Array(buffer))
		this.bytes.push(Buffer.from(buffer))
		this.#ends.push(FIRST_WORD)
		this.#capacityBytes += buffer.byteLength
		return chunk
	}

	#close(chunk: number, endWord: number): void {
		this.#end(chunk, endWord)
		if (endWord > FIRST_WORD) this.#makeCopy(chunk, FIRST_WORD, endWord)
	}

	#end(chunk: number, endWord: number): void {
		this.#ends[chunk] = endWord
		this.#closedWords += endWord - FIRST_WORD
	}

	#makeCopy(chunk: number, firstWord: number, endWord: number): ArrayBuffer | SharedArrayBuffer {
		const bytes = (endWord - firstWord) * 4
		const copy = bytes > CHUNK_BYTES ? this.#takeOwn(bytes) : this.#pool.takeForCopy(bytes)
		this.#copyTo(copy, chunk, firstWord, endWord)
		this.#copies[chunk] = copy
		this.#copyBytes += copy.byteLength
		return copy
	}

	#takeOwn(bytes: number): ArrayBuffer {
		return bytes > CHUNK_BYTES ? new ArrayBuffer(bytes) : this.#pool.take(bytes)
	}

	#copyTo(buffer: ArrayBuffer | SharedArrayBuffer, chunk: number, firstWord: number, endWord: number): void {
		const source = (this.bytes[chunk] as Buffer).subarray(firstWord * 4, endWord * 4)
		copyShared(source, Buffer.from(buffer), 0)
	}

	#segmentOfCopy(
		chunk: number,
		buffer: ArrayBuffer | SharedArrayBuffer,
		firstWord: number,
		endWord: number,
	): ArenaSegment {
		return { chunk, buffer, originWord: firstWord, firstWord: 0, endWord: endWord - firstWord }
	}

	#stretches(from: ArenaMark, to: ArenaMark): { chunk: number; firstWord: number; endWord: number }[] {
		const stretches = []
		for (let chunk = 0; chunk < to.length; chunk++) {
			const firstWord = from[chunk] ?? FIRST_WORD
			const endWord = to[chunk] as number
			if (endWord > firstWord) stretches.push({ chunk, firstWord, endWord })
		}
		return stretches
	}

	#bufferOf(chunk: number): ArrayBuffer {
		return (this.words[chunk] as Int32Array).buffer as ArrayBuffer
	}
}
