/** How much input a range of a merge gets, so that its output is about one table. */
import { tableCapacityBytes } from '../sst/table-series.ts'

/**
 * Part of the target size: what is made of it fits into one table though blocks are cut and compressed otherwise than before. And the
 * memory for both, that a worker gets by transfer, stays below 64 MiB by default (26 and twice a tenth more): V8 answers more that
 * came since its last collection with another one of the whole heap, which was one for each range at 7/8.
 */
const INPUT_FRACTION = 13 / 16
/** Where little is left of the input, ranges grow up to this many times, so that outputs come near their target size. */
const GROWTH_MAX = 4
/** Less than this is not little: ranges stay such that their memory goes round. */
const SHRINKING_MIN = 0.9

/** Stored bytes of the input, of which the part `shrinking` is left; no more than `mostBytes` for more than one table of input. */
export function rangeBytesFor(
	targetBytes: number,
	shrinking = 1,
	mostBytes: number = Number.POSITIVE_INFINITY,
): number {
	const growth = shrinking > SHRINKING_MIN ? 1 : Math.min(GROWTH_MAX, 1 / Math.max(shrinking, 1 / GROWTH_MAX))
	const plainBytes = Math.max(1, targetBytes * INPUT_FRACTION)
	return Math.max(plainBytes, Math.min(plainBytes * growth, mostBytes))
}

/** Room for the input of a range that does not grow, and for the table that it becomes. */
export function bufferBytesFor(targetBytes: number): number {
	return tableCapacityBytes(targetBytes, rangeBytesFor(targetBytes))
}
