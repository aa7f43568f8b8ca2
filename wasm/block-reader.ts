/**
 * Opens a raw block (layout: src/sst/block-format.ts) in a slot: positions, sequence numbers and heads of its entries, after
 * the same checks as `Block` of src/sst/block.ts makes.
 */
import {
	SLOT_AT,
	SLOT_BLOCK,
	SLOT_END,
	SLOT_EXPIRIES,
	SLOT_EXPIRY_WIDTH,
	SLOT_HEADS,
	SLOT_KIND,
	SLOT_KINDS,
	SLOT_LENGTH,
	SLOT_MIN_EXPIRES_AT,
	SLOT_POSITIONS,
	SLOT_PREFIX,
	SLOT_PREFIX_BYTES,
	SLOT_PREFIX_HASH,
	SLOT_SEQS,
} from '../src/sst/kernel-layout'
import { compareKeys, hashLanes, KEY_MAX_BYTES, suffixStart, valueStart } from './entry-bytes'

const HEADER_BYTES: i64 = 20
const MIN_EXPIRY_BYTES: i64 = 8
const FLAG_WIDE: u8 = 1
const FLAG_KINDS: u8 = 2
const KIND_MAX: u8 = 2
const SAFE_MAX: u64 = 9007199254740991

/** The low `width` bytes (0 to 7) at `at`, little-endian. Reads 8, which there are everywhere. */
export function readUint(at: usize, width: i32): u64 {
	return load<u64>(at) & ((u64(1) << (8 * width)) - 1)
}

/** 0 when the block of `slot` is damaged, 1 when it is sound, 2 when some key of it has several versions. */
export function openBlock(slot: usize, sharedBytes: i32): i32 {
	const bytes = load<usize>(slot, SLOT_BLOCK)
	const length = i64(load<u32>(slot, SLOT_LENGTH))
	if (length < HEADER_BYTES) return 0
	const flags = load<u8>(bytes)
	const kind = load<u8>(bytes, 1)
	const seqWidth = i32(load<u8>(bytes, 2))
	const expiryWidth = i32(load<u8>(bytes, 3))
	const count = i64(load<u32>(bytes, 4))
	const prefixBytes = i64(load<u32>(bytes, 8))
	if ((flags & ~(FLAG_WIDE | FLAG_KINDS)) !== 0 || seqWidth > 7 || expiryWidth > 7) return 0
	if (kind > KIND_MAX || load<u8>(bytes, 19) !== 0 || count === 0 || prefixBytes > i64(KEY_MAX_BYTES)) return 0
	const prefixStart = HEADER_BYTES + (expiryWidth > 0 ? MIN_EXPIRY_BYTES : 0)
	const isWide = (flags & FLAG_WIDE) !== 0
	const hasKinds = (flags & FLAG_KINDS) !== 0
	const dataStart = prefixStart + prefixBytes
	const endWidth: i64 = isWide ? 4 : 2
	const endsStart = length - count * (2 * endWidth + seqWidth + expiryWidth + (hasKinds ? 1 : 0))
	if (dataStart > endsStart || (expiryWidth > 0 && load<u8>(bytes, 27) !== 0)) return 0
	const seqStart = bytes + usize(endsStart + count * 2 * endWidth)
	const expiryStart = seqStart + usize(count) * seqWidth
	const kindStart = expiryStart + usize(count) * expiryWidth
	const minExpiresAtMs = expiryWidth > 0 ? readUint(bytes + 20, 7) : 0
	store<usize>(slot, bytes + usize(prefixStart), SLOT_PREFIX)
	store<i32>(slot, i32(prefixBytes), SLOT_PREFIX_BYTES)
	store<i32>(slot, i32(kind), SLOT_KIND)
	store<usize>(slot, hasKinds ? kindStart : 0, SLOT_KINDS)
	store<usize>(slot, expiryStart, SLOT_EXPIRIES)
	store<i32>(slot, expiryWidth, SLOT_EXPIRY_WIDTH)
	store<u64>(slot, minExpiresAtMs, SLOT_MIN_EXPIRES_AT)
	store<u32>(slot, hashLanes(bytes + usize(prefixStart), i32(prefixBytes)), SLOT_PREFIX_HASH)
	store<i32>(slot, 0, SLOT_AT)
	store<i32>(slot, i32(count), SLOT_END)
	if (!readPositions(slot, bytes + usize(endsStart), u32(dataStart), u32(endsStart), isWide, u32(count))) return 0
	if (!readSeqs(slot, seqStart, seqWidth, readUint(bytes + 12, 7), i32(count))) return 0
	if (!areSafe(expiryStart, expiryWidth, minExpiresAtMs, i32(count))) return 0
	if (hasKinds) {
		for (let i: usize = 0; i < usize(count); i++) if (load<u8>(kindStart + i) > KIND_MAX) return 0
	}
	readHeads(slot, i32(count), sharedBytes)
	return checkOrder(slot, i32(count), KEY_MAX_BYTES - i32(prefixBytes), sharedBytes <= i32(prefixBytes))
}

function readPositions(slot: usize, ends: usize, dataStart: u32, dataEnd: u32, isWide: bool, count: u32): bool {
	const positions = load<usize>(slot, SLOT_POSITIONS)
	store<u32>(positions, dataStart)
	let before = dataStart
	const room = dataEnd - dataStart
	for (let i: u32 = 0; i < 2 * count; i++) {
		const end = isWide ? load<u32>(ends + 4 * i) : u32(load<u16>(ends + 2 * i))
		const position = dataStart + end
		if (end > room || position < before) return false
		store<u32>(positions + 4 * i, position, 4)
		before = position
	}
	return before === dataEnd
}

function readSeqs(slot: usize, start: usize, width: i32, minSeq: u64, count: i32): bool {
	const seqs = load<usize>(slot, SLOT_SEQS)
	let at = start
	for (let i = 0; i < count; i++) {
		const seq = minSeq + readUint(at, width)
		if (seq > SAFE_MAX) return false
		store<f64>(seqs + ((<usize>i) << 3), f64(seq))
		at += width
	}
	return true
}

function areSafe(start: usize, width: i32, minExpiresAtMs: u64, count: i32): bool {
	if (width === 0 || minExpiresAtMs + (u64(1) << (8 * width)) <= SAFE_MAX) return true
	for (let i = 0; i < count; i++) {
		const stored = readUint(start + usize(i * width), width)
		if (stored !== 0 && minExpiresAtMs + stored - 1 > SAFE_MAX) return false
	}
	return true
}

/** Of each key the six bytes behind the first `sharedBytes`, as a number; zeros past its end. */
function readHeads(slot: usize, count: i32, sharedBytes: i32): void {
	const heads = load<usize>(slot, SLOT_HEADS)
	const prefix = load<usize>(slot, SLOT_PREFIX)
	const prefixBytes = load<i32>(slot, SLOT_PREFIX_BYTES)
	const inPrefix = max(0, min(6, prefixBytes - sharedBytes))
	const skip = max(0, sharedBytes - prefixBytes)
	let top: u64 = 0
	for (let i = 0; i < inPrefix; i++) top = (top << 8) | u64(load<u8>(prefix + sharedBytes + i))
	const rest = 6 - inPrefix
	top <<= 8 * rest
	for (let i = 0; i < count; i++) {
		const start = suffixStart(slot, i) + skip
		const end = valueStart(slot, i)
		let head = top
		if (start + 8 <= end) {
			// Eight bytes are there; the first `rest` of them count.
			if (rest !== 0) head |= bswap(load<u64>(start)) >> (64 - 8 * rest)
		} else {
			for (let j = 0; j < rest; j++) {
				if (start + j < end) head |= u64(load<u8>(start + j)) << (8 * (rest - 1 - j))
			}
		}
		store<f64>(heads + ((<usize>i) << 3), f64(head))
	}
}

/** As `openBlock`. With `headsDecide` two keys of unlike heads are ordered as their heads are. */
function checkOrder(slot: usize, count: i32, suffixMaxBytes: i32, headsDecide: bool): i32 {
	const heads = load<usize>(slot, SLOT_HEADS)
	const seqs = load<usize>(slot, SLOT_SEQS)
	const hasPrefix = load<i32>(slot, SLOT_PREFIX_BYTES) > 0
	let result = 1
	let before: f64 = -1
	for (let i = 0; i < count; i++) {
		const suffixBytes = i32(valueStart(slot, i) - suffixStart(slot, i))
		if (suffixBytes > suffixMaxBytes || (!hasPrefix && suffixBytes === 0)) return 0
		const head = load<f64>(heads + ((<usize>i) << 3))
		if (i > 0 && !(headsDecide && before < head)) {
			const order = headsDecide && before > head ? 1 : compareKeys(slot, i - 1, slot, i)
			if (order > 0) return 0
			if (order === 0) {
				const at = seqs + ((<usize>i) << 3)
				if (load<f64>(at - 8) <= load<f64>(at)) return 0
				result = 2
			}
		}
		before = head
	}
	return result
}
