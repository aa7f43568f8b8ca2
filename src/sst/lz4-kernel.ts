/**
 * The LZ4 block format in TypeScript (format: lz4_Block_format.md of the LZ4 project), for where the native addon is not.
 *
 * A block is a list of sequences: token (high nibble literals, low nibble match length − 4; 15 means that bytes of 255
 * and a last one below 255 follow), literals, u16 distance back (1 … 65,535). The last sequence has literals only; the
 * last five bytes are literals, and no match begins in the last twelve.
 *
 * `lz4Decompress` is safe on hostile bytes: it never reads outside the payload, never writes outside the target, and
 * returns false unless it has filled the target exactly and used the payload up.
 */
import { copyRange } from '../bytes/copy.ts'

const MIN_MATCH = 4
/** No match begins here or later: a rule of the format. */
const MATCH_LIMIT_BYTES = 12
const LAST_LITERALS_BYTES = 5
const MAX_DISTANCE = 65_535
/** 4,096 entries: 16 KiB, which stays in the first-level cache beside a block. */
const TABLE_BITS = 12
/** After 2^6 misses in a row the search strides faster: incompressible data costs little. */
const SKIP_BITS = 6

/** Scratch of the compressor; the kernel is synchronous, so one per thread is enough. Holds position + 1. */
const table = new Uint32Array(1 << TABLE_BITS)

/** The largest result for `rawBytes` of input that cannot be compressed. */
export function lz4MaxBytes(rawBytes: number): number {
	return rawBytes + Math.floor(rawBytes / 255) + 16
}

/**
 * Compresses `source[start, end)` into `target` at `at` and returns how many bytes that took. `target` has room for
 * `lz4MaxBytes(end - start)` there.
 */
export function lz4Compress(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
	const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
	const matchLimit = end - MATCH_LIMIT_BYTES
	const copyLimit = end - LAST_LITERALS_BYTES
	let out = at
	let anchor = start
	let position = start
	let misses = 1 << SKIP_BITS
	table.fill(0)
	while (position < matchLimit) {
		const lane = view.getInt32(position, true)
		const slot = Math.imul(lane, 0x9e3779b1) >>> (32 - TABLE_BITS)
		const candidate = (table[slot] as number) - 1
		table[slot] = position + 1
		// Candidates lie at or after `start`, because the table began empty.
		if (candidate < 0 || position - candidate > MAX_DISTANCE || view.getInt32(candidate, true) !== lane) {
			position += misses++ >>> SKIP_BITS
			continue
		}
		misses = 1 << SKIP_BITS
		let from = candidate
		while (position > anchor && from > start && source[position - 1] === source[from - 1]) {
			position--
			from--
		}
		let matchEnd = position + MIN_MATCH
		let fromEnd = from + MIN_MATCH
		while (matchEnd <= copyLimit - 4 && view.getInt32(matchEnd, true) === view.getInt32(fromEnd, true)) {
			matchEnd += 4
			fromEnd += 4
		}
		while (matchEnd < copyLimit && source[matchEnd] === source[fromEnd]) {
			matchEnd++
			fromEnd++
		}
		out = writeLiterals(source, anchor, position - anchor, matchEnd - position - MIN_MATCH, target, out)
		const distance = position - from
		target[out] = distance
		target[out + 1] = distance >>> 8
		out = writeLength(matchEnd - position - MIN_MATCH, target, out + 2)
		position = matchEnd
		anchor = matchEnd
		if (position < matchLimit) {
			// A position inside the match: long repeats are found again from there.
			const inside = position - 2
			table[Math.imul(view.getInt32(inside, true), 0x9e3779b1) >>> (32 - TABLE_BITS)] = inside + 1
		}
	}
	return writeLiterals(source, anchor, end - anchor, 0, target, out) - at
}

/** The token of a sequence and its literals; returns where they end. */
function writeLiterals(
	source: Uint8Array,
	from: number,
	count: number,
	matchRest: number,
	target: Uint8Array,
	at: number,
): number {
	target[at] = (Math.min(count, 15) << 4) | Math.min(matchRest, 15)
	const out = writeLength(count, target, at + 1)
	copyRange(source, from, count, target, out)
	return out + count
}

/** What a length of 15 or more does not fit into its nibble; returns where it ends. */
function writeLength(length: number, target: Uint8Array, at: number): number {
	if (length < 15) return at
	let out = at
	let left = length - 15
	for (; left >= 255; left -= 255) target[out++] = 255
	target[out++] = left
	return out
}

/** Decompresses the whole of `payload` into the whole of `target`; false when the payload is not exactly that. */
export function lz4Decompress(payload: Uint8Array, target: Uint8Array): boolean {
	const inEnd = payload.length
	const outEnd = target.length
	let at = 0
	let out = 0
	while (at < inEnd) {
		const token = payload[at++] as number
		let literals = token >>> 4
		if (literals === 15) {
			let byte = 255
			while (byte === 255 && at < inEnd) {
				byte = payload[at++] as number
				literals += byte
			}
			if (byte === 255) return false
		}
		if (literals > inEnd - at || literals > outEnd - out) return false
		copyRange(payload, at, literals, target, out)
		at += literals
		out += literals
		if (at === inEnd) return out === outEnd
		if (inEnd - at < 2) return false
		const distance = (payload[at] as number) | ((payload[at + 1] as number) << 8)
		at += 2
		if (distance === 0 || distance > out) return false
		let length = token & 15
		if (length === 15) {
			let byte = 255
			while (byte === 255 && at < inEnd) {
				byte = payload[at++] as number
				length += byte
			}
			if (byte === 255) return false
		}
		length += MIN_MATCH
		if (length > outEnd - out) return false
		const from = out - distance
		// A match may overlap what it makes: only a loop, byte by byte, repeats it as the format wants.
		if (distance >= length) copyRange(target, from, length, target, out)
		else for (let i = 0; i < length; i++) target[out + i] = target[from + i] as number
		out += length
	}
	// An empty payload, or one that ends with a match: the format ends with literals.
	return false
}
