/**
 * Puts the entries of arena segments in order: key ascending, then newest first.
 *
 * 1. Walk the segments and list the entries newest first (sequence numbers are contiguous, so each has its place).
 * 2. Every later step is stable, so versions of one key stay in that order and only keys are compared.
 * 3. Find the prefix that all keys of a range share, and which byte values occur at each position after it. Pack as many
 *    positions as fit into one 32-bit word, in mixed radix (digits of a number need 3.3 bits and not 8).
 * 4. Sort by the word with a radix sort, least significant digit first.
 * 5. Ranges of equal words that still have key bytes left go through 3 and 4 again, past the packed positions;
 *    small ranges are sorted by comparing.
 *
 * Ranges that wait are kept in a list and not on the call stack, so that long common stretches cannot overflow it.
 */
import { invariant } from '../errors.ts'
import {
	type ArenaSegment,
	entryWordsAt,
	HEADER_WORDS,
	keyBytesAt,
	REF_CHUNK_SHIFT,
	REF_WORD_MASK,
	type SegmentViews,
	seqDeltaAt,
} from './entry-arena.ts'
import { ENDED, PACKED_MAX_POSITIONS, planWord, SYMBOLS } from './packed-key.ts'

/** Up to here an insertion sort beats counting. */
const SMALL_RANGE = 32
interface Sorter {
	readonly bytes: readonly Uint8Array[]
	readonly words: readonly Int32Array[]
	/** References `segment << 16 | word`, being sorted. */
	refs: Uint32Array<ArrayBuffer>
	spareRefs: Uint32Array<ArrayBuffer>
	packed: Uint32Array
	sparePacked: Uint32Array
	/** Ranges left to sort: start, end, depth in bytes. */
	readonly waiting: number[]
}

/**
 * References (`segment << 16 | word`, by place in `segments`) of all entries, in order.
 *
 * @param entryCount how many entries the segments hold; their sequence deltas must be contiguous.
 */
export function sortEntries(
	segments: readonly ArenaSegment[],
	views: SegmentViews,
	entryCount: number,
): Uint32Array<ArrayBuffer> {
	const refs = listNewestFirst(segments, views, entryCount)
	const isTiny = entryCount <= SMALL_RANGE
	const sorter: Sorter = {
		bytes: views.bytes,
		words: views.words,
		refs,
		spareRefs: new Uint32Array(isTiny ? 0 : entryCount),
		packed: new Uint32Array(isTiny ? 0 : entryCount),
		sparePacked: new Uint32Array(isTiny ? 0 : entryCount),
		waiting: [0, entryCount, 0],
	}
	for (;;) {
		const depth = sorter.waiting.pop()
		const end = sorter.waiting.pop()
		const start = sorter.waiting.pop()
		if (depth === undefined || end === undefined || start === undefined) return sorter.refs
		if (end - start <= SMALL_RANGE) insertionSort(sorter, start, end, depth)
		else sortRange(sorter, start, end, depth)
	}
}

function listNewestFirst(
	segments: readonly ArenaSegment[],
	views: SegmentViews,
	entryCount: number,
): Uint32Array<ArrayBuffer> {
	const refs = new Uint32Array(entryCount)
	let found = 0
	let firstDelta = Number.POSITIVE_INFINITY
	for (let s = 0; s < segments.length; s++) {
		const { firstWord, endWord } = segments[s] as ArenaSegment
		if (firstWord < endWord) firstDelta = Math.min(firstDelta, seqDeltaAt(views.words[s] as Int32Array, firstWord))
	}
	for (let s = 0; s < segments.length; s++) {
		const { firstWord, endWord } = segments[s] as ArenaSegment
		const words = views.words[s] as Int32Array
		for (let at = firstWord; at < endWord; at += entryWordsAt(words, at)) {
			const place = entryCount - 1 - (seqDeltaAt(words, at) - firstDelta)
			invariant(place >= 0 && place < entryCount, 'an arena entry with a sequence number out of range')
			refs[place] = ((s << REF_CHUNK_SHIFT) | at) >>> 0
			found++
		}
	}
	invariant(found === entryCount, `an arena of ${found} entries that should be ${entryCount}`)
	return refs
}

function sortRange(sorter: Sorter, start: number, end: number, depth: number): void {
	const common = commonPrefix(sorter, start, end, depth)
	const symbols = occurringSymbols(sorter, start, end, common)
	const weights = new Uint32Array(PACKED_MAX_POSITIONS * SYMBOLS)
	const plan = planWord(symbols, weights)
	if (plan.positions === 0) return // Every key ends here: they are equal.
	packWords(sorter, start, end, common, plan.positions, weights)
	radixSort(sorter, start, end, plan.wordCount)
	if (!plan.isWhole) listTies(sorter, start, end, common + plan.positions)
}

/** Length, at least `depth`, of the prefix that all keys of the range share. */
function commonPrefix(sorter: Sorter, start: number, end: number, depth: number): number {
	const { bytes, words, refs } = sorter
	const firstRef = refs[start] as number
	const first = bytes[firstRef >>> REF_CHUNK_SHIFT] as Uint8Array
	const firstAt = firstRef & REF_WORD_MASK
	const firstKey = (firstAt + HEADER_WORDS) << 2
	let common = keyBytesAt(words[firstRef >>> REF_CHUNK_SHIFT] as Int32Array, firstAt)
	for (let i = start + 1; i < end && common > depth; i++) {
		const ref = refs[i] as number
		const at = ref & REF_WORD_MASK
		const chunk = bytes[ref >>> REF_CHUNK_SHIFT] as Uint8Array
		const key = (at + HEADER_WORDS) << 2
		const most = Math.min(common, keyBytesAt(words[ref >>> REF_CHUNK_SHIFT] as Int32Array, at))
		let same = depth
		while (same < most && chunk[key + same] === first[firstKey + same]) same++
		common = same
	}
	return common
}

/** For each of the next positions after `from`, a mark at every symbol that occurs: `[position × SYMBOLS + symbol]`. */
function occurringSymbols(sorter: Sorter, start: number, end: number, from: number): Uint8Array {
	const { bytes, words, refs } = sorter
	const occurs = new Uint8Array(PACKED_MAX_POSITIONS * SYMBOLS)
	for (let i = start; i < end; i++) {
		const ref = refs[i] as number
		const at = ref & REF_WORD_MASK
		const chunk = bytes[ref >>> REF_CHUNK_SHIFT] as Uint8Array
		const left = keyBytesAt(words[ref >>> REF_CHUNK_SHIFT] as Int32Array, at) - from
		const key = ((at + HEADER_WORDS) << 2) + from
		const count = Math.min(left, PACKED_MAX_POSITIONS)
		let base = 1
		for (let p = 0; p < count; p++, base += SYMBOLS) occurs[base + (chunk[key + p] as number)] = 1
		if (count < PACKED_MAX_POSITIONS) occurs[base - 1 + ENDED] = 1
	}
	return occurs
}

function packWords(
	sorter: Sorter,
	start: number,
	end: number,
	from: number,
	positions: number,
	weights: Uint32Array,
): void {
	const { bytes, words, refs, packed } = sorter
	for (let i = start; i < end; i++) {
		const ref = refs[i] as number
		const at = ref & REF_WORD_MASK
		const chunk = bytes[ref >>> REF_CHUNK_SHIFT] as Uint8Array
		const left = keyBytesAt(words[ref >>> REF_CHUNK_SHIFT] as Int32Array, at) - from
		const key = ((at + HEADER_WORDS) << 2) + from
		const count = Math.min(left, positions)
		let word = 0
		let base = 1
		for (let p = 0; p < count; p++, base += SYMBOLS) {
			word = (word + (weights[base + (chunk[key + p] as number)] as number)) | 0
		}
		packed[i] = word >>> 0
	}
}

/** Stable; sorts `refs` with their `packed` words. */
function radixSort(sorter: Sorter, start: number, end: number, wordCount: number): void {
	const bits = Math.max(1, Math.ceil(Math.log2(wordCount)))
	// More buckets mean fewer passes, worth it when there are more entries than buckets.
	const digitBits = end - start >= 4_096 ? 11 : 8
	const passes = Math.ceil(bits / digitBits)
	const width = Math.ceil(bits / passes)
	const mask = 2 ** width - 1
	const counts = new Uint32Array(2 ** width)
	for (let pass = 0; pass < passes; pass++) {
		const shift = pass * width
		const { refs, spareRefs, packed, sparePacked } = sorter
		counts.fill(0)
		for (let i = start; i < end; i++) {
			const digit = ((packed[i] as number) >>> shift) & mask
			counts[digit] = (counts[digit] as number) + 1
		}
		let total = start
		for (let digit = 0; digit <= mask; digit++) {
			const count = counts[digit] as number
			counts[digit] = total
			total += count
		}
		for (let i = start; i < end; i++) {
			const word = packed[i] as number
			const digit = (word >>> shift) & mask
			const to = counts[digit] as number
			counts[digit] = to + 1
			sparePacked[to] = word
			spareRefs[to] = refs[i] as number
		}
		if (end - start === refs.length) {
			sorter.refs = spareRefs
			sorter.spareRefs = refs
			sorter.packed = sparePacked
			sorter.sparePacked = packed
		} else {
			refs.set(spareRefs.subarray(start, end), start)
			packed.set(sparePacked.subarray(start, end), start)
		}
	}
}

function listTies(sorter: Sorter, start: number, end: number, depth: number): void {
	const { packed, waiting } = sorter
	let from = start
	for (let i = start + 1; i <= end; i++) {
		if (i < end && packed[i] === packed[from]) continue
		if (i - from > 1) waiting.push(from, i, depth)
		from = i
	}
}

function insertionSort(sorter: Sorter, start: number, end: number, depth: number): void {
	const { refs } = sorter
	for (let i = start + 1; i < end; i++) {
		const ref = refs[i] as number
		let to = i
		while (to > start && compareKeys(sorter, refs[to - 1] as number, ref, depth) > 0) {
			refs[to] = refs[to - 1] as number
			to--
		}
		refs[to] = ref
	}
}

/** Compares two keys that agree in their first `depth` bytes. */
function compareKeys(sorter: Sorter, a: number, b: number, depth: number): number {
	const aBytes = sorter.bytes[a >>> REF_CHUNK_SHIFT] as Uint8Array
	const bBytes = sorter.bytes[b >>> REF_CHUNK_SHIFT] as Uint8Array
	const aAt = a & REF_WORD_MASK
	const bAt = b & REF_WORD_MASK
	const aLength = keyBytesAt(sorter.words[a >>> REF_CHUNK_SHIFT] as Int32Array, aAt)
	const bLength = keyBytesAt(sorter.words[b >>> REF_CHUNK_SHIFT] as Int32Array, bAt)
	const aKey = (aAt + HEADER_WORDS) << 2
	const bKey = (bAt + HEADER_WORDS) << 2
	const most = Math.min(aLength, bLength)
	for (let i = depth; i < most; i++) {
		const difference = (aBytes[aKey + i] as number) - (bBytes[bKey + i] as number)
		if (difference !== 0) return difference
	}
	return aLength - bLength
}
