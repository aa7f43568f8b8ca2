/** A table that exists as metadata only: for simulations of policies. */
import type { TableRef } from '../src/manifest/manifest.ts'
import { SST_FORMAT_VERSION } from '../src/sst/sst-properties.ts'

/** Keys are whole numbers below this. */
export const KEY_SPACE: number = 2 ** 48

export interface SimulatedTable {
	/** First and last key. */
	readonly from: number
	readonly to: number
	readonly count: number
	readonly bytes: number
	readonly minSeq: number
	readonly maxSeq: number
	readonly minMs: number
	readonly maxMs: number
}

export function simulatedTable(id: string, of: SimulatedTable): TableRef {
	const meta = {
		formatVersion: SST_FORMAT_VERSION,
		codec: 'none' as const,
		entryCount: of.count,
		keyCount: of.count,
		tombstoneCount: 0,
		blobRefCount: 0,
		blobUses: [],
		smallestKey: keyOf(of.from),
		largestKey: keyOf(of.to),
		minSeq: of.minSeq,
		maxSeq: of.maxSeq,
		minWriteMs: of.minMs,
		maxWriteMs: of.maxMs,
		maxExpiresAtMs: 0,
		halfExpiresAtMs: 0,
		rawBytes: of.bytes,
		storedBytes: of.bytes,
		metaOffset: 0,
	}
	return { id, objectKey: id, offset: 0, meta }
}

/** 6 bytes, big-endian. */
function keyOf(position: number): Uint8Array {
	const key = Buffer.allocUnsafe(6)
	key.writeUIntBE(Math.max(0, Math.min(KEY_SPACE - 1, position)), 0, 6)
	return key
}
