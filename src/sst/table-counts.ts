/** What a table is found to hold while it is built: all of its meta that its entries alone decide. */
import { BlobUseCounter } from './blob-uses.ts'
import type { Block } from './block.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE } from './entry.ts'
import type { SstMeta } from './sst-meta.ts'

/** What a table wants to know of entries that somebody else has put into raw blocks. */
export interface MadeEntries {
	/** As of `hashKey`, of each distinct key; a view, of use until something else is made. */
	readonly hashes: Uint32Array
	readonly lastKey: Uint8Array
	readonly count: number
	readonly tombstoneCount: number
	readonly keyAndValueBytes: number
	readonly minSeq: number
	readonly maxSeq: number
	readonly maxExpiresAtMs: number
	/** True when some entry never expires. */
	readonly hasImmortal: boolean
	/** The values of its entries of kind blob. */
	readonly blobRefs: readonly Uint8Array[]
}

/** A raw block (block-format.ts) with one version of each of its keys, and what its table wants to know of it. */
export interface MadeBlock extends MadeEntries {
	/** A view: of use until the next block is made. */
	readonly raw: Uint8Array
	readonly firstKey: Uint8Array
}

/** Named when an entry of kind blob holds no reference: a caller that took it from a table has checked it. */
const WHERE = 'an entry of kind blob'

export class TableCounts {
	entryCount = 0
	#tombstoneCount = 0
	#blobRefCount = 0
	readonly #blobUses = new BlobUseCounter()
	#rawBytes = 0
	#minSeq = Number.POSITIVE_INFINITY
	#maxSeq = 0
	#maxExpiresAtMs = 0
	#hasImmortal = false

	/** Counts an entry; `rawBytes` are those of its key and value. The value of a blob is given to `addBlobRef`. */
	add(seq: number, kind: EntryKind, expiresAtMs: number, rawBytes: number): void {
		this.entryCount++
		this.#rawBytes += rawBytes
		if (kind === KIND_TOMBSTONE) this.#tombstoneCount++
		if (seq < this.#minSeq) this.#minSeq = seq
		if (seq > this.#maxSeq) this.#maxSeq = seq
		if (expiresAtMs === 0) this.#hasImmortal = true
		else if (expiresAtMs > this.#maxExpiresAtMs) this.#maxExpiresAtMs = expiresAtMs
	}

	/** @throws ISLE_CORRUPT when `encodedRef` is no encoded `BlobRef`. */
	addBlobRef(encodedRef: Uint8Array): void {
		this.#blobUses.add(encodedRef, WHERE)
		this.#blobRefCount++
	}

	/** Counts all entries of a block; `seqs` are theirs. */
	addBlock(block: Block, seqs: Float64Array): void {
		const count = block.count
		this.entryCount += count
		this.#rawBytes += block.rawBytes
		for (let i = 0; i < count; i++) {
			const seq = seqs[i] as number
			if (seq < this.#minSeq) this.#minSeq = seq
			if (seq > this.#maxSeq) this.#maxSeq = seq
		}
		if (block.hasExpiry) {
			for (let i = 0; i < count; i++) {
				const expiresAtMs = block.expiresAtMsAt(i)
				if (expiresAtMs === 0) this.#hasImmortal = true
				else if (expiresAtMs > this.#maxExpiresAtMs) this.#maxExpiresAtMs = expiresAtMs
			}
		} else {
			this.#hasImmortal = true
		}
		if (block.commonKind === KIND_TOMBSTONE) this.#tombstoneCount += count
		else if (block.commonKind !== undefined && block.commonKind !== KIND_BLOB) return
		else this.#addKinds(block)
	}

	/** Counts entries that somebody else has made and counted. */
	addMade(made: MadeEntries): void {
		this.entryCount += made.count
		this.#rawBytes += made.keyAndValueBytes
		this.#tombstoneCount += made.tombstoneCount
		this.#minSeq = Math.min(this.#minSeq, made.minSeq)
		this.#maxSeq = Math.max(this.#maxSeq, made.maxSeq)
		this.#maxExpiresAtMs = Math.max(this.#maxExpiresAtMs, made.maxExpiresAtMs)
		if (made.hasImmortal) this.#hasImmortal = true
		for (const encodedRef of made.blobRefs) this.addBlobRef(encodedRef)
	}

	/** The part of the meta that is counted here. */
	finish(): Omit<SstMeta, TableFrame> {
		return {
			entryCount: this.entryCount,
			tombstoneCount: this.#tombstoneCount,
			blobRefCount: this.#blobRefCount,
			blobUses: this.#blobUses.finish(),
			minSeq: this.#minSeq,
			maxSeq: this.#maxSeq,
			maxExpiresAtMs: this.#hasImmortal ? 0 : this.#maxExpiresAtMs,
			rawBytes: this.#rawBytes,
		}
	}

	#addKinds(block: Block): void {
		for (let i = 0; i < block.count; i++) {
			const kind = block.kindAt(i)
			if (kind === KIND_TOMBSTONE) this.#tombstoneCount++
			else if (kind === KIND_BLOB) this.addBlobRef(block.valueViewAt(i))
		}
	}
}

/** What the builder knows and the entries do not say. */
type TableFrame =
	| 'formatVersion'
	| 'codec'
	| 'keyCount'
	| 'smallestKey'
	| 'largestKey'
	| 'halfExpiresAtMs'
	| 'minWriteMs'
	| 'maxWriteMs'
	| 'storedBytes'
	| 'metaOffset'
