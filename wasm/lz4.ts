/**
 * Decompresses LZ4 blocks, as `lz4Decompress` of src/sst/lz4-kernel.ts does: it takes the same payloads and refuses the same.
 *
 * Sequences are short (a dozen bytes), so bytes move sixteen at a time and too many of them: both ranges need SLACK_BYTES
 * behind them. What is written too much is overwritten by the next sequence, or lies in the slack. Far from the ends, sequences
 * whose lengths stand in their token need no check but that of their distance.
 */
import { SLACK_BYTES } from '../src/sst/kernel-layout'

const MIN_MATCH: u32 = 4
/** A token, fourteen literals read sixteen at a time, and the distance. */
const SHORT_FROM_BYTES: usize = 1 + 16 + 2
/** Fourteen literals and a match of 18, which `repeat` may write as three times eight bytes. */
const SHORT_TO_BYTES: usize = 14 + 24

/** Where the length that a nibble of 15 begins ends; set by `longLength`. */
let lengthEnd: usize = 0

/** The whole of `[from, fromEnd)` into the whole of `[to, toEnd)`; 0 when it is not exactly that. */
export function decompress(from: usize, fromEnd: usize, to: usize, toEnd: usize): i32 {
	let at = from
	let out = to
	while (at < fromEnd) {
		while (usize(fromEnd - at) >= SHORT_FROM_BYTES && usize(toEnd - out) >= SHORT_TO_BYTES) {
			const short = u32(load<u8>(at))
			if (short >= 0xf0 || (short & 15) === 15) break
			v128.store(out, v128.load(at + 1))
			at += 1 + (short >> 4)
			out += short >> 4
			const back = usize(load<u16>(at))
			at += 2
			// Zero wraps around.
			if (back - 1 >= out - to) return 0
			const bytes = MIN_MATCH + (short & 15)
			if (back >= usize(SLACK_BYTES)) {
				v128.store(out, v128.load(out - back))
				store<u16>(out + 16, load<u16>(out - back + 16))
			} else {
				repeat(out, back, bytes)
			}
			out += bytes
		}
		const token = u32(load<u8>(at++))
		let literals = token >> 4
		if (literals === 15) {
			literals = longLength(at, fromEnd)
			if (literals === 0) return 0
			at = lengthEnd
		}
		if (literals > u32(fromEnd - at) || literals > u32(toEnd - out)) return 0
		for (let i: u32 = 0; i < literals; i += SLACK_BYTES) v128.store(out + i, v128.load(at + i))
		at += literals
		out += literals
		if (at === fromEnd) return out === toEnd ? 1 : 0
		if (fromEnd - at < 2) return 0
		const distance = usize(load<u16>(at))
		at += 2
		if (distance === 0 || distance > out - to) return 0
		let length = token & 15
		if (length === 15) {
			length = longLength(at, fromEnd)
			if (length === 0) return 0
			at = lengthEnd
		}
		length += MIN_MATCH
		if (length > u32(toEnd - out)) return 0
		repeat(out, distance, length)
		out += length
	}
	return 0
}

/** 15 and the bytes from `start` on that go on with it; 0 when they do not end. */
function longLength(start: usize, end: usize): u32 {
	let length: u32 = 15
	let at = start
	while (at < end) {
		const byte = u32(load<u8>(at++))
		length += byte
		if (byte !== 255) {
			lengthEnd = at
			return length
		}
	}
	return 0
}

/** Writes at `out` what stands `distance` before it, over and over. */
function repeat(out: usize, distance: usize, length: u32): void {
	const source = out - distance
	if (distance >= usize(SLACK_BYTES)) {
		for (let i: u32 = 0; i < length; i += SLACK_BYTES) v128.store(out + i, v128.load(source + i))
	} else if (distance >= 8) {
		for (let i: u32 = 0; i < length; i += 8) store<u64>(out + i, load<u64>(source + i))
	} else {
		for (let i: u32 = 0; i < length; i++) store<u8>(out + i, load<u8>(source + i))
	}
}
