/**
 * A table reference kept as the bytes that a checkpoint holds of it (table-ref-codec.ts): what is asked for is decoded then.
 *
 * One made of objects takes about 850 bytes of memory, more than half of it for its two keys; this one takes 40 and its bytes,
 * which are about 80. So the tables of runs are kept, of which there may be hundreds of thousands; what is opened or given away
 * is made a `plainTable`.
 *
 * Invariants: the bytes were checked when it was made, so that nothing here throws; what it gives is a copy. It has no
 * properties of its own: it must neither be spread nor be sent to another thread.
 */
import { compareBytes, compareRanges } from '../bytes/compare.ts'
import { decodeText } from '../bytes/encoding.ts'
import { hashKey } from '../bytes/hash.ts'
import { CODEC_NAMES } from '../sst/codec.ts'
import type { BlobUse, CodecName, SstMeta } from '../sst/sst-meta.ts'
import { hasHalfExpiry } from '../sst/sst-properties.ts'
import type { TableRef } from './manifest.ts'

/** Version and codec: `u16`, `u8`. */
const HEAD_BYTES = 3
/** Numbers of an SstMeta of version 1, in their order (sst-properties.ts); there is one more behind them from version 2 on. */
const NUMBER_COUNT = 12
const NO_USES: readonly BlobUse[] = []

export class PackedTable implements TableRef, SstMeta {
	readonly #bytes: Uint8Array
	readonly #start: number

	/** The reference that begins at `start` of `bytes`, which do not change. Use `readPackedTable` or `packTables`. */
	constructor(bytes: Uint8Array, start: number) {
		this.#bytes = bytes
		this.#start = start
	}

	get meta(): SstMeta {
		return this
	}

	get id(): string {
		return textAt(this.#bytes, this.#start)
	}

	get objectKey(): string {
		return textAt(this.#bytes, behindPrefixed(this.#bytes, this.#start))
	}

	get offset(): number {
		return varintAt(this.#bytes, this.#offsetAt)
	}

	get formatVersion(): number {
		const at = this.#metaAt
		return (this.#bytes[at] as number) + (this.#bytes[at + 1] as number) * 256
	}

	get codec(): CodecName {
		return CODEC_NAMES[this.#bytes[this.#metaAt + 2] as number] as CodecName
	}

	get entryCount(): number {
		return this.#number(0)
	}

	get keyCount(): number {
		return this.#number(1)
	}

	get tombstoneCount(): number {
		return this.#number(2)
	}

	get blobRefCount(): number {
		return this.#number(3)
	}

	get minSeq(): number {
		return this.#number(4)
	}

	get maxSeq(): number {
		return this.#number(5)
	}

	get minWriteMs(): number {
		return this.#number(6)
	}

	get maxWriteMs(): number {
		return this.#number(7)
	}

	get maxExpiresAtMs(): number {
		return this.#number(8)
	}

	get halfExpiresAtMs(): number {
		return hasHalfExpiry(this.formatVersion) ? this.#number(NUMBER_COUNT) : this.maxExpiresAtMs
	}

	get rawBytes(): number {
		return this.#number(9)
	}

	get storedBytes(): number {
		return this.#number(10)
	}

	get metaOffset(): number {
		return this.#number(11)
	}

	get smallestKey(): Uint8Array {
		return prefixedAt(this.#bytes, this.#keysAt)
	}

	get largestKey(): Uint8Array {
		return prefixedAt(this.#bytes, behindPrefixed(this.#bytes, this.#keysAt))
	}

	get blobUses(): readonly BlobUse[] {
		const bytes = this.#bytes
		let at = this.#usesAt
		let left = varintAt(bytes, at)
		if (left === 0) return NO_USES
		at = behindVarint(bytes, at)
		const uses: BlobUse[] = []
		for (; left > 0; left--) {
			const countAt = behindPrefixed(bytes, at)
			const bytesAt = behindVarint(bytes, countAt)
			uses.push({ packId: textAt(bytes, at), count: varintAt(bytes, countAt), bytes: varintAt(bytes, bytesAt) })
			at = behindVarint(bytes, bytesAt)
		}
		return uses
	}

	/** `hashKey` of the bytes of the id. */
	get idHash(): number {
		return hashPrefixed(this.#bytes, this.#start)
	}

	/** Whether its object key is `folder` and its id, without a copy of either. */
	isInObjectOf(folder: Uint8Array): boolean {
		const bytes = this.#bytes
		const idAt = behindVarint(bytes, this.#start)
		const idEnd = behindPrefixed(bytes, this.#start)
		const keyAt = behindVarint(bytes, idEnd)
		const ownAt = keyAt + folder.length
		return (
			behindPrefixed(bytes, idEnd) - ownAt === idEnd - idAt &&
			compareRanges(bytes, keyAt, ownAt, folder, 0, folder.length) === 0 &&
			compareRanges(bytes, ownAt, ownAt + idEnd - idAt, bytes, idAt, idEnd) === 0
		)
	}

	/** As `compareBytes` of the smallest key and `key`, without a copy. */
	compareSmallest(key: Uint8Array): number {
		return comparePrefixed(this.#bytes, this.#keysAt, key)
	}

	/** The same of the largest key. */
	compareLargest(key: Uint8Array): number {
		return comparePrefixed(this.#bytes, behindPrefixed(this.#bytes, this.#keysAt), key)
	}

	/** All of it, as it is kept: not a copy. */
	get encoded(): Uint8Array {
		const bytes = this.#bytes
		let end = this.#usesAt
		let left = varintAt(bytes, end)
		end = behindVarint(bytes, end)
		for (; left > 0; left--) end = behindVarint(bytes, behindVarint(bytes, behindPrefixed(bytes, end)))
		return bytes.subarray(this.#start, end)
	}

	get #offsetAt(): number {
		return behindPrefixed(this.#bytes, behindPrefixed(this.#bytes, this.#start))
	}

	get #metaAt(): number {
		return behindVarint(this.#bytes, this.#offsetAt)
	}

	get #usesAt(): number {
		return behindPrefixed(this.#bytes, behindPrefixed(this.#bytes, this.#keysAt))
	}

	#number(index: number): number {
		return varintAt(this.#bytes, this.#numberAt(index))
	}

	get #keysAt(): number {
		return this.#numberAt(hasHalfExpiry(this.formatVersion) ? NUMBER_COUNT + 1 : NUMBER_COUNT)
	}

	#numberAt(index: number): number {
		const bytes = this.#bytes
		let at = this.#metaAt + HEAD_BYTES
		for (let left = index; left > 0; left--) while ((bytes[at++] as number) >= 0x80);
		return at
	}
}

function varintAt(bytes: Uint8Array, at: number): number {
	let byte = bytes[at] as number
	let value = byte & 0x7f
	for (let weight = 128, next = at + 1; byte >= 0x80; weight *= 128, next++) {
		byte = bytes[next] as number
		value += (byte & 0x7f) * weight
	}
	return value
}

function behindVarint(bytes: Uint8Array, at: number): number {
	let end = at
	while ((bytes[end++] as number) >= 0x80);
	return end
}

function behindPrefixed(bytes: Uint8Array, at: number): number {
	return behindVarint(bytes, at) + varintAt(bytes, at)
}

function prefixedAt(bytes: Uint8Array, at: number): Uint8Array {
	return new Uint8Array(bytes.subarray(behindVarint(bytes, at), behindPrefixed(bytes, at)))
}

function textAt(bytes: Uint8Array, at: number): string {
	return decodeText(bytes, behindVarint(bytes, at), behindPrefixed(bytes, at))
}

function hashPrefixed(bytes: Uint8Array, at: number): number {
	return hashKey(bytes, behindVarint(bytes, at), behindPrefixed(bytes, at))
}

function comparePrefixed(bytes: Uint8Array, at: number, key: Uint8Array): number {
	return compareRanges(bytes, behindVarint(bytes, at), behindPrefixed(bytes, at), key, 0, key.length)
}

/** `table` as an object that has all it says as properties, and keeps nothing else alive. */
export function plainTable(table: TableRef): TableRef {
	if (!(table instanceof PackedTable)) return table
	const { id, objectKey, offset } = table
	const meta: SstMeta = {
		formatVersion: table.formatVersion,
		codec: table.codec,
		entryCount: table.entryCount,
		keyCount: table.keyCount,
		tombstoneCount: table.tombstoneCount,
		blobRefCount: table.blobRefCount,
		minSeq: table.minSeq,
		maxSeq: table.maxSeq,
		minWriteMs: table.minWriteMs,
		maxWriteMs: table.maxWriteMs,
		maxExpiresAtMs: table.maxExpiresAtMs,
		halfExpiresAtMs: table.halfExpiresAtMs,
		rawBytes: table.rawBytes,
		storedBytes: table.storedBytes,
		metaOffset: table.metaOffset,
		smallestKey: table.smallestKey,
		largestKey: table.largestKey,
		blobUses: table.blobUses,
	}
	return { id, objectKey, offset, meta }
}

/** As `compareBytes` of the smallest key of `table` and `key`. */
export function compareSmallestKey(table: TableRef, key: Uint8Array): number {
	return table instanceof PackedTable ? table.compareSmallest(key) : compareBytes(table.meta.smallestKey, key)
}

/** The same of its largest key. */
export function compareLargestKey(table: TableRef, key: Uint8Array): number {
	return table instanceof PackedTable ? table.compareLargest(key) : compareBytes(table.meta.largestKey, key)
}
