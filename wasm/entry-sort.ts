/**
 * Puts the entries of a memtable in order, as src/sst/entry-sort.ts does and by the same steps; a reference to an entry is its
 * place in memory.
 */
import {
	ARENA,
	ARENA_END,
	BROKEN,
	DIGITS,
	ENTRY_COUNT,
	FIRST_DELTA,
	FLUSH_START,
	OCCURS,
	PACKED,
	RANGES,
	REFS,
	SPARE_PACKED,
	SPARE_REFS,
	WEIGHTS,
} from '../src/sst/flush-layout'
import { KEY_MAX_BYTES, sharedOf } from './entry-bytes'
import { endAt, HEADER_BYTES, keyAt, keyBytesAt, padded, seqDeltaAt, valueBytesAt } from './memtable-entry'

const VALUE_MAX_BYTES: i32 = 268435456

/** Up to here an insertion sort beats counting. */
const SMALL_RANGE: i32 = 32
/** As in src/sst/packed-key.ts. */
const PACKED_MAX_POSITIONS: i32 = 12
const SYMBOLS: i32 = 257
const WORD_MAX: u64 = 0x1_0000_0000
/** From so many entries on digits have 11 bits, below it 8. */
const WIDE_FROM: i32 = 4096

let refs: usize = 0
let spareRefs: usize = 0
let packed: usize = 0
let sparePacked: usize = 0
let ranges: usize = 0
let occurs: usize = 0
let weights: usize = 0
let digits: usize = 0

/** What `planWord` of src/sst/packed-key.ts answers. */
let positions: i32 = 0
let wordCount: u64 = 1
let isWhole: bool = false

function refAt(i: i32): usize {
	return load<usize>(refs + ((<usize>i) << 2))
}

/** Lists the entries newest first. Answers their count, or `BROKEN`. */
export function list(): i32 {
	refs = load<usize>(FLUSH_START, REFS)
	const count = load<i32>(FLUSH_START, ENTRY_COUNT)
	const firstDelta = load<u32>(FLUSH_START, FIRST_DELTA)
	const end = load<usize>(FLUSH_START, ARENA_END)
	memory.fill(refs, 0, (<usize>count) << 2)
	let found = 0
	let at = load<usize>(FLUSH_START, ARENA)
	while (at < end) {
		if (at + HEADER_BYTES > end) return BROKEN
		const keyBytes = keyBytesAt(at)
		const valueBytes = valueBytesAt(at)
		if (keyBytes < 1 || keyBytes > KEY_MAX_BYTES || valueBytes > VALUE_MAX_BYTES) return BROKEN
		const place = u32(count) - 1 - (seqDeltaAt(at) - firstDelta)
		if (place >= u32(count)) return BROKEN
		const slot = refs + ((<usize>place) << 2)
		// Two entries of one number.
		if (load<usize>(slot) !== 0) return BROKEN
		store<usize>(slot, at)
		found++
		if (at + HEADER_BYTES + padded(keyBytes) + padded(valueBytes) > end) return BROKEN
		at = endAt(at)
	}
	return at === end ? found : BROKEN
}

/** Sorts what was listed. Answers where the references are. */
export function sort(): usize {
	spareRefs = load<usize>(FLUSH_START, SPARE_REFS)
	packed = load<usize>(FLUSH_START, PACKED)
	sparePacked = load<usize>(FLUSH_START, SPARE_PACKED)
	ranges = load<usize>(FLUSH_START, RANGES)
	occurs = load<usize>(FLUSH_START, OCCURS)
	weights = load<usize>(FLUSH_START, WEIGHTS)
	digits = load<usize>(FLUSH_START, DIGITS)
	const count = load<i32>(FLUSH_START, ENTRY_COUNT)
	let waiting: usize = ranges
	if (count > 1) waiting = push(waiting, 0, count, 0)
	while (waiting > ranges) {
		waiting -= 12
		const start = load<i32>(waiting)
		const end = load<i32>(waiting, 4)
		const depth = load<i32>(waiting, 8)
		if (end - start <= SMALL_RANGE) insertionSort(start, end, depth)
		else waiting = sortRange(waiting, start, end, depth)
	}
	return refs
}

/** A column of references that is free once all is sorted. */
export function spareColumn(): usize {
	return spareRefs
}

/** Ranges that wait are disjoint and hold two entries at least. */
function push(waiting: usize, start: i32, end: i32, depth: i32): usize {
	store<i32>(waiting, start)
	store<i32>(waiting, end, 4)
	store<i32>(waiting, depth, 8)
	return waiting + 12
}

function sortRange(waiting: usize, start: i32, end: i32, depth: i32): usize {
	const common = commonPrefix(start, end, depth)
	markSymbols(start, end, common)
	planWord()
	if (positions === 0) return waiting // Every key ends here: they are equal.
	packWords(start, end, common)
	radixSort(start, end)
	return isWhole ? waiting : listTies(waiting, start, end, common + positions)
}

/** Length, at least `depth`, of the prefix that all keys of the range share. */
function commonPrefix(start: i32, end: i32, depth: i32): i32 {
	const first = refAt(start)
	let common = keyBytesAt(first)
	for (let i = start + 1; i < end && common > depth; i++) {
		const at = refAt(i)
		const most = min(common, keyBytesAt(at))
		common = depth + sharedOf(0, 0, keyAt(at) + depth, 0, 0, keyAt(first) + depth, most - depth)
	}
	return common
}

function markSymbols(start: i32, end: i32, from: i32): void {
	memory.fill(occurs, 0, PACKED_MAX_POSITIONS * SYMBOLS)
	for (let i = start; i < end; i++) {
		const at = refAt(i)
		const left = keyBytesAt(at) - from
		const key = keyAt(at) + from
		const count = min(left, PACKED_MAX_POSITIONS)
		let base = occurs + 1
		for (let p = 0; p < count; p++) {
			store<u8>(base + load<u8>(key + p), 1)
			base += SYMBOLS
		}
		if (count < PACKED_MAX_POSITIONS) store<u8>(base - 1, 1)
	}
}

function planWord(): void {
	positions = 0
	wordCount = 1
	isWhole = false
	let ended: i32 = 0
	// Radix and lowest rank of each position stand where the digits are counted later.
	for (let p = 0; p < PACKED_MAX_POSITIONS; p++) {
		const marks = occurs + p * SYMBOLS
		ended |= i32(load<u8>(marks))
		let radix = ended
		for (let symbol = 1; symbol < SYMBOLS; symbol++) radix += i32(load<u8>(marks + symbol))
		if (radix === ended) {
			isWhole = true
			break
		}
		if (wordCount * u64(radix) > WORD_MAX) break
		wordCount *= u64(radix)
		store<i32>(digits + (p << 3), radix)
		store<i32>(digits + (p << 3), ended, 4)
		positions++
	}
	let unit: u32 = 1
	for (let p = positions - 1; p >= 0; p--) {
		const marks = occurs + p * SYMBOLS
		const weight = weights + ((p * SYMBOLS) << 2)
		let rank: u32 = load<u32>(digits + (p << 3), 4)
		for (let symbol = 1; symbol < SYMBOLS; symbol++) {
			if (load<u8>(marks + symbol) !== 0) store<u32>(weight + (symbol << 2), rank++ * unit)
		}
		unit *= load<u32>(digits + (p << 3))
	}
}

function packWords(start: i32, end: i32, from: i32): void {
	for (let i = start; i < end; i++) {
		const at = refAt(i)
		const key = keyAt(at) + from
		const count = min(keyBytesAt(at) - from, positions)
		let word: u32 = 0
		let base = weights + 4
		for (let p = 0; p < count; p++) {
			word += load<u32>(base + (usize(load<u8>(key + p)) << 2))
			base += SYMBOLS << 2
		}
		store<u32>(packed + ((<usize>i) << 2), word)
	}
}

/** Stable; sorts `refs` with their `packed` words. */
function radixSort(start: i32, end: i32): void {
	const bits = max(1, 64 - i32(clz(wordCount - 1)))
	const digitBits = end - start >= WIDE_FROM ? 11 : 8
	const passes = (bits + digitBits - 1) / digitBits
	const width = (bits + passes - 1) / passes
	const mask: u32 = (1 << width) - 1
	const from = (<usize>start) << 2
	const to = (<usize>end) << 2
	for (let pass = 0; pass < passes; pass++) {
		const shift = pass * width
		memory.fill(digits, 0, (<usize>mask + 1) << 2)
		for (let i = from; i < to; i += 4) {
			const place = digits + (((load<u32>(packed + i) >> shift) & mask) << 2)
			store<u32>(place, load<u32>(place) + 4)
		}
		let total = u32(from)
		for (let place = digits; place <= digits + (mask << 2); place += 4) {
			const bytes = load<u32>(place)
			store<u32>(place, total)
			total += bytes
		}
		for (let i = from; i < to; i += 4) {
			const word = load<u32>(packed + i)
			const place = digits + (((word >> shift) & mask) << 2)
			const target = load<u32>(place)
			store<u32>(place, target + 4)
			store<u32>(sparePacked + target, word)
			store<usize>(spareRefs + target, load<usize>(refs + i))
		}
		if (end - start === load<i32>(FLUSH_START, ENTRY_COUNT)) {
			const otherRefs = refs
			const otherPacked = packed
			refs = spareRefs
			packed = sparePacked
			spareRefs = otherRefs
			sparePacked = otherPacked
		} else {
			memory.copy(refs + from, spareRefs + from, to - from)
			memory.copy(packed + from, sparePacked + from, to - from)
		}
	}
}

function listTies(waiting: usize, start: i32, end: i32, depth: i32): usize {
	let next = waiting
	let from = start
	let word = load<u32>(packed + ((<usize>start) << 2))
	for (let i = start + 1; i <= end; i++) {
		const other = i < end ? load<u32>(packed + ((<usize>i) << 2)) : 0
		if (i < end && other === word) continue
		if (i - from > 1) next = push(next, from, i, depth)
		from = i
		word = other
	}
	return next
}

function insertionSort(start: i32, end: i32, depth: i32): void {
	for (let i = start + 1; i < end; i++) {
		const at = refAt(i)
		let to = i
		while (to > start && compare(refAt(to - 1), at, depth) > 0) {
			store<usize>(refs + ((<usize>to) << 2), refAt(to - 1))
			to--
		}
		store<usize>(refs + ((<usize>to) << 2), at)
	}
}

/** Compares two keys that agree in their first `depth` bytes. */
function compare(a: usize, b: usize, depth: i32): i32 {
	const aBytes = keyBytesAt(a)
	const bBytes = keyBytesAt(b)
	const aKey = keyAt(a) + depth
	const bKey = keyAt(b) + depth
	// Where both ended before, they are equal.
	const most = max(0, min(aBytes, bBytes) - depth)
	const shared = sharedOf(0, 0, aKey, 0, 0, bKey, most)
	if (shared === most) return aBytes - bBytes
	return i32(load<u8>(aKey + shared)) - i32(load<u8>(bKey + shared))
}
