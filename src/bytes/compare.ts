/** The one order of keys: unsigned bytes from the left; a key that ends first is smaller. */

/** Negative, zero or positive as `a` is smaller than, equal to or larger than `b`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
	return compareRanges(a, 0, a.length, b, 0, b.length)
}

/**
 * The same for `a[aStart, aEnd)` and `b[bStart, bEnd)`. The ranges lie inside their arrays: the caller has checked.
 * Keys are short, so a loop beats `Buffer.compare`, which costs a call into C++.
 */
export function compareRanges(
	a: Uint8Array,
	aStart: number,
	aEnd: number,
	b: Uint8Array,
	bStart: number,
	bEnd: number,
): number {
	const aBytes = aEnd - aStart
	const bBytes = bEnd - bStart
	const common = Math.min(aBytes, bBytes)
	for (let i = 0; i < common; i++) {
		const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
		if (difference !== 0) return difference
	}
	return aBytes - bBytes
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && compareRanges(a, 0, a.length, b, 0, b.length) === 0
}
