/**
 * How a block lies in a table:
 *
 *     offset  size  field
 *     0       4     CRC-32 of all that follows in this block
 *     4       1     codec: 0 none, 1 deflate, 2 lz4, 3 zstd
 *     5       4     raw size, u32
 *     9       …     payload: the raw block (codec none), or its compressed form
 *
 * A block that does not shrink by at least an eighth is stored raw, whatever the codec of its table.
 */
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, isIsleError } from '../errors.ts'
import { readUint, writeUint } from './block-format.ts'
import { CODEC_NONE, codecById } from './codec.ts'

export const STORED_HEADER_BYTES = 9
const CODEC_AT = 4
const SIZE_AT = 5

/** Largest payload that is worth its decompression: 7/8 of the raw size. */
export function worthwhileBytes(rawBytes: number): number {
	return rawBytes - Math.ceil(rawBytes / 8)
}

/** The number of the codec that a stored block names. */
export function codecIdOf(stored: Uint8Array): number {
	return stored[CODEC_AT] as number
}

/** Fills in the header of a block whose payload already lies at `at + 9`, up to `end`. */
export function sealBlock(target: Uint8Array, at: number, end: number, codecId: number, rawBytes: number): void {
	target[at + CODEC_AT] = codecId
	writeUint(target, at + SIZE_AT, 4, rawBytes)
	writeUint(target, at, 4, crc32(new Uint8Array(target.buffer, target.byteOffset + at + CODEC_AT, end - at - CODEC_AT)))
}

/**
 * Checks a stored block and returns its raw form, in memory that keeps nothing else alive: a copy, unless `stored` has
 * a buffer of its own. With `memory`, which gives room for so many bytes, it stands there or in the buffer of `stored`.
 *
 * @throws ISLE_CORRUPT (CRC, a raw size above `rawMaxBytes`, a payload that is not what it says) or ISLE_UNSUPPORTED
 * (a codec of a newer version).
 */
export function openStoredBlock(
	stored: Uint8Array,
	rawMaxBytes: number,
	where: string,
	memory?: (rawBytes: number) => Uint8Array,
): Uint8Array {
	if (stored.length < STORED_HEADER_BYTES) throw corrupt(where, 'a stored block that is shorter than its header')
	if (crc32(stored.subarray(CODEC_AT)) !== readUint(stored, 0, 4))
		throw corrupt(where, 'a block whose CRC does not match')
	const rawBytes = readUint(stored, SIZE_AT, 4)
	if (rawBytes > rawMaxBytes) {
		throw corrupt(where, `a block that declares ${rawBytes} raw bytes (at most ${rawMaxBytes} are allowed)`)
	}
	const codecId = stored[CODEC_AT] as number
	if (codecId === CODEC_NONE) {
		if (rawBytes !== stored.length - STORED_HEADER_BYTES)
			throw corrupt(where, 'a raw block of another size than declared')
		const payload = new Uint8Array(stored.buffer, stored.byteOffset + STORED_HEADER_BYTES, rawBytes)
		return memory !== undefined || stored.length === stored.buffer.byteLength ? payload : new Uint8Array(payload)
	}
	const codec = codecById(codecId, where)
	const payloadBytes = stored.length - STORED_HEADER_BYTES
	if (codec !== undefined && rawBytes > codec.expansionMax * payloadBytes) {
		throw corrupt(where, `a block that declares ${rawBytes} raw bytes, which ${payloadBytes} cannot hold,`)
	}
	const raw = memory?.(rawBytes) ?? new Uint8Array(rawBytes)
	try {
		codec?.decompress(stored.subarray(SIZE_AT), raw)
	} catch (cause) {
		if (isIsleError(cause)) throw cause
		throw corrupt(where, `a block that is not ${codec?.name}`, cause)
	}
	return raw
}
