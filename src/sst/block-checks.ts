/** What a reader of a block relies on about the places and the order of its entries, checked once when it is opened. */
import { compareRanges } from '../bytes/compare.ts'
import { corrupt } from '../errors.ts'
import type { Block } from './block.ts'
import { KEY_MAX_BYTES } from './entry.ts'

/**
 * Checks that the entries of `block` fill `bytes[dataStart, dataEnd)`, one after another and in order. Answers whether some
 * key has several versions. @throws ISLE_CORRUPT naming `where`.
 */
export function checkEntries(block: Block, dataStart: number, dataEnd: number, where: string): boolean {
	const { bytes, count, prefixBytes } = block
	const suffixMax = KEY_MAX_BYTES - prefixBytes
	let hasVersions = false
	let lastStart = dataStart
	let lastEnd = dataStart
	let before = dataStart
	for (let i = 0; i < count; i++) {
		const start = before
		const end = block.valueStartAt(i)
		before = block.valueEndAt(i)
		if (end < start || before < end || before > dataEnd) {
			throw corrupt(where, 'an entry that reaches outside its block')
		}
		if (end - start > suffixMax || (prefixBytes === 0 && start === end)) {
			throw corrupt(where, `a key of ${prefixBytes + end - start} bytes`)
		}
		if (i > 0) {
			const order = compareRanges(bytes, lastStart, lastEnd, bytes, start, end)
			if (order > 0 || (order === 0 && block.seqAt(i - 1) <= block.seqAt(i))) {
				throw corrupt(where, `entry ${i} of a block is out of order`)
			}
			if (order === 0) hasVersions = true
		}
		lastStart = start
		lastEnd = end
	}
	if (before !== dataEnd) throw corrupt(where, 'a block with bytes that belong to no entry')
	return hasVersions
}
