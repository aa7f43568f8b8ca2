/**
 * Builds the blocks of the output one at a time, as `BlockBuilder` of src/sst/block-builder.ts does: the same guesses, the same
 * bytes. The entries are put where they stay: `encode` writes the columns behind them, header and prefix before them.
 */
import {
	BLOCK_BYTES,
	DATA,
	ENDS,
	EXPIRIES,
	HASHES,
	KINDS,
	MADE_AT,
	MADE_BYTES,
	MADE_COUNT,
	MADE_DATA_BYTES,
	MADE_HAS_IMMORTAL,
	MADE_MAX_EXPIRES_AT,
	MADE_MAX_SEQ,
	MADE_MIN_SEQ,
	MADE_PREFIX_BYTES,
	MADE_TOMBSTONES,
	PREFIX,
	SEQS,
	SLOT_PREFIX,
	SLOT_PREFIX_BYTES,
	SLOT_PREFIX_HASH,
	SLOT_SEQS,
	STATE_START,
	VALUE_AT,
	VALUE_BYTES,
} from '../src/sst/kernel-layout'
import { copy, hashOf, sharedOf, suffixStart, valueStart } from './entry-bytes'

const HEADER_BYTES: i32 = 20
const MIN_EXPIRY_BYTES: i32 = 8
const NARROW_MAX_BYTES: i32 = 0xffff
/** Estimate of the columns of one entry: that of `BlockBuilder`. */
const COLUMN_BYTES: i32 = 8
const NO_GUESS: i32 = i32.MAX_VALUE

let prefix: usize = 0
let data: usize = 0
let ends: usize = 0
let seqs: usize = 0
let expiries: usize = 0
let kinds: usize = 0
let hashes: usize = 0
let blockBytes: i32 = 0

let count: i32 = 0
let dataBytes: i32 = 0
let prefixBytes: i32 = 0
let commonBytes: i32 = 0
let guessBytes: i32 = NO_GUESS
let sharedBytes: i32 = 0
let hasExpiry: bool = false

/** Reads what the caller has set; the next table begins. */
export function beginTable(): void {
	prefix = load<usize>(STATE_START, PREFIX)
	data = load<usize>(STATE_START, DATA)
	ends = load<usize>(STATE_START, ENDS)
	seqs = load<usize>(STATE_START, SEQS)
	expiries = load<usize>(STATE_START, EXPIRIES)
	kinds = load<usize>(STATE_START, KINDS)
	hashes = load<usize>(STATE_START, HASHES)
	blockBytes = load<i32>(STATE_START, BLOCK_BYTES)
	count = 0
	dataBytes = 0
	prefixBytes = 0
	commonBytes = 0
	guessBytes = NO_GUESS
	hasExpiry = false
}

export function isEmpty(): bool {
	return count === 0
}

/** Estimated raw size of the block at hand. */
export function estimatedBytes(): i32 {
	return HEADER_BYTES + prefixBytes + dataBytes + count * COLUMN_BYTES
}

/** True when the block at hand is begun, and would be a small one if it ended now. */
export function wouldEndSmall(): bool {
	return count > 0 && estimatedBytes() * 2 < blockBytes
}

/** Negative, zero or positive as a key, in parts as `sharedOf` says, is smaller than, equal to or larger than the last one. */
export function compareToLast(source: usize, split: i32, suffix: usize, keyBytes: i32): i32 {
	const lastStart = count === 1 ? 0 : load<i32>(ends + ((<usize>count) << 3) - 12)
	const lastSuffix = data + lastStart - prefixBytes
	const lastBytes = prefixBytes + load<i32>(ends + ((<usize>count) << 3) - 8) - lastStart
	const common = min(lastBytes, keyBytes)
	const shared = sharedOf(source, split, suffix, prefix, prefixBytes, lastSuffix, common)
	sharedBytes = shared
	if (shared === common) return keyBytes - lastBytes
	return (
		i32(load<u8>((shared < split ? source : suffix) + shared)) -
		i32(load<u8>((shared < prefixBytes ? prefix : lastSuffix) + shared))
	)
}

/** Whether the key that was compared to the last one, and a value, have a place in this block. */
export function fits(keyBytes: i32, valueBytes: i32): bool {
	const stays = min(prefixBytes, sharedBytes)
	const moved = (prefixBytes - stays) * count
	return estimatedBytes() + moved + COLUMN_BYTES + keyBytes - stays + valueBytes <= blockBytes
}

/** What the key that was compared to the last one shares with it. */
export function sharedWithLast(): i32 {
	return sharedBytes
}

export function lastSeq(): f64 {
	return load<f64>(seqs + ((<usize>count) << 3) - 8)
}

/** 0: the key of entry `at` of `slot` is not larger than the last one. 1: the entry has no place in this block. 2: it has. */
export function relate(slot: usize, at: i32, valueBytes: i32): i32 {
	const split = load<i32>(slot, SLOT_PREFIX_BYTES)
	const start = suffixStart(slot, at)
	const keyBytes = split + i32(valueStart(slot, at) - start)
	if (compareToLast(load<usize>(slot, SLOT_PREFIX), split, start - split, keyBytes) <= 0) return 0
	return fits(keyBytes, valueBytes) ? 2 : 1
}

/** Appends entry `at` of `slot`, which was related to the last one unless the block is empty, with this kind and value. */
export function append(slot: usize, at: i32, kind: i32, expiresAtMs: f64, valueBytes: i32): void {
	const split = load<i32>(slot, SLOT_PREFIX_BYTES)
	const source = load<usize>(slot, SLOT_PREFIX)
	const start = suffixStart(slot, at)
	const suffixBytes = i32(valueStart(slot, at) - start)
	if (count === 0) {
		begin(source, split, start, suffixBytes)
	} else {
		joinLast()
	}
	const entryBytes = suffixBytes + valueBytes
	let end = dataBytes
	if (prefixBytes >= split) {
		const left = prefixBytes - split
		copy(data + end, start + left, entryBytes - left)
		end += entryBytes - left
	} else {
		const rest = split - prefixBytes
		copy(data + end, source + prefixBytes, rest)
		copy(data + end + rest, start, entryBytes)
		end += rest + entryBytes
	}
	store<u32>(hashes + ((<usize>count) << 2), hashOf(slot, at, load<u32>(slot, SLOT_PREFIX_HASH)))
	const seq = load<f64>(load<usize>(slot, SLOT_SEQS) + ((<usize>at) << 3))
	finishEntry(end, seq, kind, expiresAtMs, valueBytes)
}

/** The block at hand, which is empty, will have its entries from `at` on; `headBytesOf` its first key are free before. */
export function placeData(at: usize): void {
	data = at
}

/** What header and prefix of a block take at most whose first key is so long. */
export function headBytesOf(keyBytes: i32): i32 {
	return HEADER_BYTES + MIN_EXPIRY_BYTES + min(keyBytes, guessBytes)
}

/** Appends an entry whose key stands in one piece and was compared to the last one (unless the block is empty). */
export function appendWhole(
	key: usize,
	keyBytes: i32,
	value: usize,
	valueBytes: i32,
	seq: f64,
	kind: i32,
	expiresAtMs: f64,
): void {
	if (count === 0) begin(key, keyBytes, 0, 0)
	else joinLast()
	const left = key + prefixBytes
	const suffixBytes = keyBytes - prefixBytes
	const target = data + dataBytes
	if (left + suffixBytes === value) {
		copy(target, left, suffixBytes + valueBytes)
	} else {
		copy(target, left, suffixBytes)
		copy(target + suffixBytes, value, valueBytes)
	}
	finishEntry(dataBytes + suffixBytes + valueBytes, seq, kind, expiresAtMs, valueBytes)
}

/** The prefix becomes what the key that is to be appended shares with all before it. */
function joinLast(): void {
	if (sharedBytes < prefixBytes) shortenPrefix(sharedBytes)
	if (sharedBytes < commonBytes) commonBytes = sharedBytes
}

/** The bytes of an entry have been copied and end at `end`. */
function finishEntry(end: i32, seq: f64, kind: i32, expiresAtMs: f64, valueBytes: i32): void {
	const i = <usize>count
	store<i32>(ends + (i << 3), end - valueBytes)
	store<i32>(ends + (i << 3), end, 4)
	store<f64>(seqs + (i << 3), seq)
	store<f64>(expiries + (i << 3), expiresAtMs)
	store<u8>(kinds + i, u8(kind))
	if (expiresAtMs !== 0) hasExpiry = true
	dataBytes = end
	count++
}

/** Names the value of the last entry to the caller. */
export function showValue(valueBytes: i32): void {
	store<usize>(STATE_START, data + dataBytes - valueBytes, VALUE_AT)
	store<i32>(STATE_START, valueBytes, VALUE_BYTES)
}

function begin(source: usize, split: i32, start: usize, suffixBytes: i32): void {
	const keyBytes = split + suffixBytes
	prefixBytes = min(keyBytes, guessBytes)
	commonBytes = keyBytes
	copy(prefix, source, min(split, prefixBytes))
	if (prefixBytes > split) copy(prefix + split, start, prefixBytes - split)
}

/** Gives the prefix from `stays` on back to the suffixes, from the last entry to the first. */
function shortenPrefix(stays: i32): void {
	const freed = prefixBytes - stays
	for (let i = count - 1; i >= 0; i--) {
		const at = ends + ((<usize>i) << 3)
		const start = i === 0 ? 0 : load<i32>(at - 4)
		const end = load<i32>(at, 4)
		const to = data + start + freed * i
		memory.copy(to + freed, data + start, end - start)
		memory.copy(to, prefix + stays, freed)
		store<i32>(at, load<i32>(at) + freed * (i + 1))
		store<i32>(at, end + freed * (i + 1), 4)
	}
	dataBytes += freed * count
	prefixBytes = stays
}

/** Bytes that a number takes: 0 for 0. */
function byteWidth(value: u64): i32 {
	return value === 0 ? 0 : (71 - i32(clz(value))) >> 3
}

/** Writes 8 bytes, of which the first `width` count: those behind them are written afterwards, or are no part of the block. */
function writeUint(at: usize, value: u64): void {
	store<u64>(at, value)
}

/** Makes the raw block of the entries so far, tells the caller about it, and forgets them. */
export function encodeBlock(): void {
	let minSeq = load<f64>(seqs)
	let maxSeq = minSeq
	let minExpiresAtMs: f64 = Infinity
	let maxExpiresAtMs: f64 = 0
	let tombstones = 0
	let isMixed = false
	let hasImmortal = false
	const kind = load<u8>(kinds)
	for (let i: usize = 0; i < <usize>count; i++) {
		const seq = load<f64>(seqs + (i << 3))
		minSeq = min(minSeq, seq)
		maxSeq = max(maxSeq, seq)
		const own = load<u8>(kinds + i)
		if (own !== kind) isMixed = true
		if (own === 0) tombstones++
		const expiresAtMs = load<f64>(expiries + (i << 3))
		if (expiresAtMs === 0) hasImmortal = true
		else minExpiresAtMs = min(minExpiresAtMs, expiresAtMs)
		maxExpiresAtMs = max(maxExpiresAtMs, expiresAtMs)
	}
	const seqWidth = byteWidth(u64(maxSeq - minSeq))
	const expiryWidth = hasExpiry ? byteWidth(u64(maxExpiresAtMs - minExpiresAtMs + 1)) : 0
	const isWide = dataBytes > NARROW_MAX_BYTES
	const headBytes = HEADER_BYTES + (hasExpiry ? MIN_EXPIRY_BYTES : 0)
	const at = data - prefixBytes - headBytes
	store<u8>(at, (isWide ? 1 : 0) | (isMixed ? 2 : 0))
	store<u8>(at, isMixed ? 0 : kind, 1)
	store<u8>(at, u8(seqWidth), 2)
	store<u8>(at, u8(expiryWidth), 3)
	store<u32>(at, count, 4)
	store<u32>(at, prefixBytes, 8)
	store<u64>(at, u64(minSeq), 12)
	if (hasExpiry) store<u64>(at, u64(minExpiresAtMs), 20)
	memory.copy(data - prefixBytes, prefix, prefixBytes)
	let position = writeEnds(data + dataBytes, isWide)
	for (let i: usize = 0; i < <usize>count; i++) {
		writeUint(position, u64(load<f64>(seqs + (i << 3)) - minSeq))
		position += seqWidth
	}
	if (hasExpiry) {
		for (let i: usize = 0; i < <usize>count; i++) {
			const expiresAtMs = load<f64>(expiries + (i << 3))
			writeUint(position, expiresAtMs === 0 ? 0 : u64(expiresAtMs - minExpiresAtMs + 1))
			position += expiryWidth
		}
	}
	if (isMixed) {
		memory.copy(position, kinds, count)
		position += count
	}
	store<usize>(STATE_START, at, MADE_AT)
	store<i32>(STATE_START, i32(position - at), MADE_BYTES)
	store<i32>(STATE_START, count, MADE_COUNT)
	store<i32>(STATE_START, tombstones, MADE_TOMBSTONES)
	store<i32>(STATE_START, hasImmortal ? 1 : 0, MADE_HAS_IMMORTAL)
	store<i32>(STATE_START, prefixBytes, MADE_PREFIX_BYTES)
	store<i32>(STATE_START, dataBytes, MADE_DATA_BYTES)
	store<f64>(STATE_START, minSeq, MADE_MIN_SEQ)
	store<f64>(STATE_START, maxSeq, MADE_MAX_SEQ)
	store<f64>(STATE_START, maxExpiresAtMs, MADE_MAX_EXPIRES_AT)
	if (count > 1) guessBytes = commonBytes
	count = 0
	dataBytes = 0
	hasExpiry = false
}

/** Writes the ends of suffixes and values and returns where they end. */
function writeEnds(at: usize, isWide: bool): usize {
	const total = (<usize>count) << 1
	if (isWide) {
		memory.copy(at, ends, total << 2)
		return at + (total << 2)
	}
	for (let i: usize = 0; i < total; i++) store<u16>(at + (i << 1), u16(load<u32>(ends + (i << 2))))
	return at + (total << 1)
}
