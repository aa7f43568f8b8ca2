/**
 * Six bytes of a key as a number: most comparisons of keys end there, without a loop.
 *
 * Numbers order as the keys do, but not strictly: equal numbers say nothing, and a key that ends early counts as
 * followed by zeros.
 */

/** 2^24: two such halves make a number that a double holds exactly. */
const HALF = 16_777_216

/** The six bytes of `key` from `offset`, which is at most its length. */
export function keyNumber(key: Uint8Array, offset: number): number {
	const length = key.length
	if (offset + 6 <= length) {
		const high = ((key[offset] as number) << 16) | ((key[offset + 1] as number) << 8) | (key[offset + 2] as number)
		const low = ((key[offset + 3] as number) << 16) | ((key[offset + 4] as number) << 8) | (key[offset + 5] as number)
		return high * HALF + low
	}
	let number = 0
	for (let i = offset; i < offset + 6; i++) number = number * 256 + (i < length ? (key[i] as number) : 0)
	return number
}

/** How many bytes `a` and `b` have in common at the front. */
export function commonPrefixBytes(a: Uint8Array, b: Uint8Array, atMost: number): number {
	const end = Math.min(a.length, b.length, atMost)
	let i = 0
	while (i < end && a[i] === b[i]) i++
	return i
}
