/**
 * The raw (decoded) form of a data block. Integers are little-endian.
 *
 *     offset  size  field
 *     0       1     flags: bit 0 = ends are u32 (else u16), bit 1 = a kind column is present; other bits 0
 *     1       1     kind of every entry when there is no kind column, else 0
 *     2       1     seqWidth: bytes per sequence delta, 0 to 7 (0: all are minSeq)
 *     3       1     expiryWidth: bytes per expiry, 0 to 7 (0: no entry expires, and minExpiresAtMs is absent)
 *     4       4     count of entries, at least 1
 *     8       4     prefixBytes: length of the prefix that all keys of the block share
 *     12      8     minSeq
 *     20      8     minExpiresAtMs, only when expiryWidth > 0
 *     …             prefix
 *     …             data: per entry the rest of the key (suffix), then the value, without gaps
 *     …             ends: per entry the end of its suffix and the end of its value, counted from the start of data;
 *                   2 × u16 when data is at most 65,535 bytes, else 2 × u32
 *     …             seq column: per entry seq − minSeq in seqWidth bytes
 *     …             expiry column, when expiryWidth > 0: 0 = never, else expiresAtMs − minExpiresAtMs + 1
 *     …             kind column, when flagged: 1 byte per entry
 *
 * Entries stand by key ascending, then by sequence number descending (newest first). The prefix need not be the longest
 * possible. Fixed columns make every entry reachable without touching the others; suffix beside value makes a raw entry
 * move with one copy.
 */
import { KEY_MAX_BYTES, VALUE_MAX_BYTES } from './entry.ts'

/** Persisted: never renumber. */
export const FLAG_WIDE = 1
/** Persisted: never renumber. */
export const FLAG_KINDS = 2

export const BLOCK_HEADER_BYTES = 20
export const MIN_EXPIRY_BYTES = 8

/** Data up to this many bytes has u16 ends. */
export const NARROW_MAX_BYTES = 0xffff

/** A limit of ours: `blockBytes` of a table is at most 1 MiB. */
export const BLOCK_BYTES_MAX = 1_048_576

/** No raw block is larger than its target size and one entry of the largest key and value. */
export const RAW_BLOCK_MAX_BYTES: number = BLOCK_BYTES_MAX + KEY_MAX_BYTES + VALUE_MAX_BYTES

/** Bytes needed for `value`, a non-negative safe integer: 0 for 0, at most 7. */
export function byteWidth(value: number): number {
	let width = 0
	for (let left = value; left > 0; left = Math.floor(left / 256)) width++
	return width
}

/** Writes the low `width` bytes (0 to 7) of `value`. */
export function writeUint(target: Uint8Array, at: number, width: number, value: number): void {
	let left = value
	for (let i = 0; i < width; i++) {
		target[at + i] = left % 256
		left = Math.floor(left / 256)
	}
}

/** Reads `width` bytes (0 to 7). The result may exceed 2^53 − 1 only when width is 7: `Block` refuses such bytes. */
export function readUint(source: Uint8Array, at: number, width: number): number {
	let value = 0
	for (let i = width - 1; i >= 0; i--) value = value * 256 + (source[at + i] as number)
	return value
}
