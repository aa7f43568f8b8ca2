/**
 * LZ4 blocks: the native addon `lz4-napi` (lz4_flex in safe Rust, prebuilt for the usual platforms) where it loads, and
 * else the kernel in lz4-kernel.ts. Both write and read the same format; they choose different matches, so the bytes of
 * a table may differ with what made it, its meaning never. Blocks of usual sizes are decompressed in WebAssembly.
 *
 * The addon wants the raw size as u32 before the payload, which is exactly how a stored block lies in memory: nothing is
 * copied for it. It allocates what that size says, which the caller has bounded.
 */
import { kernelDecompress } from './block-kernel.ts'
import type { Codec } from './codec.ts'
import { fill } from './codec-fill.ts'
import { lz4Compress, lz4Decompress, lz4MaxBytes } from './lz4-kernel.ts'

const LZ4_ID = 2
/** A further byte of a length adds 255. */
const EXPANSION_MAX = 255
const SIZE_BYTES = 4
/** Below these a call into the addon (2 to 3 µs) costs more than the kernel needs. */
const NATIVE_COMPRESS_MIN_BYTES = 4096
const NATIVE_DECOMPRESS_MIN_BYTES = 1024

/** What is used of the addon. */
interface Lz4Addon {
	/** The raw size as u32, little-endian, then the block. */
	compressSync(raw: Buffer): Buffer
	uncompressSync(sized: Uint8Array): Buffer
}

/** Output of the kernel, reused from block to block. */
let scratch = new Uint8Array(0)

export const lz4KernelCodec: Codec = {
	name: 'lz4',
	id: LZ4_ID,
	expansionMax: EXPANSION_MAX,
	compress(raw) {
		const maxBytes = lz4MaxBytes(raw.length)
		if (scratch.length < maxBytes) scratch = new Uint8Array(maxBytes)
		return scratch.subarray(0, lz4Compress(raw, 0, raw.length, scratch, 0))
	},
	decompress(sized, raw) {
		if (!lz4Decompress(sized.subarray(SIZE_BYTES), raw)) throw new Error('not an LZ4 block of the declared size')
	},
}

function nativeCodec(addon: Lz4Addon): Codec {
	return {
		name: 'lz4',
		id: LZ4_ID,
		expansionMax: EXPANSION_MAX,
		compress(raw) {
			if (raw.length < NATIVE_COMPRESS_MIN_BYTES) return lz4KernelCodec.compress(raw)
			return addon.compressSync(Buffer.from(raw.buffer, raw.byteOffset, raw.length)).subarray(SIZE_BYTES)
		},
		decompress(sized, raw) {
			if (raw.length < NATIVE_DECOMPRESS_MIN_BYTES) lz4KernelCodec.decompress(sized, raw)
			else fill(raw, addon.uncompressSync(sized))
		},
	}
}

/** The addon, or `undefined` where it is not installed or has no build for this platform. */
function loadAddon(): Lz4Addon | undefined {
	if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return undefined
	try {
		const addon: unknown = process.getBuiltinModule('node:module').createRequire(import.meta.url)('lz4-napi')
		return isLz4Addon(addon) ? addon : undefined
	} catch {
		// Absent or unloadable: the kernel does the same work, at half the speed.
		return undefined
	}
}

function isLz4Addon(addon: unknown): addon is Lz4Addon {
	if (typeof addon !== 'object' || addon === null || !('compressSync' in addon) || !('uncompressSync' in addon)) {
		return false
	}
	return typeof addon.compressSync === 'function' && typeof addon.uncompressSync === 'function'
}

const addon = loadAddon()

/** `undefined` where the addon is not there. */
export const lz4NativeCodec: Codec | undefined = addon === undefined ? undefined : nativeCodec(addon)

const fastest = lz4NativeCodec ?? lz4KernelCodec

/** Decompresses in WebAssembly where it can: twice as fast as the addon, which makes a Buffer for each block. */
export const lz4Codec: Codec = {
	...fastest,
	decompress(sized, raw) {
		const isRaw = kernelDecompress(sized.subarray(SIZE_BYTES), raw)
		if (isRaw === undefined) fastest.decompress(sized, raw)
		else if (!isRaw) throw new Error('not an LZ4 block of the declared size')
	},
}
