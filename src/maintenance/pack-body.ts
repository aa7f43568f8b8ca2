/** The bytes of a blob pack that is made of the live values of others: their frames, as they are stored, checked on the way. */
import type { BlobMoves } from '../../workers/merge-job.ts'
import type { BlobRef } from '../blob/blob-ref.ts'
import { FrameDecoder } from '../blob/frame-decoder.ts'
import { blobRange, encodePackHeader } from '../blob/pack-format.ts'
import { IsleError } from '../errors.ts'
import type { BlobPackRef } from '../manifest/manifest.ts'
import { DamagedInput } from './merge-inputs.ts'

/** Where the values of one old pack lie in the new one. */
export interface PackCopy {
	readonly pack: BlobPackRef
	readonly refs: readonly BlobRef[]
	readonly moves: BlobMoves
}

interface PackPiece {
	readonly key: string
	readonly offset: number
	readonly bytes: number
}

/** The header, then the frames of each value. @throws DamagedInput naming a pack that is damaged or gone; what `open` throws. */
export async function* packBody(
	id: string,
	copies: readonly PackCopy[],
	open: (piece: PackPiece) => Promise<AsyncIterable<Uint8Array> | undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
	yield encodePackHeader(id)
	for (const { pack, refs } of copies) {
		for (const ref of refs) {
			const { offset, bytes } = blobRange(ref)
			if (bytes === 0) continue
			const frames = await open({ key: pack.objectKey, offset, bytes })
			if (frames === undefined) {
				const gone = new IsleError('ISLE_NOT_FOUND', `a blob pack is gone: key=\`${pack.objectKey}\``)
				throw new DamagedInput({ pack }, gone)
			}
			const decoder = new FrameDecoder(ref, pack.objectKey)
			for await (const piece of frames) {
				checked(pack, () => decoder.push(piece))
				yield piece
			}
			checked(pack, () => decoder.end())
		}
	}
}

function checked(pack: BlobPackRef, check: () => unknown): void {
	try {
		check()
	} catch (error) {
		throw new DamagedInput({ pack }, error)
	}
}
