/**
 * The hash of user keys: MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain).
 *
 * It is persisted through the filters of tables: never change it. It takes a key in lanes of four bytes, little-endian,
 * which 32-bit integer arithmetic does well in JavaScript; a caller that holds an ASCII string may feed the lanes itself
 * (`hashLane` for each whole lane, then `hashTail`) and gets the same result.
 */

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** Mixes one whole lane (four bytes, little-endian) into `state`, which begins as 0. */
export function hashLane(state: number, lane: number): number {
	let k = Math.imul(lane, C1)
	k = Math.imul((k << 15) | (k >>> 17), C2)
	const h = state ^ k
	return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

/** Mixes the last 0 to 3 bytes (as a little-endian number) and the length of the whole key. The result is a u32. */
export function hashTail(state: number, tail: number, keyBytes: number): number {
	let h = state
	// A tail of zero bytes mixes to zero, as in the reference: only the length tells it apart.
	const k = Math.imul(tail, C1)
	h ^= Math.imul((k << 15) | (k >>> 17), C2)
	return avalanche(h ^ keyBytes)
}

/** The finaliser of MurmurHash3: every bit of the input moves about half of the bits of the result, a u32. */
function avalanche(hash: number): number {
	let h = hash
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
	return (h ^ (h >>> 16)) >>> 0
}

/**
 * Hash of a key that lies in two parts, `bytes[prefixStart, prefixStart + prefixBytes)` and `bytes[start, end)`, when
 * `state` is what `hashLane` made of the whole lanes of the first part.
 */
export function hashParts(
	bytes: Uint8Array,
	state: number,
	prefixStart: number,
	prefixBytes: number,
	start: number,
	end: number,
): number {
	const keyBytes = prefixBytes + end - start
	const rest = prefixBytes & 3
	let mixed = state
	let at = start
	if (rest !== 0) {
		// The last lane that begins in the first part.
		let lane = 0
		const restStart = prefixStart + prefixBytes - rest
		for (let i = 0; i < rest; i++) lane |= (bytes[restStart + i] as number) << (8 * i)
		for (let shift = 8 * rest; shift < 32 && at < end; shift += 8) lane |= (bytes[at++] as number) << shift
		if ((keyBytes & ~3) < prefixBytes) return hashTail(mixed, lane, keyBytes)
		mixed = hashLane(mixed, lane)
	}
	for (const lanesEnd = end - 3; at < lanesEnd; at += 4) {
		const lane =
			(bytes[at] as number) |
			((bytes[at + 1] as number) << 8) |
			((bytes[at + 2] as number) << 16) |
			((bytes[at + 3] as number) << 24)
		mixed = hashLane(mixed, lane)
	}
	let tail = 0
	for (let i = end - 1; i >= at; i--) tail = (tail << 8) | (bytes[i] as number)
	return hashTail(mixed, tail, keyBytes)
}

/** What `hashLane` makes of the whole lanes of `bytes[start, start + count)`. */
export function hashLanes(bytes: Uint8Array, start: number, count: number): number {
	let state = 0
	for (let at = start; at <= start + count - 4; at += 4) {
		const lane =
			(bytes[at] as number) |
			((bytes[at + 1] as number) << 8) |
			((bytes[at + 2] as number) << 16) |
			((bytes[at + 3] as number) << 24)
		state = hashLane(state, lane)
	}
	return state
}

/** Hash of `bytes[start, end)`, a u32. */
export function hashKey(bytes: Uint8Array, start: number, end: number): number {
	let state = 0
	let at = start
	for (const lanesEnd = end - 3; at < lanesEnd; at += 4) {
		const lane =
			(bytes[at] as number) |
			((bytes[at + 1] as number) << 8) |
			((bytes[at + 2] as number) << 16) |
			((bytes[at + 3] as number) << 24)
		state = hashLane(state, lane)
	}
	let tail = 0
	for (let i = end - 1; i >= at; i--) tail = (tail << 8) | (bytes[i] as number)
	return hashTail(state, tail, end - start)
}
