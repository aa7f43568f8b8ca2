/**
 * The codecs of blocks, by name and by the number that a block stores.
 *
 * A codec works on one block at a time, synchronously, and keeps no state. What it is given to decompress has passed its
 * CRC but is not trusted: a decoder allocates no more than the declared raw size again (which the caller has bounded),
 * and gives exactly that many bytes or throws. It writes into memory of the caller: what zlib and addons return may
 * belong to a pool, or may not be transferred to another thread.
 */
import { IsleError } from '../errors.ts'
import { deflateCodec } from './codec-deflate.ts'
import { lz4Codec } from './codec-lz4.ts'
import { zstdCodec } from './codec-zstd.ts'
import type { CodecName } from './sst-meta.ts'

export interface Codec {
	readonly name: CodecName
	/** Persisted in blocks: never renumber. */
	readonly id: number
	/** One byte of a payload stands for so many raw bytes at most: who declares more lies. */
	readonly expansionMax: number
	/** The compressed form of `raw`, valid until the next call of any codec; `raw` is not kept. */
	compress(raw: Uint8Array): Uint8Array
	/**
	 * Fills `raw` from `sized`, which is the raw size as u32 and the payload after it, as they lie in a stored block.
	 * Throws anything when the payload does not give exactly that many bytes.
	 */
	decompress(sized: Uint8Array, raw: Uint8Array): void
}

/** Persisted: never renumber. Blocks of this codec are their own raw form. */
export const CODEC_NONE = 0

/** `undefined` for `none`. Ids: deflate 1, lz4 2, zstd 3. */
const CODECS: Readonly<Record<CodecName, Codec | undefined>> = {
	none: undefined,
	deflate: deflateCodec,
	lz4: lz4Codec,
	zstd: zstdCodec,
}

export const CODEC_NAMES: readonly CodecName[] = ['none', 'deflate', 'lz4', 'zstd']

function isCodecName(name: string): name is CodecName {
	return Object.hasOwn(CODECS, name)
}

/** `name`, known to be that of a codec. @throws ISLE_UNSUPPORTED for one that is not known. */
export function checkCodecName(name: string): CodecName {
	if (isCodecName(name)) return name
	throw new IsleError('ISLE_UNSUPPORTED', `unknown codec \`${name}\`: this version knows ${CODEC_NAMES.join(', ')}`)
}

/** The codec of that name; `undefined` for `none`. @throws ISLE_UNSUPPORTED for a name that is not known. */
export function codecByName(name: string): Codec | undefined {
	return CODECS[checkCodecName(name)]
}

/** The codec with that number; `undefined` for `none`. @throws ISLE_UNSUPPORTED for a number that is not known. */
export function codecById(id: number, where: string): Codec | undefined {
	if (id === CODEC_NONE) return undefined
	for (const name of CODEC_NAMES) if (CODECS[name]?.id === id) return CODECS[name]
	throw new IsleError('ISLE_UNSUPPORTED', `unknown codec number ${id} in \`${where}\`: a newer version wrote it`, {
		details: { where },
	})
}
