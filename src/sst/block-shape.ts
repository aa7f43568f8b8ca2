/** The widths of a block's columns (layout: block-format.ts), chosen from its entries, and the columns that need them. */
import { BLOCK_HEADER_BYTES, byteWidth, MIN_EXPIRY_BYTES, NARROW_MAX_BYTES, writeUint } from './block-format.ts'

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
