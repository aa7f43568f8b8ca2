/**
 * A blob pack: large values one after another, each cut into frames. Integers are little-endian.
 *
 * Header, 64 bytes:
 *
 *     offset  size  field
 *     0       8     "ISLE-BLB"
 *     8       2     format version, u16: 1
 *     10      2     bytes of the pack id, u16
 *     12      4     bytes of a full frame, u32: 262,144
 *     16      44    pack id, UTF-8, zeros behind it
 *     60      4     CRC-32 of bytes 0 to 59
 *
 * A value is ceil(bytes / 262,144) frames without gaps; one of 0 bytes has none. Frame: payload (262,144 bytes; the last
 * frame of a value may be shorter, at least 1), then the CRC-32 of (index of the frame in its value as u32, payload) as u32.
 * The CRC stands behind the payload, so that a stream is encoded without holding a frame back.
 *
 * So every position is arithmetic: byte p of a value lies in frame floor(p / 262,144).
 */
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, IsleError, invariant } from '../errors.ts'
import { type BlobRef, PACK_ID_MAX_BYTES } from './blob-ref.ts'

/** Persisted: never change. 256 KiB: a CRC covers little enough to be checked while streaming, and costs 0.002 %. */
export const FRAME_BYTES = 262_144
export const FRAME_CRC_BYTES = 4
export const PACK_HEADER_BYTES = 64
const PACK_FORMAT_VERSION = 1
const MAGIC = 'ISLE-BLB'
const ID_AT = 16
const CRC_AT = 60

/** `bytes` bytes from `offset` of a pack. */
export interface PackRange {
	readonly offset: number
	readonly bytes: number
}

export function encodePackHeader(packId: string): Uint8Array<ArrayBuffer> {
	const id = new TextEncoder().encode(packId)
	invariant(id.length >= 1 && id.length <= PACK_ID_MAX_BYTES, `pack id of ${id.length} bytes`)
	const header = new Uint8Array(PACK_HEADER_BYTES)
	const view = new DataView(header.buffer)
	header.set(new TextEncoder().encode(MAGIC))
	view.setUint16(8, PACK_FORMAT_VERSION, true)
	view.setUint16(10, id.length, true)
	view.setUint32(12, FRAME_BYTES, true)
	header.set(id, ID_AT)
	view.setUint32(CRC_AT, crc32(header.subarray(0, CRC_AT)), true)
	return header
}

/** The id of the pack that begins with `header`. @throws ISLE_CORRUPT, or ISLE_UNSUPPORTED for a newer version. */
export function decodePackHeader(header: Uint8Array, where: string): string {
	if (header.length < PACK_HEADER_BYTES) throw corrupt(where, 'a blob pack that is shorter than its header')
	const view = new DataView(header.buffer, header.byteOffset, PACK_HEADER_BYTES)
	const magic = new TextDecoder().decode(header.subarray(0, MAGIC.length))
	if (magic !== MAGIC) throw corrupt(where, 'bytes that do not begin as a blob pack does')
	if (view.getUint32(CRC_AT, true) !== crc32(header.subarray(0, CRC_AT))) {
		throw corrupt(where, 'a blob pack header whose CRC does not match')
	}
	const version = view.getUint16(8, true)
	if (version > PACK_FORMAT_VERSION) {
		const what = `blob pack version ${version} in \`${where}\`: this code reads up to ${PACK_FORMAT_VERSION}, upgrade it`
		throw new IsleError('ISLE_UNSUPPORTED', what, { details: { where } })
	}
	const idBytes = view.getUint16(10, true)
	const isPadded = header.subarray(ID_AT + idBytes, CRC_AT).every(byte => byte === 0)
	if (
		version === 0 ||
		view.getUint32(12, true) !== FRAME_BYTES ||
		idBytes === 0 ||
		idBytes > PACK_ID_MAX_BYTES ||
		!isPadded
	) {
		throw corrupt(where, 'a blob pack header that makes no sense')
	}
	try {
		return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header.subarray(ID_AT, ID_AT + idBytes))
	} catch (cause) {
		throw corrupt(where, 'a blob pack whose id is not UTF-8', cause)
	}
}

/** What a value of that length takes in a pack. */
export function framedBytes(bytes: number): number {
	return bytes + Math.ceil(bytes / FRAME_BYTES) * FRAME_CRC_BYTES
}

/** Where the whole value lies. Empty for a value of 0 bytes: nothing is to be read then. */
export function blobRange(ref: BlobRef): PackRange {
	return { offset: ref.offset, bytes: framedBytes(ref.bytes) }
}

/** The frames that hold bytes [start, end) of a value, `start` < `end` ≤ `ref.bytes`. */
export function framesRange(ref: BlobRef, start: number, end: number): PackRange {
	invariant(start >= 0 && start < end && end <= ref.bytes, `bytes ${start} to ${end} of a blob of ${ref.bytes}`)
	const first = Math.floor(start / FRAME_BYTES)
	const stop = Math.min(ref.bytes, Math.ceil(end / FRAME_BYTES) * FRAME_BYTES)
	return { offset: ref.offset + framedBytes(first * FRAME_BYTES), bytes: framedBytes(stop - first * FRAME_BYTES) }
}

/** How many frames a value has. */
export function frameCount(ref: BlobRef): number {
	return Math.ceil(ref.bytes / FRAME_BYTES)
}

/** What frame `index` of a value takes in its pack. */
export function frameBytesAt(ref: BlobRef, index: number): number {
	return Math.min(FRAME_BYTES, ref.bytes - index * FRAME_BYTES) + FRAME_CRC_BYTES
}

/** Whether a stored frame is what was written as frame `index` of its value. */
export function isSoundFrame(index: number, frame: Uint8Array): boolean {
	const payloadBytes = frame.length - FRAME_CRC_BYTES
	const crc = new DataView(frame.buffer, frame.byteOffset + payloadBytes, FRAME_CRC_BYTES).getUint32(0, true)
	return crc32(frame.subarray(0, payloadBytes), frameSeed(index)) === crc
}

/** CRC state of a frame before its payload. */
export function frameSeed(index: number): number {
	return crc32(u32Bytes(index % 4294967296))
}

export function u32Bytes(value: number): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(4)
	new DataView(bytes.buffer).setUint32(0, value, true)
	return bytes
}
