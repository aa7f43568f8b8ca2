/**
 * Raw DEFLATE (RFC 1951) at level 1: Node's zlib, or fflate on a platform without it. Both read what the other wrote.
 */
import { deflateSync as fflateDeflate, inflateSync as fflateInflate } from 'fflate'
import { nodeZlib } from '../bytes/node-zlib.ts'
import type { Codec } from './codec.ts'
import { fill } from './codec-fill.ts'

const SIZE_BYTES = 4
/** Level 1: higher levels cost twice the time for a few per cent on blocks of this size. */
const LEVEL = 1

export const fflateDeflateCodec: Codec = {
	name: 'deflate',
	id: 1,
	// 258 bytes by a length and a distance of one bit each.
	expansionMax: 1032,
	compress(raw) {
		return fflateDeflate(raw, { level: LEVEL })
	},
	decompress(sized, raw) {
		// fflate never grows a buffer that it was given: what does not fit is cut off, so one byte more tells the two apart.
		fill(raw, fflateInflate(sized.subarray(SIZE_BYTES), { out: new Uint8Array(raw.length + 1) }))
	},
}

function zlibDeflateCodec(zlib: typeof import('node:zlib')): Codec {
	return {
		...fflateDeflateCodec,
		compress(raw) {
			return zlib.deflateRawSync(raw, { level: LEVEL })
		},
		decompress(sized, raw) {
			// A chunk that is not filled to its end saves zlib a second one.
			const limits = { maxOutputLength: Math.max(1, raw.length), chunkSize: Math.max(64, raw.length + 1) }
			fill(raw, zlib.inflateRawSync(sized.subarray(SIZE_BYTES), limits))
		},
	}
}

export const deflateCodec: Codec = nodeZlib === undefined ? fflateDeflateCodec : zlibDeflateCodec(nodeZlib)
