/**
 * Where a merge puts the newest version of each key: decides what is left of it, and cuts the output into tables.
 *
 * A tombstone or an entry whose time has come goes when nothing older has its key; else an expired entry becomes a
 * tombstone. References to blobs that moved are rewritten. A table ends, between two keys, at `targetBytes`.
 */
import { type BlobRef, decodeBlobRef, encodeBlobRef } from '../blob/blob-ref.ts'
import type { Block } from './block.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE } from './entry.ts'
import type { MergeCursor } from './merge-cursor.ts'
import type { OutputMemory } from './output-memory.ts'
import { type BuiltTable, TableBuilder } from './table-builder.ts'
import { blockBytesOf, type TableOptions } from './table-options.ts'

export interface MergeRules {
	readonly dropTombstones: boolean
	/** Entries with 0 < expiresAtMs ≤ this have had their time. 0: none have. */
	readonly expireBeforeMs: number
	/** Where a value lies now; `undefined` when it has not moved. */
	readonly moved: ((ref: BlobRef) => { readonly packId: string; readonly offset: number } | undefined) | undefined
}

/** The times of the commits of a source's entries. */
export interface WriteTimes {
	readonly minWriteMs: number
	readonly maxWriteMs: number
}

export interface MergeOutputSettings {
	readonly options: Omit<TableOptions, 'minWriteMs' | 'maxWriteMs'>
	readonly targetBytes: number
	/** Of the stored blocks that are merged. */
	readonly inputBytes: number
	readonly rules: MergeRules
	readonly memory: OutputMemory
}

/** A table is about as large as the blocks that it is made of, with filter and index. */
const GROWTH = 1.1
/** Room for the last block and the last entry. Those that do not fit make the buffer grow. */
const MARGIN_BYTES = 65_536

const NO_VALUE: Uint8Array = new Uint8Array(0)

export class MergeOutput {
	readonly tables: BuiltTable[] = []
	entriesWritten = 0
	tombstonesDropped = 0
	expiredDropped = 0
	blobRefsMoved = 0
	readonly #options: Omit<TableOptions, 'minWriteMs' | 'maxWriteMs'>
	readonly #memory: OutputMemory
	readonly #targetBytes: number
	/** Bytes that one table may take, as far as is known. */
	readonly #capacityBytes: number
	readonly #rules: MergeRules
	/** Raw size of the blocks that are made. */
	readonly #blockBytes: number
	/** `undefined` until there is an entry for it. */
	#builder: TableBuilder | undefined
	#minWriteMs = 0
	#maxWriteMs = 0

	constructor({ options, targetBytes, inputBytes, rules, memory }: MergeOutputSettings) {
		this.#options = options
		this.#targetBytes = targetBytes
		this.#rules = rules
		this.#blockBytes = blockBytesOf(options)
		this.#memory = memory
		this.#capacityBytes = Math.min(targetBytes, Math.ceil(inputBytes * GROWTH)) + MARGIN_BYTES
	}

	/** Takes the entry at which `cursor` stands, the newest of its key, which was written within `times`. */
	add(cursor: MergeCursor, block: Block, times: WriteTimes): void {
		const i = cursor.at
		const seq = cursor.seqs[i] as number
		const kind = block.kindAt(i)
		const { dropTombstones, expireBeforeMs, moved } = this.#rules
		if (kind === KIND_TOMBSTONE && dropTombstones) {
			this.tombstonesDropped++
			return
		}
		if (expireBeforeMs > 0 && block.hasExpiry && kind !== KIND_TOMBSTONE) {
			const expiresAtMs = block.expiresAtMsAt(i)
			if (expiresAtMs !== 0 && expiresAtMs <= expireBeforeMs) {
				this.expiredDropped++
				if (!dropTombstones) this.#addMade(block, i, seq, KIND_TOMBSTONE, 0, NO_VALUE, times)
				return
			}
		}
		if (kind === KIND_BLOB) {
			const ref = decodeBlobRef(block.valueViewAt(i), cursor.where)
			const place = moved?.(ref)
			if (place !== undefined) {
				this.blobRefsMoved++
				this.#addMade(block, i, seq, KIND_BLOB, block.expiresAtMsAt(i), encodeBlobRef({ ...ref, ...place }), times)
				return
			}
		}
		this.#room(times).addEntry(block, i, seq)
		this.entriesWritten++
	}

	/**
	 * Takes the whole block at which `cursor` stands, as it is stored, when that changes nothing: all its entries are newest
	 * versions that stay as they are. False: they have to be taken one by one.
	 */
	addWhole(cursor: MergeCursor, block: Block, times: WriteTimes): boolean {
		const { dropTombstones, expireBeforeMs, moved } = this.#rules
		const kind = block.commonKind
		const staysAsItIs =
			!block.hasVersions &&
			(kind !== undefined || (!dropTombstones && moved === undefined)) &&
			(kind !== KIND_TOMBSTONE || !dropTombstones) &&
			(kind !== KIND_BLOB || moved === undefined) &&
			(expireBeforeMs === 0 || !block.hasExpiry)
		if (!staysAsItIs) return false
		checkBlobRefs(block, cursor.where)
		this.#room(times).addBlock(block, cursor.seqs, cursor.stored)
		this.entriesWritten += block.count
		return true
	}

	/** True when a stored block of so many raw bytes and entries is about as large as those that are made here. */
	suits(rawBytes: number, count: number): boolean {
		return rawBytes * 2 >= this.#blockBytes && (count === 1 || rawBytes <= this.#blockBytes * 2)
	}

	/** True when the block at hand would be a small one if it ended now. */
	get wouldEndSmall(): boolean {
		const openBlockBytes = this.#builder?.openBlockBytes ?? 0
		return openBlockBytes > 0 && openBlockBytes * 2 < this.#blockBytes
	}

	/** Ends the last table. */
	finish(): void {
		if (this.#builder !== undefined) this.#endTable(this.#builder)
		this.#builder = undefined
	}

	/** An entry that takes only its key from `block`. */
	#addMade(
		block: Block,
		i: number,
		seq: number,
		kind: EntryKind,
		expiresAtMs: number,
		value: Uint8Array,
		times: WriteTimes,
	): void {
		const key = block.keyAt(i)
		this.#room(times).add(key, 0, key.length, seq, kind, expiresAtMs, value, 0, value.length)
		this.entriesWritten++
	}

	/** The builder that takes the next entry, which was written within `times`: another one when that at hand is full. */
	#room(times: WriteTimes): TableBuilder {
		let builder = this.#builder
		if (builder !== undefined && builder.estimatedBytes >= this.#targetBytes) {
			this.#endTable(builder)
			builder = undefined
		}
		if (builder === undefined) {
			builder = new TableBuilder(
				{ ...this.#options, minWriteMs: 0, maxWriteMs: 0 },
				this.#memory.take(this.#capacityBytes),
			)
			this.#builder = builder
			this.#minWriteMs = times.minWriteMs
			this.#maxWriteMs = times.maxWriteMs
		}
		if (times.minWriteMs < this.#minWriteMs) this.#minWriteMs = times.minWriteMs
		if (times.maxWriteMs > this.#maxWriteMs) this.#maxWriteMs = times.maxWriteMs
		return builder
	}

	#endTable(builder: TableBuilder): void {
		builder.setWriteTimes(this.#minWriteMs, this.#maxWriteMs)
		const { bytes, meta } = builder.finish()
		this.tables.push({ bytes: this.#memory.settle(bytes), meta })
	}
}

/** @throws ISLE_CORRUPT naming `where` when an entry of kind blob holds no reference. */
function checkBlobRefs(block: Block, where: string): void {
	if (block.commonKind !== undefined && block.commonKind !== KIND_BLOB) return
	for (let i = 0; i < block.count; i++) {
		if (block.kindAt(i) === KIND_BLOB) decodeBlobRef(block.valueViewAt(i), where)
	}
}
