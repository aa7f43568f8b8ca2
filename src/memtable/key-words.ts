/**
 * Keys as words: hashed four bytes at a time where they stand, zero-padded, in an arena or in a scratch area.
 *
 * The result equals `hashKey` of the same bytes; on a big-endian machine that is what runs.
 */
import { hashKey, hashLane, hashTail } from '../bytes/hash.ts'

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Hash of the `keyBytes` bytes from word `keyAt`; both views are of one buffer. */
export function hashWords(words: Int32Array, bytes: Uint8Array, keyAt: number, keyBytes: number): number {
	if (!IS_LITTLE_ENDIAN) return hashKey(bytes, keyAt * 4, keyAt * 4 + keyBytes)
	let state = 0
	const end = keyAt + (keyBytes >>> 2)
	for (let i = keyAt; i < end; i++) state = hashLane(state, words[i] as number)
	// The padding is zero, so the last word is the tail as a little-endian number.
	return hashTail(state, (keyBytes & 3) === 0 ? 0 : (words[end] as number), keyBytes)
}
