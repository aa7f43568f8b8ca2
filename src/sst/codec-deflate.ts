/**
 * Raw DEFLATE (RFC 1951) at level 1: Node's zlib, or fflate on a platform without it. Both read what the other wrote.
 */
import { deflateSync as fflateDeflate, inflateSync as fflateInflate } from 'fflate'
import { nodeZlib } from '../bytes/node-zlib.ts'
import type { Codec } from './codec.ts'

const SIZE_BYTES = 4
/** Level 1: higher levels cost twice the time for a few per cent on blocks of this size. */
const LEVEL = 1

export const fflateDeflateCodec: Codec = {
	name: 'deflate',
	id: 1,
	compress(raw) {
		return fflateDeflate(raw, { level: LEVEL })
	},
	decompress(sized, rawBytes) {
		const raw = new Uint8Array(rawBytes)
		// fflate never grows a buffer that it was given: what does not fit is cut off, so one byte more tells the two apart.
		const result = fflateInflate(sized.subarray(SIZE_BYTES), { out: new Uint8Array(rawBytes + 1) })
		if (result.length !== rawBytes) throw new Error(`deflate gave ${result.length} bytes of ${rawBytes}`)
		raw.set(result)
		return raw
	},
}

function zlibDeflateCodec(zlib: typeof import('node:zlib')): Codec {
	return {
		...fflateDeflateCodec,
		compress(raw) {
			return zlib.deflateRawSync(raw, { level: LEVEL })
		},
		decompress(sized, rawBytes) {
			const payload = sized.subarray(SIZE_BYTES)
			// zlib wants an output limit of at least 1; one chunk that holds everything saves the joining of several.
			const chunkSize = Math.max(64, rawBytes)
			const raw = zlib.inflateRawSync(payload, { maxOutputLength: Math.max(1, rawBytes), chunkSize })
			if (raw.length !== rawBytes) throw new Error(`deflate gave ${raw.length} bytes of ${rawBytes}`)
			return raw
		},
	}
}

export const deflateCodec: Codec = nodeZlib === undefined ? fflateDeflateCodec : zlibDeflateCodec(nodeZlib)
