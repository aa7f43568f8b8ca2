/** What the jobs of compaction take and give: plain data. The handlers are merge-tables.ts and collect-blob-refs.ts. */
import type { BlockRun } from '../src/sst/block-run.ts'
import type { CodecName, SstMeta } from '../src/sst/sst-meta.ts'

/**
 * Blocks of a table. A table may be given in several sources, when blocks between them need not be read
 * (`SstTable.holdsOnlyOlderVersions`).
 */
export interface MergeSource {
	readonly meta: SstMeta
	/** Object key, for errors. */
	readonly where: string
	readonly run: BlockRun
	/** The stored bytes of exactly these blocks. Owned by the job; whole in its buffer, or beside those of other sources. */
	readonly blocks: Uint8Array
}

/** The buffers of `sources`, each once. */
export function buffersOf(sources: readonly MergeSource[]): ArrayBuffer[] {
	// What a job owns is no SharedArrayBuffer.
	return [...new Set(sources.map(({ blocks }) => blocks.buffer as ArrayBuffer))]
}

/** Values of one pack that now lie in another: entry i moved from `oldOffsets[i]` to `newOffsets[i]`. */
export interface BlobMoves {
	readonly packId: string
	readonly newPackId: string
	/** Ascending. */
	readonly oldOffsets: Float64Array
	readonly newOffsets: Float64Array
}

export interface MergeOutputOptions {
	readonly codec: CodecName
	/** As in `TableOptions`. */
	readonly blockBytes?: number | undefined
	readonly filterBitsPerKey?: number | undefined
	/** A table ends, between two keys, when it has about this many bytes as stored: 1 KiB to 1 GiB. */
	readonly targetBytes: number
}

export interface MergeTablesInput {
	/** Their order does not matter: the newest version of a key is the one of the largest sequence number. */
	readonly sources: readonly MergeSource[]
	/** Keys below it are left out; `null`: none are. */
	readonly lower: Uint8Array | null
	/** This key and those above it are left out; `null`: none are. */
	readonly upper: Uint8Array | null
	readonly output: MergeOutputOptions
	/** True when nothing older than the sources has a key of this range. */
	readonly dropTombstones: boolean
	/** Entries with 0 < expiresAtMs ≤ this are gone: dropped as tombstones are, or made tombstones. 0: none. */
	readonly expireBeforeMs: number
	/** References to rewrite; those not named here stay as they are. Several may be of one pack. */
	readonly blobMoves?: readonly BlobMoves[] | undefined
	/**
	 * Memory for the tables, owned by the job: the buffers of tables that are done with. A table of `targetBytes` fits into
	 * the buffer of another such one; warm memory saves a good part of the time that a merge takes.
	 */
	readonly buffers?: readonly ArrayBuffer[] | undefined
}

export interface MergedTable {
	/** The whole table; its buffer is the caller's, and may be longer. */
	readonly bytes: Uint8Array<ArrayBuffer>
	readonly meta: SstMeta
}

export interface MergeTablesOutput {
	/** In key order, disjoint; none when nothing is left. */
	readonly tables: readonly MergedTable[]
	/** Entries of the range that were looked at, older versions among them (but for those in blocks that were skipped). */
	readonly entriesRead: number
	readonly entriesWritten: number
	/** Newest versions that were tombstones and are gone. */
	readonly tombstonesDropped: number
	/** Newest versions whose time had come: gone, or tombstones now. */
	readonly expiredDropped: number
	readonly blobRefsMoved: number
	/** Blocks that were copied as stored, and the bytes of them. */
	readonly blocksPassed: number
	readonly bytesPassed: number
	/** Those of `buffers` that no table took, and those of the sources. */
	readonly buffers: readonly ArrayBuffer[]
}

export interface CollectBlobRefsInput {
	readonly sources: readonly MergeSource[]
	/** Packs whose references are asked for. */
	readonly packIds: readonly string[]
}

/** References to one pack, by offset ascending, each once. */
export interface PackRefs {
	readonly packId: string
	readonly offsets: Float64Array<ArrayBuffer>
	/** Lengths of the values, and their CRCs as in `BlobRef`. */
	readonly bytes: Float64Array<ArrayBuffer>
	readonly crcs: Uint32Array<ArrayBuffer>
}

export interface CollectBlobRefsOutput {
	/** One for each pack of the input, in its order. */
	readonly packs: readonly PackRefs[]
	readonly entriesRead: number
	/** Those of the sources. */
	readonly buffers: readonly ArrayBuffer[]
}
