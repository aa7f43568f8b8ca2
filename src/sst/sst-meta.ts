/** What is known of an SSTable without opening it. Plain data: it crosses threads and rides in commits and checkpoints. */

/** `lz4` is the LZ4 block format, `deflate` is raw DEFLATE, `zstd` is Zstandard frames. */
export type CodecName = 'none' | 'deflate' | 'lz4' | 'zstd'

/** What the entries of a table hold of one blob pack. */
export interface BlobUse {
	readonly packId: string
	/** References to it, and the bytes of the values that they name. */
	readonly count: number
	readonly bytes: number
}

export interface SstMeta {
	readonly formatVersion: number
	readonly codec: CodecName
	readonly entryCount: number
	/** Distinct user keys: equal to `entryCount` when there is one version of each. */
	readonly keyCount: number
	readonly tombstoneCount: number
	readonly blobRefCount: number
	/** By pack id, ascending; their counts add up to `blobRefCount`. */
	readonly blobUses: readonly BlobUse[]
	/** Smallest and largest user key, both inclusive. */
	readonly smallestKey: Uint8Array
	readonly largestKey: Uint8Array
	readonly minSeq: number
	readonly maxSeq: number
	/** Times at which the oldest and the newest entry were committed; they travel through compaction. */
	readonly minWriteMs: number
	readonly maxWriteMs: number
	/** When the last entry expires; 0 when some entry never does. */
	readonly maxExpiresAtMs: number
	/** When half of the entries will have expired, as a sample of them says (expiry-sample.ts); 0 when half never do. */
	readonly halfExpiresAtMs: number
	/** Keys and values before blocks and codecs. */
	readonly rawBytes: number
	/** The whole table as stored. */
	readonly storedBytes: number
	/** Where filter, index, properties and footer begin: one ranged read from here to `storedBytes` opens the table. */
	readonly metaOffset: number
}
