/**
 * The caller's side of the merge kernel (wasm/merge-kernel.ts): gives out its memory, opens blocks in it, and reads what it made.
 *
 * One kernel for each thread, made on first use; a merge is synchronous, so that it has the kernel for itself. Nothing of one
 * merge is left for the next but memory, which is never read before it is written.
 *
 * Limits: a merge whose blocks need more than 32 MiB of the kernel's memory (many sources, huge blocks), or a platform without
 * WebAssembly or its SIMD, has no kernel: the TypeScript does the same, byte for byte.
 */
import { copyRange } from '../bytes/copy.ts'
import { invariant } from '../errors.ts'
import { KEY_MAX_BYTES } from './entry.ts'
import { growKernel, type KernelExports, newKernel } from './kernel.ts'
import * as at from './kernel-layout.ts'
import { KernelPlace, Places, slotBytesOf } from './kernel-place.ts'
import type { MadeBlock } from './table-counts.ts'

/** A limit of ours: the memory of a kernel stays for the life of its thread. */
const MEMORY_MAX_BYTES = 33_554_432
/** Header of a raw block with an expiry. */
const HEAD_MAX_BYTES = 28
/** What the columns of one entry of the output take at most: ends, sequence number, expiry, kind. */
const COLUMNS_MAX_BYTES = 23
/** By this the estimate of a block grows with each entry: so it bounds the entries of a block. */
const ENTRY_ESTIMATE_BYTES = 8

/** `undefined` until the first merge, `null` where there is none. */
let exportsOfThread: KernelExports | null | undefined

export interface KernelSettings {
	/** Of each source, the largest raw block that it may have. */
	readonly rawMaxBytes: readonly number[]
	/** All keys of the merge share so many bytes. */
	readonly sharedBytes: number
	/** Raw size at which a block of the output is closed. */
	readonly blockBytes: number
	readonly dropTombstones: boolean
	readonly expireBeforeMs: number
	/** A small block of the output ends before every so many blocks that pass, at most. */
	readonly patienceBlocks: number
}

/** The kernel, set up for one merge; `undefined` where it cannot be had. */
export function createMergeKernel(settings: KernelSettings): MergeKernel | undefined {
	const bytes = memoryOf(settings)
	if (!(bytes <= MEMORY_MAX_BYTES)) return undefined
	exportsOfThread ??= newKernel() ?? null
	if (exportsOfThread === null) return undefined
	growKernel(exportsOfThread, bytes)
	return new MergeKernel(exportsOfThread, settings)
}

/** What a kernel with these settings takes, or a little more. */
function memoryOf({ rawMaxBytes, blockBytes }: KernelSettings): number {
	const slots = rawMaxBytes.reduce((sum, bytes) => sum + slotBytesOf(bytes) + at.SLOT_BYTES + 16, 0)
	const entries = Math.ceil(blockBytes / ENTRY_ESTIMATE_BYTES) + 1
	const output = entries * (29 + COLUMNS_MAX_BYTES) + blockBytes + Math.max(0, ...rawMaxBytes) + 4 * KEY_MAX_BYTES
	return at.STATE_END + slots + output + 4096
}

export class MergeKernel {
	/** Of each source the place of its block. */
	readonly places: readonly KernelPlace[]
	readonly #exports: KernelExports
	readonly #buffer: ArrayBuffer
	readonly #ints: Int32Array
	readonly #floats: Float64Array
	readonly #bytes: Uint8Array
	readonly #touchedAt: number
	readonly #endsAt: number
	readonly #hashesAt: number

	/** `createMergeKernel` has seen to it that there is memory. */
	constructor(exports: KernelExports, settings: KernelSettings) {
		const { rawMaxBytes, sharedBytes, blockBytes, dropTombstones, expireBeforeMs, patienceBlocks } = settings
		this.#exports = exports
		this.#buffer = exports.memory.buffer
		this.#ints = new Int32Array(this.#buffer)
		this.#floats = new Float64Array(this.#buffer)
		this.#bytes = new Uint8Array(this.#buffer)
		const count = rawMaxBytes.length
		const entries = Math.ceil(blockBytes / ENTRY_ESTIMATE_BYTES) + 1
		const places = new Places(at.STATE_END)
		this.#bytes.fill(0, at.STATE_START, at.STATE_END)
		const slotsAt = places.take(count * at.SLOT_BYTES)
		this.#touchedAt = places.take(4 * count)
		this.#endsAt = places.take(8 * entries)
		this.#hashesAt = places.take(4 * entries)
		const dataHead = KEY_MAX_BYTES + HEAD_MAX_BYTES
		const dataMax = blockBytes + Math.max(0, ...rawMaxBytes) + COLUMNS_MAX_BYTES * entries
		this.#set(at.SLOTS, slotsAt)
		this.#set(at.SLOT_COUNT, count)
		this.#set(at.LOSERS, places.take(4 * count))
		this.#set(at.TREE_HEADS, places.take(8 * count))
		this.#set(at.PREFIX, places.take(KEY_MAX_BYTES))
		this.#set(at.LAST_KEY, places.take(KEY_MAX_BYTES))
		this.#set(at.DATA, places.take(dataHead + dataMax) + dataHead)
		this.#set(at.ENDS, this.#endsAt)
		this.#set(at.SEQS, places.take(8 * entries))
		this.#set(at.EXPIRIES, places.take(8 * entries))
		this.#set(at.KINDS, places.take(entries))
		this.#set(at.HASHES, this.#hashesAt)
		this.#set(at.TOUCHED, this.#touchedAt)
		this.#set(at.BLOCK_BYTES, blockBytes)
		this.#set(at.DROPS_TOMBSTONES, dropTombstones ? 1 : 0)
		this.#set(at.PATIENCE, patienceBlocks)
		this.#floats[(at.STATE_START + at.EXPIRE_BEFORE_MS) / 8] = expireBeforeMs
		this.places = rawMaxBytes.map((bytes, i) => {
			const slotAt = slotsAt + i * at.SLOT_BYTES
			this.#bytes.fill(0, slotAt, slotAt + at.SLOT_BYTES)
			const open = (): number => exports.open(i, sharedBytes)
			return new KernelPlace(this.#ints, slotAt, places, bytes, open)
		})
		invariant(places.next <= this.#buffer.byteLength, `a kernel of ${places.next} bytes`)
		exports.beginTable()
	}

	/** All places have their first block, or none. */
	begin(): void {
		this.#exports.begin()
	}

	/** Merges until there is something to do: a STOP_ of kernel-layout.ts. */
	run(from: number): number {
		return this.#exports.run(from)
	}

	/** The source whose entry came last. */
	get winner(): number {
		return this.#get(at.WINNER)
	}

	/** The two sources that have the same version of a key. */
	get broken(): readonly [number, number] {
		return [this.#get(at.BROKEN_FIRST), this.#get(at.BROKEN_SECOND)]
	}

	/** True when a block is begun. */
	get hasBlock(): boolean {
		return this.#exports.openBytes() > 0
	}

	/** True when the table has entries, and is full. */
	get isTableFull(): boolean {
		return this.#exports.isTableFull() === 1
	}

	/** The table is full when the block at hand has so many bytes. */
	setRoom(bytes: number): void {
		this.#floats[(at.STATE_START + at.ROOM_BYTES) / 8] = bytes
	}

	beginTable(): void {
		this.#exports.beginTable()
	}

	/** The winner's whole block was taken. */
	skip(): void {
		this.#exports.skip()
	}

	/** A copy of the value of the entry that was appended last. */
	lastValue(): Uint8Array {
		const start = this.#get(at.VALUE_AT)
		return this.#bytes.slice(start, start + this.#get(at.VALUE_BYTES))
	}

	/** How many sources the entries of the block at hand come from: `encode` forgets them. */
	get touchedCount(): number {
		return this.#get(at.TOUCHED_COUNT)
	}

	/** One of them. */
	touchedAt(i: number): number {
		return this.#ints[this.#touchedAt / 4 + i] as number
	}

	/** Ends the block at hand, which has entries. */
	encode(blobRefs: readonly Uint8Array[]): MadeBlock {
		this.#exports.encode()
		this.#set(at.TOUCHED_COUNT, 0)
		const count = this.#get(at.MADE_COUNT)
		const prefixBytes = this.#get(at.MADE_PREFIX_BYTES)
		const dataBytes = this.#get(at.MADE_DATA_BYTES)
		const madeAt = this.#get(at.MADE_AT)
		const last = count - 1
		const ends = this.#endsAt / 4
		const lastStart = last === 0 ? 0 : (this.#ints[ends + 2 * last - 1] as number)
		return {
			raw: this.#bytes.subarray(madeAt, madeAt + this.#get(at.MADE_BYTES)),
			hashes: new Uint32Array(this.#buffer, this.#hashesAt, count),
			firstKey: this.#keyOf(prefixBytes, 0, this.#ints[ends] as number),
			lastKey: this.#keyOf(prefixBytes, lastStart, this.#ints[ends + 2 * last] as number),
			count,
			tombstoneCount: this.#get(at.MADE_TOMBSTONES),
			keyAndValueBytes: dataBytes + count * prefixBytes,
			minSeq: this.#float(at.MADE_MIN_SEQ),
			maxSeq: this.#float(at.MADE_MAX_SEQ),
			maxExpiresAtMs: this.#float(at.MADE_MAX_EXPIRES_AT),
			hasImmortal: this.#get(at.MADE_HAS_IMMORTAL) === 1,
			blobRefs,
		}
	}

	/** What the kernel has counted. */
	counts(): Readonly<Record<'entriesRead' | 'entriesWritten' | 'tombstonesDropped' | 'expiredDropped', number>> {
		return {
			entriesRead: this.#float(at.ENTRIES_READ),
			entriesWritten: this.#float(at.ENTRIES_WRITTEN),
			tombstonesDropped: this.#float(at.TOMBSTONES_DROPPED),
			expiredDropped: this.#float(at.EXPIRED_DROPPED),
		}
	}

	/** The key whose suffix is `data[start, end)`, of a block whose prefix stands before its data. */
	#keyOf(prefixBytes: number, start: number, end: number): Uint8Array {
		const dataAt = this.#get(at.DATA)
		const key = new Uint8Array(prefixBytes + end - start)
		copyRange(this.#bytes, dataAt - prefixBytes, prefixBytes, key, 0)
		copyRange(this.#bytes, dataAt + start, end - start, key, prefixBytes)
		return key
	}

	#set(field: number, value: number): void {
		this.#ints[(at.STATE_START + field) / 4] = value
	}

	#get(field: number): number {
		return this.#ints[(at.STATE_START + field) / 4] as number
	}

	#float(field: number): number {
		return this.#floats[(at.STATE_START + field) / 8] as number
	}
}
