/**
 * Where a large value lies: what stands as the value of an entry of kind `KIND_BLOB`.
 *
 *     pack id, UTF-8, length-prefixed (varint) · varint offset · varint bytes · u32 crc
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'

export interface BlobRef {
	/** Id of the pack, like `w3-17`: 1 to 44 bytes. */
	readonly packId: string
	/** Where the first frame of the value begins in the pack. */
	readonly offset: number
	/** Length of the value, without frames. */
	readonly bytes: number
	/** CRC-32 over the CRCs of its frames, each as u32 in order: vouches for the whole value at the price of a few bytes. */
	readonly crc: number
}

/** A limit of ours: pack ids fit the header of a pack. */
export const PACK_ID_MAX_BYTES = 44

export function encodeBlobRef(ref: BlobRef): Uint8Array<ArrayBuffer> {
	return new ByteWriter(32).string(ref.packId).varint(ref.offset).varint(ref.bytes).u32(ref.crc).finish()
}

/** @throws ISLE_CORRUPT naming `where`. */
export function decodeBlobRef(encoded: Uint8Array, where: string): BlobRef {
	const reader = new ByteReader(encoded, where)
	const ref = {
		packId: reader.string(PACK_ID_MAX_BYTES),
		offset: reader.varint(),
		bytes: reader.varint(),
		crc: reader.u32(),
	}
	reader.expectEnd()
	// With four bytes for each frame of 262,144: no range that a store could be asked for otherwise.
	if (!Number.isSafeInteger(ref.offset + ref.bytes + 4 * Math.ceil(ref.bytes / 262_144))) {
		throw corrupt(where, 'a blob that reaches beyond 2^53')
	}
	return ref
}
