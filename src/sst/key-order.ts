/** The order of keys that stand in two blocks, each with a prefix and suffixes of its own. */
import { compareRanges } from '../bytes/compare.ts'
import type { Block } from './block.ts'

/** Negative, zero or positive as the key of entry `i` of `a` compares with that of entry `j` of `b`. */
export function compareKeysOf(a: Block, i: number, b: Block, j: number): number {
	const aStart = a.suffixStartAt(i)
	const aEnd = a.valueStartAt(i)
	const bStart = b.suffixStartAt(j)
	const bEnd = b.valueStartAt(j)
	const aPrefixEnd = a.prefixStart + a.prefixBytes
	const bPrefixEnd = b.prefixStart + b.prefixBytes
	const common = Math.min(a.prefixBytes, b.prefixBytes)
	const prefixes = compareRanges(
		a.bytes,
		a.prefixStart,
		a.prefixStart + common,
		b.bytes,
		b.prefixStart,
		b.prefixStart + common,
	)
	if (prefixes !== 0) return prefixes
	if (a.prefixBytes === b.prefixBytes) {
		return compareRanges(a.bytes, aStart, aEnd, b.bytes, bStart, bEnd)
	}
	// One prefix is longer: its rest meets the beginning of the other's suffix.
	if (a.prefixBytes > common) {
		const rest = Math.min(a.prefixBytes - common, bEnd - bStart)
		const restStart = a.prefixStart + common
		const head = compareRanges(a.bytes, restStart, aPrefixEnd, b.bytes, bStart, bStart + rest)
		return head !== 0 ? head : compareRanges(a.bytes, aStart, aEnd, b.bytes, bStart + rest, bEnd)
	}
	const rest = Math.min(b.prefixBytes - common, aEnd - aStart)
	const restStart = b.prefixStart + common
	const head = compareRanges(a.bytes, aStart, aStart + rest, b.bytes, restStart, bPrefixEnd)
	return head !== 0 ? head : compareRanges(a.bytes, aStart + rest, aEnd, b.bytes, bStart, bEnd)
}
