/**
 * LZ4 blocks: the native addon `lz4-napi` (lz4_flex, safe Rust, prebuilt for the usual platforms) where it loads, and
 * else the kernel in lz4-kernel.ts. Both make and read the same format; which one ran cannot be told from the table's
 * meaning, only from its bytes (two compressors choose different matches).
 *
 * The addon wants the raw size as u32 before the payload, which is exactly how a stored block lies in memory: nothing is
 * copied for it.
 */
import type { Codec } from './codec.ts'
import { lz4Compress, lz4Decompress, lz4MaxBytes } from './lz4-kernel.ts'

const SIZE_BYTES = 4

/** Output of the kernel, reused from block to block. */
let scratch = new Uint8Array(0)

export const lz4KernelCodec: Codec = {
	name: 'lz4',
	id: 2,
	compress(raw) {
		const maxBytes = lz4MaxBytes(raw.length)
		if (scratch.length < maxBytes) scratch = new Uint8Array(maxBytes)
		return scratch.subarray(0, lz4Compress(raw, 0, raw.length, scratch, 0))
	},
	decompress(sized, rawBytes) {
		const raw = new Uint8Array(rawBytes)
		if (!lz4Decompress(sized.subarray(SIZE_BYTES), raw)) throw new Error('not an LZ4 block of the declared size')
		return raw
	},
}

export const lz4Codec: Codec = lz4KernelCodec
