/**
 * What was written and is not yet committed: an arena of entries and an index of their keys.
 *
 * A put writes one entry at the end of the arena and points the index at it; the entry keeps the reference of the version
 * that it replaces. Nothing is sorted on the main thread: `freeze`, then `makeEncodeJob` sends copies of the chunks to a
 * worker that sorts and encodes them, while reads go on here until the commit stands; then `recycle` ends it.
 *
 * Invariants. Sequence numbers are `baseSeq + index`, without gap: a put that throws changes nothing and uses none.
 * Entries never move and never change. After `recycle` and the last `unref` nothing can be read.
 */
import type { EncodeTableInput } from '../../workers/encode-table.ts'
import { invariant } from '../errors.ts'
import { type EntryKind, KEY_MAX_BYTES, type Seq, toSeq } from '../sst/entry.ts'
import {
	EXPIRY_WORDS,
	entryWordsAt,
	expiresAtMsAt,
	HEADER_WORDS,
	kindAt,
	ownBuffers,
	REF_CHUNK_SHIFT,
	REF_WORD_MASK,
	seqDeltaAt,
	valueBytesAt,
	valueOffsetAt,
	wordsFor,
} from '../sst/entry-arena.ts'
import type { TableOptions } from '../sst/table-options.ts'
import { Arena } from './arena.ts'
import type { ArenaPool } from './arena-pool.ts'
import { IndexBacklog } from './index-backlog.ts'
import { hashWords } from './key-words.ts'
import type { SortedEntries } from './sorted-entries.ts'
import { SortedRuns, type SortPool } from './sorted-runs.ts'
import { checkEntryLimits, writeBytes, writeEntry, writeExpiry } from './write-entry.ts'

export interface MemtableOptions {
	/** Sequence number of the first entry. */
	readonly baseSeq: Seq
	/** Where memory comes from and goes back to; shared by the memtables of one writer. */
	readonly pool: ArenaPool
	/** Bytes of entries from which on `hasRoom` says no; a put beyond it still succeeds. Default 16 MiB. */
	readonly maxBytes?: number
}

/** One version of a key. `value` is a view into the memtable: copy it before anyone else sees it. */
export interface MemtableHit {
	readonly kind: EntryKind
	readonly seq: Seq
	/** 0 means never. */
	readonly expiresAtMs: number
	readonly value: Uint8Array
}

/** A job for `JobPool.run('encode-table', …)`. */
export interface EncodeJob {
	readonly input: EncodeTableInput
	readonly transfer: readonly ArrayBuffer[]
}

/** 16 MiB */
const DEFAULT_MAX_BYTES = 16_777_216
/** The objects around the buffers: an estimate, so that many small memtables are not counted as nothing. */
const OVERHEAD_BYTES = 2_048
/** Entries up to 256 bytes are moved by a loop: a view and a call of `set` cost more. */
const LOOP_COPY_WORDS = 64
/** 2^31 − 1: references and counts stay 32-bit integers. */
const MAX_ENTRIES = 0x7fff_ffff

/** A key that is looked for, as zero-padded words. Used within one synchronous call only. */
const scratchWords = new Int32Array(wordsFor(KEY_MAX_BYTES))
const scratchBytes = new Uint8Array(scratchWords.buffer)

export class Memtable {
	readonly baseSeq: Seq
	readonly #maxBytes: number
	readonly #arena: Arena
	readonly #backlog: IndexBacklog
	readonly #runs: SortedRuns
	#count = 0
	#isFrozen = false
	#isRecycled = false
	#isReleased = false
	#refs = 0

	constructor(options: MemtableOptions) {
		this.baseSeq = options.baseSeq
		this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
		this.#arena = new Arena(options.pool)
		this.#backlog = new IndexBacklog(this.#arena, options.pool)
		this.#runs = new SortedRuns(this.#arena, options.pool, options.baseSeq)
	}

	/** Versions, tombstones included. */
	get entryCount(): number {
		return this.#count
	}

	/** Different keys. */
	get keyCount(): number {
		this.#backlog.settle()
		return this.#backlog.index?.keyCount ?? 0
	}

	/** Sequence number of the newest entry; `baseSeq − 1` while empty. */
	get lastSeq(): Seq {
		return toSeq(this.baseSeq + this.#count - 1)
	}

	/** Memory held: chunks, their copies (until `recycle`, wherever they are), index, sorted orders. */
	get bytes(): number {
		if (this.#isReleased) return 0
		return this.#arena.memoryBytes + (this.#backlog.index?.bytes ?? 0) + this.#runs.memoryBytes + OVERHEAD_BYTES
	}

	/** Bytes that the entries take: what `maxBytes` limits. */
	get entryBytes(): number {
		return this.#arena.usedBytes
	}

	get isFrozen(): boolean {
		return this.#isFrozen
	}

	/** Whether about `moreBytes` of entries still fit below the soft limit; always true while empty. */
	hasRoom(moreBytes: number): boolean {
		return this.#count === 0 || this.#arena.usedBytes + moreBytes <= this.#maxBytes
	}

	/**
	 * Adds a version of `key` with the next sequence number. Bytes are copied; strings are written as UTF-8.
	 *
	 * @throws RangeError, having changed nothing, for a key or value beyond its limits.
	 */
	put(key: string | Uint8Array, value: string | Uint8Array, kind: EntryKind, expiresAtMs: number): void {
		const arena = this.#arena
		// Three bytes hold any UTF-16 unit: enough room is free, whatever the text is.
		const keyBound = typeof key === 'string' ? key.length * 3 : key.length
		const valueBound = typeof value === 'string' ? value.length * 3 : value.length
		const expiryWords = expiresAtMs === 0 ? 0 : EXPIRY_WORDS
		const bound = HEADER_WORDS + wordsFor(keyBound) + wordsFor(valueBound) + expiryWords
		if (bound > arena.limit - arena.top) {
			this.#putElsewhere(key, value, kind, expiresAtMs)
			return
		}
		const at = arena.top
		const end = writeEntry(arena.openWords, arena.openBytes, at, this.#count, key, value, kind, expiresAtMs)
		arena.top = end
		this.#link((arena.openChunk << REF_CHUNK_SHIFT) | at)
	}

	/**
	 * Adds an entry that stands complete at word `from` of `source`, in the layout of src/sst/entry-arena.ts, with the next
	 * sequence number. Its expiry, if it has one, becomes `expiryBaseMs` later.
	 *
	 * @throws RangeError, having changed nothing, for a key or value beyond its limits.
	 */
	append(source: Int32Array, from: number, expiryBaseMs: number): void {
		checkEntryLimits(source[from + 3] as number, valueBytesAt(source, from))
		invariant(!this.#isFrozen && this.#count < MAX_ENTRIES, 'an entry is added to a frozen or full memtable')
		const arena = this.#arena
		const entryWords = entryWordsAt(source, from)
		const chunk = arena.reserve(entryWords)
		const words = chunk === arena.openChunk ? arena.openWords : (arena.words[chunk] as Int32Array)
		const at = arena.topOf(chunk)
		if (entryWords > LOOP_COPY_WORDS) words.set(source.subarray(from, from + entryWords), at)
		else for (let i = 2; i < entryWords; i++) words[at + i] = source[from + i] as number
		words[at] = this.#count
		const ttlMs = expiresAtMsAt(source, from)
		if (ttlMs !== 0) writeExpiry(words, at + entryWords - EXPIRY_WORDS, expiryBaseMs + ttlMs)
		this.#link(arena.commit(chunk, entryWords))
	}

	/** The newest version of `key` whose sequence number is at most `maxSeq`, tombstones included. */
	get(key: Uint8Array, maxSeq: number): MemtableHit | undefined {
		invariant(!this.#isReleased, 'a memtable is read after its memory was recycled')
		const keyBytes = key.length
		if (keyBytes === 0 || keyBytes > KEY_MAX_BYTES || this.#count === 0) return undefined
		if ((keyBytes & 3) !== 0) scratchWords[keyBytes >>> 2] = 0
		writeBytes(scratchBytes, 0, key)
		const hash = hashWords(scratchWords, scratchBytes, 0, keyBytes)
		this.#backlog.settle()
		let ref = this.#backlog.index?.find(hash, scratchWords, 0, keyBytes) ?? 0
		while (ref !== 0) {
			const words = this.#arena.words[ref >>> REF_CHUNK_SHIFT] as Int32Array
			const at = ref & REF_WORD_MASK
			const seq = this.baseSeq + seqDeltaAt(words, at)
			if (seq <= maxSeq) {
				return {
					kind: kindAt(words, at),
					seq: seq as Seq,
					expiresAtMs: expiresAtMsAt(words, at),
					value: new Uint8Array(words.buffer, valueOffsetAt(words, at), valueBytesAt(words, at)),
				}
			}
			ref = words[at + 1] as number
		}
		return undefined
	}

	/** Ends writing. Idempotent. */
	freeze(): void {
		if (this.#isFrozen) return
		this.#isFrozen = true
		this.#arena.freeze()
	}

	/**
	 * All entries, frozen, as a job. The first call hands over the copies that were made while the memtable filled, and makes one of
	 * the open chunk, at most 256 KiB; a later one (a worker died) makes those again that are not shared, at once.
	 */
	makeEncodeJob(table: TableOptions): EncodeJob {
		const input = { ...this.encodeInput(table), segments: this.#arena.takeCopies() }
		return { input, transfer: ownBuffers(input.segments) }
	}

	/** The same for this thread and this moment: the entries where they stand. */
	encodeInput(table: TableOptions): EncodeTableInput {
		invariant(this.#isFrozen && !this.#isReleased, 'a memtable is encoded while it is open, or after it was recycled')
		invariant(this.#count > 0, 'an empty memtable is encoded')
		return { segments: this.#arena.segments(), baseSeq: this.baseSeq, entryCount: this.#count, table }
	}

	/** The table is made: what was copied for it is not needed any more. */
	endEncoding(): void {
		this.#arena.dropCopies()
	}

	/**
	 * Everything that was put before the call, in order of key, then newest first, as at most eight runs that the caller
	 * merges. Orders are kept and extended: a second call sorts only what came since.
	 * Hold a `ref` from before the call until the runs are done with.
	 */
	async sortedRuns(pool: SortPool): Promise<readonly SortedEntries[]> {
		invariant(!this.#isReleased, 'a memtable is scanned after its memory was recycled')
		this.ref()
		try {
			return await this.#runs.upTo(this.#count, pool)
		} finally {
			this.unref()
		}
	}

	/** Keeps the memory while a reader needs it. Each `ref` is undone by one `unref`. */
	ref(): void {
		invariant(!this.#isReleased, 'a memtable is held after its memory was recycled')
		this.#refs++
	}

	unref(): void {
		invariant(this.#refs > 0, 'a memtable is let go more often than it was held')
		this.#refs--
		this.#releaseWhenUnused()
	}

	/**
	 * The commit stands, or the entries are given up: memory goes back to the pool once nobody holds a `ref`.
	 * Until then reads still work. Idempotent.
	 */
	recycle(): void {
		invariant(this.#isFrozen, 'an open memtable is recycled')
		this.#isRecycled = true
		this.#releaseWhenUnused()
	}

	/** A put for which the open chunk may have no room: measures exactly, then chooses the chunk. */
	#putElsewhere(key: string | Uint8Array, value: string | Uint8Array, kind: EntryKind, expiresAtMs: number): void {
		invariant(!this.#isFrozen, 'a put into a frozen memtable')
		invariant(this.#count < MAX_ENTRIES, 'a memtable is full')
		const keyBytes = typeof key === 'string' ? Buffer.byteLength(key) : key.length
		const valueBytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length
		checkEntryLimits(keyBytes, valueBytes)
		const expiryWords = expiresAtMs === 0 ? 0 : EXPIRY_WORDS
		const arena = this.#arena
		const entryWords = HEADER_WORDS + wordsFor(keyBytes) + wordsFor(valueBytes) + expiryWords
		const chunk = arena.reserve(entryWords)
		const words = arena.words[chunk] as Int32Array
		const bytes = arena.bytes[chunk] as Buffer
		const at = arena.topOf(chunk)
		writeEntry(words, bytes, at, this.#count, key, value, kind, expiresAtMs)
		this.#link(arena.commit(chunk, entryWords))
	}

	#link(ref: number): void {
		this.#backlog.add(ref)
		this.#count++
	}

	#releaseWhenUnused(): void {
		if (!this.#isRecycled || this.#refs > 0 || this.#isReleased) return
		this.#isReleased = true
		this.#runs.release()
		this.#backlog.index?.release()
		this.#arena.release()
	}
}
