/**
 * Reads large values from their packs: whole up to 256 MiB, or as a stream.
 *
 * Every frame is verified before any of it is handed out. Values are not cached; several readers of one value at the
 * same time share one GET.
 */

import { type BlobRef, decodeBlobRef } from '../blob/blob-ref.ts'
import { decodeBlob, decodeBlobStream } from '../blob/frame-decoder.ts'
import { blobRange, framesRange } from '../blob/pack-format.ts'
import { SingleFlight } from '../cache/single-flight.ts'
import { corrupt, IsleError } from '../errors.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { VALUE_MAX_BYTES } from '../sst/entry.ts'
import type { ValueRange } from './value-stream.ts'

export interface BlobReaderOptions {
	readonly store: ObjectStore
	/** Where a pack lies that no manifest names yet: one that the writer of this process has uploaded but not committed. */
	readonly objectKeyOf?: ((packId: string) => string | undefined) | undefined
	/** A value that has not left this process yet; it is copied before anyone sees it. */
	readonly pending?: ((ref: BlobRef) => Uint8Array | undefined) | undefined
}

const PACK_ID = /^[a-z]\d+-\d+$/
const EMPTY = new Uint8Array(0)

export class BlobReader {
	readonly #store: ObjectStore
	readonly #objectKeyOf: ((packId: string) => string | undefined) | undefined
	readonly #pending: ((ref: BlobRef) => Uint8Array | undefined) | undefined
	readonly #packs = new WeakMap<Manifest, ReadonlyMap<string, string>>()
	readonly #flights = new SingleFlight<string, Uint8Array>()

	constructor(options: BlobReaderOptions) {
		this.#store = options.store
		this.#objectKeyOf = options.objectKeyOf
		this.#pending = options.pending
	}

	/**
	 * The value that `encodedRef` stands for, in memory that the caller owns.
	 * @throws ISLE_NOT_FOUND when the pack is gone, ISLE_CORRUPT, ISLE_UNSUPPORTED for a value above 256 MiB (stream it).
	 */
	async read(manifest: Manifest, encodedRef: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
		const ref = decodeBlobRef(encodedRef, 'an entry')
		if (ref.bytes > VALUE_MAX_BYTES) {
			throw new IsleError(
				'ISLE_UNSUPPORTED',
				`a value is too large for memory, read it with getStream: bytes=\`${ref.bytes}\` max=\`${VALUE_MAX_BYTES}\``,
			)
		}
		const pending = this.#pending?.(ref)
		if (pending !== undefined) return new Uint8Array(pending)
		const objectKey = this.#locate(manifest, ref)
		if (ref.bytes === 0) return EMPTY
		const name = `${ref.packId}/${ref.offset}`
		// What is shared is the stored form: each reader decodes a value of its own.
		const stored = await this.#flights.run(name, signal, shared => this.#fetch(ref, objectKey, shared))
		return decodeBlob(ref, stored, objectKey)
	}

	/**
	 * The same as a stream of verified pieces that the caller owns: of the bytes in `range` that there are, or of all. Ending it
	 * early ends the request.
	 */
	async stream(
		manifest: Manifest,
		encodedRef: Uint8Array,
		signal: AbortSignal | undefined,
		range?: ValueRange,
	): Promise<AsyncIterable<Uint8Array>> {
		const ref = decodeBlobRef(encodedRef, 'an entry')
		const start = Math.min(range?.start ?? 0, ref.bytes)
		const end = Math.min(range?.end ?? ref.bytes, ref.bytes)
		const pending = this.#pending?.(ref)
		if (pending !== undefined) return streamOf(pending.slice(start, end))
		const objectKey = this.#locate(manifest, ref)
		const slice = { start, end }
		if (start >= end) return decodeBlobStream(ref, streamOf(), objectKey, { start, end: start })
		const pieces = await this.#store.getStream(objectKey, framesRange(ref, start, end), { signal })
		if (pieces === undefined) throw gone(objectKey)
		return decodeBlobStream(ref, pieces, objectKey, slice)
	}

	async #fetch(ref: BlobRef, objectKey: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
		const range = blobRange(ref)
		const stored = await this.#store.getRange(objectKey, range, { signal })
		if (stored === undefined) throw gone(objectKey)
		if (stored.length !== range.bytes) {
			throw corrupt(objectKey, `${stored.length} bytes instead of ${range.bytes} from offset ${range.offset}`)
		}
		return stored
	}

	#locate(manifest: Manifest, ref: BlobRef): string {
		let packs = this.#packs.get(manifest)
		if (packs === undefined) {
			packs = new Map(manifest.blobPacks.map(pack => [pack.id, pack.objectKey]))
			this.#packs.set(manifest, packs)
		}
		// A commit of the past may name a pack that the newest state has removed and that is still there.
		const objectKey = packs.get(ref.packId) ?? this.#objectKeyOf?.(ref.packId) ?? retiredPackKey(ref.packId)
		if (objectKey === undefined) throw gone(ref.packId)
		return objectKey
	}
}

/** Where every pack lies; `undefined` for an id that is none. */
function retiredPackKey(packId: string): string | undefined {
	return PACK_ID.test(packId) ? `blobs/${packId}` : undefined
}

function gone(key: string): IsleError {
	return new IsleError('ISLE_NOT_FOUND', `the object of a large value is gone: key=\`${key}\``, { details: { key } })
}

/** A stream of what is at hand. */
export async function* streamOf(...pieces: Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
	yield* pieces
}
