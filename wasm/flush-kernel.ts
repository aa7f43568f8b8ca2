/**
 * What a flush does for each entry, in AssemblyScript: the order of the entries, and their copies into raw blocks. What happens
 * once a block is the caller's (src/sst/flush-kernel.ts): `produce` makes as many as there is room for and tells of them.
 *
 * It does what workers/encode-table.ts does with `sortEntries`, `TableBuilder` and `BlockBuilder`, so that both make the same
 * bytes. Entries lie all over the memory: a short loop touches the next 64 of them, so that their waits overlap.
 */
import {
	BASE_SEQ,
	BLOB_COUNT,
	BLOBS,
	BLOCK_AT,
	BLOCK_KEY,
	BLOCK_KEY_BYTES,
	BLOCK_KEY_SAME,
	BLOCK_KEY_SHARED,
	BLOCK_LENGTH,
	BLOCK_RECORD_BYTES,
	BLOCKS_MAX,
	BROKEN,
	ENTRY_COUNT,
	FLUSH_START,
	HASH_COUNT,
	IS_DONE,
	KEY_HASHES,
	LAST_KEY_AT,
	LAST_KEY_BYTES,
	MADE,
	OUT,
	OUT_LIMIT,
	PACKED,
	TOTAL_BYTES,
	TOTAL_HAS_IMMORTAL,
	TOTAL_MAX_EXPIRES_AT,
	TOTAL_TOMBSTONES,
	TOUCHED,
} from '../src/sst/flush-layout'
import {
	MADE_AT,
	MADE_BYTES,
	MADE_COUNT,
	MADE_DATA_BYTES,
	MADE_HAS_IMMORTAL,
	MADE_MAX_EXPIRES_AT,
	MADE_PREFIX_BYTES,
	MADE_TOMBSTONES,
	STATE_START,
} from '../src/sst/kernel-layout'
import {
	appendWhole,
	beginTable,
	compareToLast,
	encodeBlock,
	fits,
	headBytesOf,
	isEmpty,
	lastSeq,
	placeData,
	sharedWithLast,
} from './block-writer'
import { hashPadded } from './entry-bytes'
import { list, sort, spareColumn } from './entry-sort'
import { expiresAtMsAt, keyAt, keyBytesAt, kindAt, seqDeltaAt, valueAt, valueBytesAt } from './memtable-entry'

const KIND_BLOB: i32 = 2
/** Entries that are touched together: 64 × 3 lines of 64 bytes = 12 KiB of the first-level cache. */
const TOUCH_BATCH: i32 = 64
const LINE_BYTES: usize = 64
/** Blocks begin at multiples of it. */
const ALIGN: usize = 16

let count: i32 = 0
let refs: usize = 0
/** Columns of the sort that are free after it. */
let hashes: usize = 0
let blobs: usize = 0
let next: i32 = 0
let touched: i32 = 0
let outAt: usize = 0
let made: usize = 0
/** Of the block at hand. */
let firstKey: usize = 0
let firstKeyBytes: i32 = 0
let firstShared: i32 = 0
let firstIsSame: bool = false

/** Puts the entries in order; answers how many there are, or `BROKEN`. */
export function begin(): i32 {
	count = load<i32>(FLUSH_START, ENTRY_COUNT)
	const found = list()
	if (found !== count) return found
	refs = sort()
	hashes = load<usize>(FLUSH_START, PACKED)
	blobs = spareColumn()
	store<usize>(FLUSH_START, hashes, KEY_HASHES)
	store<usize>(FLUSH_START, blobs, BLOBS)
	store<i32>(FLUSH_START, 0, BLOB_COUNT)
	next = 0
	touched = 0
	firstIsSame = false
	beginTable()
	store<i32>(FLUSH_START, 0, HASH_COUNT)
	store<i32>(FLUSH_START, 0, IS_DONE)
	store<i32>(FLUSH_START, 0, TOTAL_TOMBSTONES)
	store<i32>(FLUSH_START, 0, TOTAL_HAS_IMMORTAL)
	store<f64>(FLUSH_START, 0, TOTAL_BYTES)
	store<f64>(FLUSH_START, 0, TOTAL_MAX_EXPIRES_AT)
	const last = load<usize>(refs + ((<usize>count - 1) << 2))
	store<usize>(FLUSH_START, keyAt(last), LAST_KEY_AT)
	store<i32>(FLUSH_START, keyBytesAt(last), LAST_KEY_BYTES)
	return count
}

/** Makes blocks of the next entries; answers how many, or `BROKEN`. */
export function produce(): i32 {
	outAt = load<usize>(FLUSH_START, OUT)
	made = load<usize>(FLUSH_START, MADE)
	const madeStart = made
	const madeEnd = made + BLOCKS_MAX * BLOCK_RECORD_BYTES
	const outLimit = load<usize>(FLUSH_START, OUT_LIMIT)
	const baseSeq = load<f64>(FLUSH_START, BASE_SEQ)
	while (next < count) {
		if (next === touched) touch()
		const at = load<usize>(refs + ((<usize>next) << 2))
		const key = keyAt(at)
		const keyBytes = keyBytesAt(at)
		const valueBytes = valueBytesAt(at)
		const seq = baseSeq + f64(seqDeltaAt(at))
		let isSame = false
		if (isEmpty()) {
			// The first entry of all, or the one that had no place in the last block of the call before.
			isSame = firstIsSame
			if (next === 0) beginBlock(key, keyBytes, 0, false)
		} else {
			const order = compareToLast(0, 0, key, keyBytes)
			isSame = order === 0
			if (order < 0 || (isSame && seq >= lastSeq())) return BROKEN
			if (!fits(keyBytes, valueBytes)) {
				const shared = sharedWithLast()
				endBlock()
				beginBlock(key, keyBytes, shared, isSame)
				if (outAt >= outLimit || made === madeEnd) return madeCount(madeStart)
			}
		}
		if (isEmpty()) placeData((outAt + headBytesOf(keyBytes) + ALIGN - 1) & ~(ALIGN - 1))
		appendWhole(key, keyBytes, valueAt(at), valueBytes, seq, kindAt(at), expiresAtMsAt(at))
		if (!isSame) addTo(hashes, HASH_COUNT, hashPadded(key, keyBytes))
		if (kindAt(at) === KIND_BLOB) addTo(blobs, BLOB_COUNT, u32(at))
		next++
	}
	if (!isEmpty()) endBlock()
	store<i32>(FLUSH_START, 1, IS_DONE)
	return madeCount(madeStart)
}

function madeCount(madeStart: usize): i32 {
	return i32((made - madeStart) / BLOCK_RECORD_BYTES)
}

function beginBlock(key: usize, keyBytes: i32, shared: i32, isSame: bool): void {
	firstKey = key
	firstKeyBytes = keyBytes
	firstShared = shared
	firstIsSame = isSame
}

/** Ends the block at hand and tells of it. */
function endBlock(): void {
	encodeBlock()
	const start = load<usize>(STATE_START, MADE_AT)
	const bytes = load<i32>(STATE_START, MADE_BYTES)
	store<usize>(made, start, BLOCK_AT)
	store<i32>(made, bytes, BLOCK_LENGTH)
	store<usize>(made, firstKey, BLOCK_KEY)
	store<i32>(made, firstKeyBytes, BLOCK_KEY_BYTES)
	store<i32>(made, firstShared, BLOCK_KEY_SHARED)
	store<i32>(made, firstIsSame ? 1 : 0, BLOCK_KEY_SAME)
	made += BLOCK_RECORD_BYTES
	outAt = start + bytes
	const prefixes = load<i32>(STATE_START, MADE_COUNT) * load<i32>(STATE_START, MADE_PREFIX_BYTES)
	const total = load<f64>(FLUSH_START, TOTAL_BYTES) + f64(load<i32>(STATE_START, MADE_DATA_BYTES) + prefixes)
	store<f64>(FLUSH_START, total, TOTAL_BYTES)
	const tombstones = load<i32>(FLUSH_START, TOTAL_TOMBSTONES) + load<i32>(STATE_START, MADE_TOMBSTONES)
	store<i32>(FLUSH_START, tombstones, TOTAL_TOMBSTONES)
	const hasImmortal = load<i32>(FLUSH_START, TOTAL_HAS_IMMORTAL) | load<i32>(STATE_START, MADE_HAS_IMMORTAL)
	store<i32>(FLUSH_START, hasImmortal, TOTAL_HAS_IMMORTAL)
	const expiry = max(load<f64>(FLUSH_START, TOTAL_MAX_EXPIRES_AT), load<f64>(STATE_START, MADE_MAX_EXPIRES_AT))
	store<f64>(FLUSH_START, expiry, TOTAL_MAX_EXPIRES_AT)
}

/** Appends to a column of 4 bytes that is counted in `field`. */
function addTo(column: usize, field: i32, value: u32): void {
	const counter = <usize>FLUSH_START + field
	const length = load<u32>(counter)
	store<u32>(column + (length << 2), value)
	store<u32>(counter, length + 1)
}

/** Reads the first three cache lines of each of the next entries. */
function touch(): void {
	const end = min(count, touched + TOUCH_BATCH)
	let sum: u32 = 0
	for (let i = touched; i < end; i++) {
		const at = load<usize>(refs + ((<usize>i) << 2))
		sum += load<u32>(at) + load<u32>(at + LINE_BYTES) + load<u32>(at + 2 * LINE_BYTES)
	}
	touched = end
	// So that the reading is not optimised away.
	store<u32>(FLUSH_START, sum, TOUCHED)
}
