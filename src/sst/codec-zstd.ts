/** Zstandard frames (RFC 8878) at level 1, through Node's zlib (22.15 and later). */
import { nodeZlib } from '../bytes/node-zlib.ts'
import { IsleError } from '../errors.ts'
import type { Codec } from './codec.ts'
import { fill } from './codec-fill.ts'

const SIZE_BYTES = 4
const LEVEL = 1

function zlibWithZstd(): typeof import('node:zlib') {
	// Older Node has zlib without these functions.
	if (nodeZlib === undefined || typeof nodeZlib.zstdCompressSync !== 'function') {
		throw new IsleError('ISLE_UNSUPPORTED', 'codec `zstd` needs Node.js 22.15 or newer')
	}
	return nodeZlib
}

export const zstdCodec: Codec = {
	name: 'zstd',
	id: 3,
	// A block of one repeated byte: 128 KiB in 4 bytes.
	expansionMax: 32_768,
	compress(raw) {
		const zlib = zlibWithZstd()
		return zlib.zstdCompressSync(raw, { params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL } })
	},
	decompress(sized, raw) {
		// A chunk that is not filled to its end saves zlib a second one.
		const limits = { maxOutputLength: Math.max(1, raw.length), chunkSize: Math.max(64, raw.length + 1) }
		fill(raw, zlibWithZstd().zstdDecompressSync(sized.subarray(SIZE_BYTES), limits))
	},
}
