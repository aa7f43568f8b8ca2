/** Bytes and keys in memory: copies, comparisons, hashes. Keys stand in two parts: a prefix, and a suffix elsewhere. */
import { SLACK_BYTES, SLOT_BLOCK, SLOT_POSITIONS, SLOT_PREFIX, SLOT_PREFIX_BYTES } from '../src/sst/kernel-layout'

/** As in src/sst/entry.ts. */
export const KEY_MAX_BYTES: i32 = 65536

/** From here on `memory.copy`, which is a call, is faster than a loop. */
const LOOP_MAX_BYTES: u32 = 512

/** Copies `count` bytes; may touch 16 bytes behind both ranges, which do not overlap. */
export function copy(target: usize, source: usize, count: u32): void {
	if (count > LOOP_MAX_BYTES) {
		memory.copy(target, source, count)
		return
	}
	for (let i: u32 = 0; i < count; i += SLACK_BYTES) v128.store(target + i, v128.load(source + i))
}

/**
 * How many of the first `limit` bytes two keys share. Byte p of a key stands at `prefix + p` when p < split, else at
 * `suffix + p`.
 */
export function sharedOf(
	aPrefix: usize,
	aSplit: i32,
	aSuffix: usize,
	bPrefix: usize,
	bSplit: i32,
	bSuffix: usize,
	limit: i32,
): i32 {
	let shared = 0
	while (shared < limit) {
		const a = shared < aSplit ? aPrefix : aSuffix
		const b = shared < bSplit ? bPrefix : bSuffix
		let end = limit
		if (shared < aSplit && aSplit < end) end = aSplit
		if (shared < bSplit && bSplit < end) end = bSplit
		// What is read behind the end, up to 7 bytes, is not looked at.
		while (shared < end) {
			const difference = load<u64>(a + shared) ^ load<u64>(b + shared)
			if (difference !== 0) {
				const differs = shared + (i32(ctz(difference)) >> 3)
				if (differs < end) return differs
			}
			shared += 8
		}
		shared = end
	}
	return shared
}

/** Where the suffix of entry `at` of the block of `slot` begins, where its value does, and where that ends. */
export function suffixStart(slot: usize, at: i32): usize {
	return load<usize>(slot, SLOT_BLOCK) + load<u32>(load<usize>(slot, SLOT_POSITIONS) + ((<usize>at) << 3))
}

export function valueStart(slot: usize, at: i32): usize {
	return load<usize>(slot, SLOT_BLOCK) + load<u32>(load<usize>(slot, SLOT_POSITIONS) + ((<usize>at) << 3), 4)
}

export function valueEnd(slot: usize, at: i32): usize {
	return load<usize>(slot, SLOT_BLOCK) + load<u32>(load<usize>(slot, SLOT_POSITIONS) + ((<usize>at) << 3), 8)
}

/** Negative, zero or positive as the key of entry `i` of `a` compares with that of entry `j` of `b`. */
export function compareKeys(a: usize, i: i32, b: usize, j: i32): i32 {
	const aSplit = load<i32>(a, SLOT_PREFIX_BYTES)
	const aStart = suffixStart(a, i)
	return compareWith(
		load<usize>(a, SLOT_PREFIX),
		aSplit,
		aStart - aSplit,
		aSplit + i32(valueStart(a, i) - aStart),
		b,
		j,
	)
}

/** The same for a key of `aBytes` bytes that stands in two parts, as `sharedOf` says. */
export function compareWith(aPrefix: usize, aSplit: i32, aSuffix: usize, aBytes: i32, b: usize, j: i32): i32 {
	const bPrefix = load<usize>(b, SLOT_PREFIX)
	const bSplit = load<i32>(b, SLOT_PREFIX_BYTES)
	const bStart = suffixStart(b, j)
	const bSuffix = bStart - bSplit
	const bBytes = bSplit + i32(valueStart(b, j) - bStart)
	const common = min(aBytes, bBytes)
	const shared = sharedOf(aPrefix, aSplit, aSuffix, bPrefix, bSplit, bSuffix, common)
	if (shared === common) return aBytes - bBytes
	return (
		i32(load<u8>((shared < aSplit ? aPrefix : aSuffix) + shared)) -
		i32(load<u8>((shared < bSplit ? bPrefix : bSuffix) + shared))
	)
}

/** MurmurHash3_x86_32 with seed 0: src/bytes/hash.ts. */
const C1: u32 = 0xcc9e2d51
const C2: u32 = 0x1b873593

function mixLane(state: u32, lane: u32): u32 {
	return rotl(state ^ (rotl(lane * C1, 15) * C2), 13) * 5 + 0xe6546b64
}

/** What the whole lanes of `count` bytes make of the state 0. */
export function hashLanes(start: usize, count: i32): u32 {
	let state: u32 = 0
	for (let i = 0; i + 4 <= count; i += 4) state = mixLane(state, load<u32>(start + i))
	return state
}

/** A mask of the first `count` bytes of a lane, 0 to 3. */
function lowBytes(count: i32): u32 {
	return (u32(1) << (8 * count)) - 1
}

/** The hash of the key of entry `at`; `state` is what the whole lanes of the prefix made. */
export function hashOf(slot: usize, at: i32, prefixState: u32): u32 {
	const prefixBytes = load<i32>(slot, SLOT_PREFIX_BYTES)
	let start = suffixStart(slot, at)
	const end = valueStart(slot, at)
	const keyBytes: u32 = prefixBytes + u32(end - start)
	const rest = prefixBytes & 3
	let state = prefixState
	if (rest !== 0) {
		// The last lane that begins in the prefix ends in the suffix, or with the key.
		const restStart = load<usize>(slot, SLOT_PREFIX) + prefixBytes - rest
		const lane = (load<u32>(restStart) & lowBytes(rest)) | (load<u32>(start) << (8 * rest))
		start += 4 - rest
		if (start > end) return finishHash(state, lane & lowBytes(i32(keyBytes & 3)), keyBytes)
		state = mixLane(state, lane)
	}
	while (start + 4 <= end) {
		state = mixLane(state, load<u32>(start))
		start += 4
	}
	return finishHash(state, load<u32>(start) & lowBytes(i32(end - start)), keyBytes)
}

/** The hash of a key that stands in one piece, with zeros behind it up to a whole lane. */
export function hashPadded(key: usize, keyBytes: i32): u32 {
	const tail = (keyBytes & 3) === 0 ? 0 : load<u32>(key + (keyBytes & ~3))
	return finishHash(hashLanes(key, keyBytes), tail, keyBytes)
}

function finishHash(state: u32, tail: u32, keyBytes: u32): u32 {
	let hash = state ^ (rotl(tail * C1, 15) * C2) ^ keyBytes
	hash = (hash ^ (hash >> 16)) * 0x85ebca6b
	hash = (hash ^ (hash >> 13)) * 0xc2b2ae35
	return hash ^ (hash >> 16)
}
