/**
 * Lays out the keys of entries of a raw block (layout: src/sst/block-format.ts) one after another, and their values, so that each
 * become one text. The block has been checked before.
 */
import { copy } from './entry-bytes'

const HEADER_BYTES: usize = 20
const MIN_EXPIRY_BYTES: usize = 8
const FLAG_WIDE: u8 = 1
const FLAG_KINDS: u8 = 2
const LANE_BYTES: usize = 16

/**
 * Of `count` entries from `first` on, each `step` further, of the block of `length` bytes at `raw`: their keys to
 * `keys`, their values to `values` (0: not wanted), and for each entry where its key and its value end there, to `ends`. Both
 * places have room for `room` bytes. 0 when that is not enough, or when some byte is not ASCII.
 */
export function gatherRows(
	raw: usize,
	length: i32,
	first: i32,
	step: i32,
	count: i32,
	keys: usize,
	values: usize,
	room: i32,
	ends: usize,
): i32 {
	const flags = load<u8>(raw)
	const expiryBytes = usize(load<u8>(raw, 3))
	const entries = usize(load<u32>(raw, 4))
	const prefixBytes = load<u32>(raw, 8)
	const isWide = (flags & FLAG_WIDE) !== 0
	const prefix = raw + HEADER_BYTES + (expiryBytes > 0 ? MIN_EXPIRY_BYTES : 0)
	const data = prefix + prefixBytes
	const kindBytes: usize = (flags & FLAG_KINDS) !== 0 ? 1 : 0
	const endBytes: usize = isWide ? 8 : 4
	const columns = endBytes + usize(load<u8>(raw, 2)) + expiryBytes + kindBytes
	const endsAt = raw + usize(length) - entries * columns
	let keyAt = keys
	let valueAt = values
	let place = ends
	let entry = first
	for (let i = 0; i < count; i++) {
		const start = data + (entry === 0 ? 0 : endOf(endsAt, isWide, 2 * entry - 1))
		const middle = data + endOf(endsAt, isWide, 2 * entry)
		const end = data + endOf(endsAt, isWide, 2 * entry + 1)
		if (keys !== 0) {
			const suffixBytes = u32(middle - start)
			if (keyAt + prefixBytes + suffixBytes > keys + usize(room)) return 0
			copy(keyAt, prefix, prefixBytes)
			copy(keyAt + prefixBytes, start, suffixBytes)
			keyAt += prefixBytes + suffixBytes
		}
		if (values !== 0) {
			const valueBytes = u32(end - middle)
			if (valueAt + valueBytes > values + usize(room)) return 0
			copy(valueAt, middle, valueBytes)
			valueAt += valueBytes
		}
		store<u32>(place, u32(keyAt - keys))
		store<u32>(place, u32(valueAt - values), 4)
		place += 8
		entry += step
	}
	return isAscii(keys, keyAt) && isAscii(values, valueAt) ? 1 : 0
}

function endOf(ends: usize, isWide: bool, i: i32): usize {
	return usize(isWide ? load<u32>(ends + ((<usize>i) << 2)) : u32(load<u16>(ends + ((<usize>i) << 1))))
}

function isAscii(start: usize, end: usize): bool {
	let all = i8x16.splat(0)
	let at = start
	for (; at + LANE_BYTES <= end; at += LANE_BYTES) all = v128.or(all, v128.load(at))
	let rest: u8 = 0
	for (; at < end; at++) rest |= load<u8>(at)
	return i8x16.bitmask(all) === 0 && (rest & 0x80) === 0
}
