/**
 * Where a merge puts the newest version of each key: decides what is left of it.
 *
 * A tombstone or an entry whose time has come goes when nothing older has its key; else an expired entry becomes a
 * tombstone. References to blobs that moved are rewritten.
 */

import { type BlobRef, decodeBlobRef, encodeBlobRef } from '../blob/blob-ref.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import type { Block } from './block.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE } from './entry.ts'
import type { MergeCursor } from './merge-cursor.ts'
import type { TableSeries, WriteTimes } from './table-series.ts'

export interface MergeRules {
	readonly dropTombstones: boolean
	/** Entries with 0 < expiresAtMs ≤ this have had their time. 0: none have. */
	readonly expireBeforeMs: number
	/** Where a value lies now; `undefined` when it has not moved. */
	readonly moved: ((ref: BlobRef) => { readonly packId: string; readonly offset: number } | undefined) | undefined
}

export class MergeOutput {
	entriesWritten = 0
	tombstonesDropped = 0
	expiredDropped = 0
	blobRefsMoved = 0
	readonly #rules: MergeRules
	readonly #tables: TableSeries
	/** Raw size of the blocks that are made. */
	readonly #blockBytes: number

	constructor(rules: MergeRules, tables: TableSeries, blockBytes: number) {
		this.#rules = rules
		this.#tables = tables
		this.#blockBytes = blockBytes
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
				if (!dropTombstones) this.#addMade(block, i, seq, KIND_TOMBSTONE, 0, NO_BYTES, times)
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
		this.#tables.room(times).addEntry(block, i, seq)
		this.entriesWritten++
	}

	/**
	 * Takes the whole block at which `cursor` stands, as it is stored, when that changes nothing: all its entries are newest
	 * versions that stay as they are. False: they have to be taken one by one.
	 */
	addWhole(cursor: MergeCursor, block: Block, times: WriteTimes): boolean {
		if (!mayPass(block, this.#rules)) return false
		checkBlobRefs(block, cursor.where)
		this.#tables.room(times).addBlock(block, cursor.seqs, cursor.stored)
		this.entriesWritten += block.count
		return true
	}

	/** True when the block at hand would be a small one if it ended now. */
	get wouldEndSmall(): boolean {
		const openBlockBytes = this.#tables.openBlockBytes
		return openBlockBytes > 0 && openBlockBytes * 2 < this.#blockBytes
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
		this.#tables.room(times).add(key, 0, key.length, seq, kind, expiresAtMs, value, 0, value.length)
		this.entriesWritten++
	}
}

/** True when all entries of `block` stay as they are: it may be copied as it is stored. */
export function mayPass(block: Block, { dropTombstones, expireBeforeMs, moved }: MergeRules): boolean {
	const kind = block.commonKind
	return (
		!block.hasVersions &&
		(kind !== undefined || (!dropTombstones && moved === undefined)) &&
		(kind !== KIND_TOMBSTONE || !dropTombstones) &&
		(kind !== KIND_BLOB || moved === undefined) &&
		(expireBeforeMs === 0 || !block.hasExpiry)
	)
}

/** True when a stored block of so many raw bytes and entries is about as large as those that are made of `blockBytes`. */
export function isOfSize(rawBytes: number, count: number, blockBytes: number): boolean {
	return rawBytes * 2 >= blockBytes && (count === 1 || rawBytes <= blockBytes * 2)
}

/** @throws ISLE_CORRUPT naming `where` when an entry of kind blob holds no reference. */
export function checkBlobRefs(block: Block, where: string): void {
	if (block.commonKind !== undefined && block.commonKind !== KIND_BLOB) return
	for (let i = 0; i < block.count; i++) {
		if (block.kindAt(i) === KIND_BLOB) decodeBlobRef(block.valueViewAt(i), where)
	}
}
