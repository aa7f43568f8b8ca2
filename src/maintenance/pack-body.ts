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

type OpenPiece = (piece: PackPiece) => Promise<AsyncIterable<Uint8Array> | undefined>

/** The new pack, while it is read and afterwards. */
export class CopiedPack {
	/** The header, then the frames of each value; to be read once. @throws DamagedInput naming a pack that is damaged or gone; what `open` throws. */
	readonly body: AsyncIterable<Uint8Array>
	#bytes = 0
	#isWhole = false
	#damage: DamagedInput | undefined

	constructor(id: string, copies: readonly PackCopy[], open: OpenPiece) {
		this.body = this.#copy(packBody(id, copies, open))
	}

	/** Of what was read. */
	get bytes(): number {
		return this.#bytes
	}

	/** Whether `body` was read to its end. */
	get isWhole(): boolean {
		return this.#isWhole
	}

	/** What `body` threw: a store may wrap it. */
	get damage(): DamagedInput | undefined {
		return this.#damage
	}

	async *#copy(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
		try {
			for await (const piece of pieces) {
				this.#bytes += piece.length
				yield piece
			}
		} catch (error) {
			if (error instanceof DamagedInput) this.#damage = error
			throw error
		}
		this.#isWhole = true
	}
}

async function* packBody(
	id: string,
	copies: readonly PackCopy[],
	open: OpenPiece,
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
