/** The widths of a block's columns (layout: block-format.ts), chosen from its entries, and the columns that need them. */
import { copyRange } from '../bytes/copy.ts'
import {
	BLOCK_HEADER_BYTES,
	byteWidth,
	FLAG_KINDS,
	FLAG_WIDE,
	MIN_EXPIRY_BYTES,
	NARROW_MAX_BYTES,
	readUint,
	writeUint,
} from './block-format.ts'

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Memory of `encodeEnds`: never read before it is written. */
let narrow = new Uint16Array(1024)
let narrowBytes = new Uint8Array(narrow.buffer)

/** What is fixed about a block before it is written. */
export interface BlockShape {
	readonly rawBytes: number
	readonly minSeq: number
	readonly minExpiresAtMs: number
	readonly seqWidth: number
	readonly expiryWidth: number
	readonly endWidth: 2 | 4
	readonly hasKinds: boolean
}

/** The entries of a block, column by column; only the first `count` of each array count. */
export interface BlockColumns {
	readonly count: number
	readonly seqs: Float64Array
	readonly kinds: Uint8Array
	/** `undefined` when no entry expires. */
	readonly expiries: Float64Array | undefined
	readonly prefixBytes: number
	readonly dataBytes: number
}

export function measureBlock(columns: BlockColumns): BlockShape {
	const { count, seqs, kinds, expiries } = columns
	let minSeq = seqs[0] as number
	let maxSeq = minSeq
	let hasKinds = false
	for (let i = 1; i < count; i++) {
		const seq = seqs[i] as number
		if (seq < minSeq) minSeq = seq
		else if (seq > maxSeq) maxSeq = seq
		if (kinds[i] !== kinds[0]) hasKinds = true
	}
	let minExpiresAtMs = 0
	let expiryWidth = 0
	if (expiries !== undefined) {
		minExpiresAtMs = Number.POSITIVE_INFINITY
		let maxExpiresAtMs = 0
		for (let i = 0; i < count; i++) {
			const expiresAtMs = expiries[i] as number
			if (expiresAtMs !== 0 && expiresAtMs < minExpiresAtMs) minExpiresAtMs = expiresAtMs
			if (expiresAtMs > maxExpiresAtMs) maxExpiresAtMs = expiresAtMs
		}
		expiryWidth = byteWidth(maxExpiresAtMs - minExpiresAtMs + 1)
	}
	const seqWidth = byteWidth(maxSeq - minSeq)
	const endWidth = columns.dataBytes > NARROW_MAX_BYTES ? 4 : 2
	const head = BLOCK_HEADER_BYTES + (expiryWidth > 0 ? MIN_EXPIRY_BYTES : 0) + columns.prefixBytes
	const entryBytes = 2 * endWidth + seqWidth + expiryWidth + (hasKinds ? 1 : 0)
	const rawBytes = head + columns.dataBytes + count * entryBytes
	return { rawBytes, minSeq, minExpiresAtMs, seqWidth, expiryWidth, endWidth, hasKinds }
}

/** Writes all that stands before the prefix and returns where that ends; `kind` is that of all entries if they have the same. */
export function encodeHeader(
	shape: BlockShape,
	count: number,
	prefixBytes: number,
	kind: number,
	target: Uint8Array,
	at: number,
): number {
	target[at] = (shape.endWidth === 4 ? FLAG_WIDE : 0) | (shape.hasKinds ? FLAG_KINDS : 0)
	target[at + 1] = shape.hasKinds ? 0 : kind
	target[at + 2] = shape.seqWidth
	target[at + 3] = shape.expiryWidth
	writeUint(target, at + 4, 4, count)
	writeUint(target, at + 8, 4, prefixBytes)
	writeUint(target, at + 12, 7, shape.minSeq)
	target[at + 19] = 0
	const end = at + BLOCK_HEADER_BYTES
	if (shape.expiryWidth === 0) return end
	writeUint(target, end, 7, shape.minExpiresAtMs)
	target[end + 7] = 0
	return end + MIN_EXPIRY_BYTES
}

/** Writes `ends[0, count)` and returns where they end. */
export function encodeEnds(ends: Uint32Array, count: number, width: 2 | 4, target: Uint8Array, start: number): number {
	if (width === 4) {
		for (let i = 0; i < count; i++) writeUint(target, start + 4 * i, 4, ends[i] as number)
		return start + 4 * count
	}
	// Two steps, because a store of two bytes at any place is not to be had.
	if (count > narrow.length) {
		narrow = new Uint16Array(count * 2)
		narrowBytes = new Uint8Array(narrow.buffer)
	}
	for (let i = 0; i < count; i++) narrow[i] = ends[i] as number
	if (!IS_LITTLE_ENDIAN) for (let i = 0; i < 2 * count; i += 2) narrowBytes.subarray(i, i + 2).reverse()
	copyRange(narrowBytes, 0, 2 * count, target, start)
	return start + 2 * count
}

/** Writes `values[i] − base` in `width` bytes each and returns where they end. */
export function encodeDeltas(
	values: Float64Array,
	count: number,
	base: number,
	width: number,
	target: Uint8Array,
	start: number,
): number {
	let position = start
	if (width <= 4) {
		// The common case, in unsigned 32-bit arithmetic.
		for (let i = 0; i < count; i++) {
			let delta = (values[i] as number) - base
			for (let j = 0; j < width; j++) {
				target[position++] = delta
				delta >>>= 8
			}
		}
		return position
	}
	for (let i = 0; i < count; i++, position += width) writeUint(target, position, width, (values[i] as number) - base)
	return position
}

/** Writes the expiry column (0 = never) and returns where it ends. */
export function encodeExpiries(
	expiries: Float64Array,
	count: number,
	shape: BlockShape,
	target: Uint8Array,
	start: number,
): number {
	const width = shape.expiryWidth
	let position = start
	for (let i = 0; i < count; i++, position += width) {
		const expiresAtMs = expiries[i] as number
		writeUint(target, position, width, expiresAtMs === 0 ? 0 : expiresAtMs - shape.minExpiresAtMs + 1)
	}
	return position
}

/** How many entries a raw block holds, without a look at the rest of it. */
export function countIn(raw: Uint8Array): number {
	return readUint(raw, 4, 4)
}

/** When entry `i` of a raw block expires, 0 when never, without a look at the rest of it. */
export function expiresAtMsIn(raw: Uint8Array, i: number): number {
	const width = raw[3] as number
	if (width === 0) return 0
	const count = countIn(raw)
	const kindBytes = ((raw[0] as number) & FLAG_KINDS) === 0 ? 0 : count
	const stored = readUint(raw, raw.length - kindBytes - (count - i) * width, width)
	return stored === 0 ? 0 : readUint(raw, BLOCK_HEADER_BYTES, 7) + stored - 1
}
