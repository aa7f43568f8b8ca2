/**
 * The caller's side of the flush kernel (wasm/flush-kernel.ts): gives it the entries of a memtable, and a table what it makes
 * of them.
 *
 * Limits: a memtable that needs more than 48 MiB of the kernel's memory, or a platform without WebAssembly or its SIMD, has no
 * kernel: the TypeScript does the same, byte for byte.
 */
import { copyShared } from '../bytes/copy.ts'
import { invariant } from '../errors.ts'
import { BLOCK_BYTES_MAX } from './block-format.ts'
import { KEY_MAX_BYTES } from './entry.ts'
import { type ArenaSegment, seqDeltaAt, valueBytesAt, valueOffsetAt } from './entry-arena.ts'
import { flushCode } from './flush-code.ts'
import * as at from './flush-layout.ts'
import { growKernel, instantiate, type KernelMemory } from './kernel.ts'
import * as made from './kernel-layout.ts'
import { Places } from './kernel-place.ts'
import type { TableBuilder } from './table-builder.ts'

interface FlushExports extends KernelMemory {
	begin(): number
	produce(): number
}

/** A limit of ours: two default memtables of tiny entries. The memory of a kernel stays for the life of its thread. */
const MEMORY_MAX_BYTES = 50_331_648
/** About so much is made at once: it is sealed and copied while the second-level cache still holds it. */
const BATCH_BYTES = 262_144
/** References, packed words, and both once more. */
const SORT_COLUMNS = 4
/** As in kernel-layout.ts and merge-kernel.ts: what an entry of a block takes at most beside its key and value. */
const COLUMNS_MAX_BYTES = 23
const ENTRY_ESTIMATE_BYTES = 8
/** 12 positions of 257 symbols, 4 bytes each; digits of 11 bits, 4 bytes each. */
const OCCURS_BYTES = 12 * 257
const WEIGHTS_BYTES = 4 * OCCURS_BYTES
const DIGITS_BYTES = 4 * 2048

/** `undefined` until the first flush, `null` where there is none. */
let exportsOfThread: FlushExports | null | undefined

export interface FlushInput {
	readonly segments: readonly ArenaSegment[]
	readonly baseSeq: number
	readonly entryCount: number
	/** Raw size at which a block is closed. */
	readonly blockBytes: number
}

/** What a run of the kernel needs of memory. */
interface FlushSizes {
	readonly arenaBytes: number
	/** Of the largest segment: no entry is larger. */
	readonly segmentBytes: number
	readonly blockEntries: number
}

/** Gives `builder`, which is empty, all entries of a memtable in their order; false where there is no kernel for them. */
export function flushInto(builder: TableBuilder, input: FlushInput): boolean {
	const sizes = sizesOf(input)
	const bytes = memoryOf(input, sizes)
	if (bytes > MEMORY_MAX_BYTES) return false
	exportsOfThread ??= instantiate<FlushExports>(flushCode) ?? null
	if (exportsOfThread === null) return false
	growKernel(exportsOfThread, bytes)
	new FlushRun(exportsOfThread, input, sizes).feed(builder)
	return true
}

function sizesOf({ segments, blockBytes }: FlushInput): FlushSizes {
	let arenaBytes = 0
	let segmentBytes = 0
	for (const { firstWord, endWord } of segments) {
		arenaBytes += (endWord - firstWord) * 4
		segmentBytes = Math.max(segmentBytes, (endWord - firstWord) * 4)
	}
	return { arenaBytes, segmentBytes, blockEntries: Math.ceil(blockBytes / ENTRY_ESTIMATE_BYTES) + 1 }
}

function outBytesOf({ blockBytes }: FlushInput, { segmentBytes, blockEntries }: FlushSizes): number {
	return BATCH_BYTES + 2 * (blockBytes + segmentBytes) + COLUMNS_MAX_BYTES * blockEntries + KEY_MAX_BYTES
}

function memoryOf(input: FlushInput, sizes: FlushSizes): number {
	const { entryCount } = input
	const sort = 4 * SORT_COLUMNS * entryCount + 6 * entryCount + OCCURS_BYTES + WEIGHTS_BYTES + DIGITS_BYTES
	const blocks = at.BLOCKS_MAX * at.BLOCK_RECORD_BYTES + 25 * sizes.blockEntries + KEY_MAX_BYTES
	return at.FLUSH_END + sizes.arenaBytes + sort + blocks + outBytesOf(input, sizes) + 4096
}

class FlushRun {
	readonly #exports: FlushExports
	readonly #input: FlushInput
	readonly #words: Int32Array
	readonly #floats: Float64Array
	readonly #bytes: Buffer
	readonly #madeAt: number

	constructor(exports: FlushExports, input: FlushInput, sizes: FlushSizes) {
		this.#exports = exports
		this.#input = input
		const { buffer } = exports.memory
		this.#words = new Int32Array(buffer)
		this.#floats = new Float64Array(buffer)
		this.#bytes = Buffer.from(buffer)
		const { entryCount, baseSeq, blockBytes } = input
		const { arenaBytes, blockEntries } = sizes
		const places = new Places(at.FLUSH_END)
		const arenaAt = places.take(arenaBytes)
		this.#set(at.ARENA, arenaAt)
		this.#set(at.ARENA_END, arenaAt + arenaBytes)
		this.#set(at.ENTRY_COUNT, entryCount)
		this.#load(arenaAt)
		for (const column of [at.REFS, at.SPARE_REFS, at.PACKED, at.SPARE_PACKED])
			this.#set(column, places.take(4 * entryCount))
		this.#set(at.RANGES, places.take(6 * entryCount + 12))
		this.#set(at.OCCURS, places.take(OCCURS_BYTES))
		this.#set(at.WEIGHTS, places.take(WEIGHTS_BYTES))
		this.#set(at.DIGITS, places.take(DIGITS_BYTES))
		this.#madeAt = places.take(at.BLOCKS_MAX * at.BLOCK_RECORD_BYTES)
		this.#set(at.MADE, this.#madeAt)
		this.#floats[(at.FLUSH_START + at.BASE_SEQ) / 8] = baseSeq
		this.#setMade(made.BLOCK_BYTES, blockBytes)
		this.#setMade(made.PREFIX, places.take(KEY_MAX_BYTES))
		this.#setMade(made.ENDS, places.take(8 * blockEntries))
		this.#setMade(made.SEQS, places.take(8 * blockEntries))
		this.#setMade(made.EXPIRIES, places.take(8 * blockEntries))
		this.#setMade(made.KINDS, places.take(blockEntries))
		const outAt = places.take(outBytesOf(input, sizes))
		this.#set(at.OUT, outAt)
		this.#set(at.OUT_LIMIT, outAt + BATCH_BYTES)
		invariant(places.next <= buffer.byteLength && blockBytes <= BLOCK_BYTES_MAX, `a kernel of ${places.next} bytes`)
	}

	feed(builder: TableBuilder): void {
		const { entryCount, baseSeq } = this.#input
		const firstSeq = baseSeq + (this.#get(at.FIRST_DELTA) >>> 0)
		const listed = this.#exports.begin()
		invariant(listed !== at.BROKEN, 'an arena with a broken entry, or a sequence number out of range')
		invariant(listed === entryCount, `an arena of ${listed} entries that should be ${entryCount}`)
		for (let isDone = false; !isDone; isDone = this.#get(at.IS_DONE) === 1) {
			const count = this.#exports.produce()
			invariant(count !== at.BROKEN, 'entry out of order')
			for (let i = 0; i < count; i++) this.#addBlock(builder, i)
		}
		builder.endRaw({
			count: entryCount,
			tombstoneCount: this.#get(at.TOTAL_TOMBSTONES),
			keyAndValueBytes: this.#floats[(at.FLUSH_START + at.TOTAL_BYTES) / 8] as number,
			minSeq: firstSeq,
			maxSeq: firstSeq + entryCount - 1,
			maxExpiresAtMs: this.#floats[(at.FLUSH_START + at.TOTAL_MAX_EXPIRES_AT) / 8] as number,
			hasImmortal: this.#get(at.TOTAL_HAS_IMMORTAL) === 1,
			blobRefs: this.#blobRefs(),
			hashes: new Uint32Array(this.#words.buffer, this.#get(at.KEY_HASHES), this.#get(at.HASH_COUNT)),
			lastKey: this.#copy(this.#get(at.LAST_KEY_AT), this.#get(at.LAST_KEY_BYTES)),
		})
	}

	/** Copies the entries, end to end. */
	#load(arenaAt: number): void {
		let to = arenaAt
		let firstDelta = 0xffff_ffff
		for (const { buffer, firstWord, endWord } of this.#input.segments) {
			if (firstWord === endWord) continue
			const source = new Uint8Array(buffer, firstWord * 4, (endWord - firstWord) * 4)
			copyShared(source, this.#bytes, to)
			firstDelta = Math.min(firstDelta, seqDeltaAt(this.#words, to / 4))
			to += source.length
		}
		this.#set(at.FIRST_DELTA, firstDelta)
	}

	#addBlock(builder: TableBuilder, i: number): void {
		const words = this.#words
		const record = (this.#madeAt + i * at.BLOCK_RECORD_BYTES) / 4
		const raw = new Uint8Array(
			words.buffer,
			words[record + at.BLOCK_AT / 4] as number,
			words[record + at.BLOCK_LENGTH / 4] as number,
		)
		const keyAt = words[record + at.BLOCK_KEY / 4] as number
		const keyBytes = words[record + at.BLOCK_KEY_BYTES / 4] as number
		const shared = words[record + at.BLOCK_KEY_SHARED / 4] as number
		builder.addRaw(raw, this.#bytes, keyAt, keyBytes, shared, words[record + at.BLOCK_KEY_SAME / 4] === 1)
	}

	#blobRefs(): Uint8Array[] {
		const blobs = new Uint32Array(this.#words.buffer, this.#get(at.BLOBS), this.#get(at.BLOB_COUNT))
		return Array.from(blobs, entry => {
			return this.#copy(valueOffsetAt(this.#words, entry / 4), valueBytesAt(this.#words, entry / 4))
		})
	}

	#copy(start: number, bytes: number): Uint8Array {
		return new Uint8Array(this.#bytes.subarray(start, start + bytes))
	}

	#get(field: number): number {
		return this.#words[(at.FLUSH_START + field) / 4] as number
	}

	#set(field: number, value: number): void {
		this.#words[(at.FLUSH_START + field) / 4] = value
	}

	#setMade(field: number, value: number): void {
		this.#words[(made.STATE_START + field) / 4] = value
	}
}
