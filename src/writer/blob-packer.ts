/**
 * Large values on their way to the store.
 *
 * Values given as bytes are copied into the open pack; their reference is known at once, so that they take their place in
 * the order of writes before any I/O. A memtable's pack is closed with it, uploaded, and named in its commit; until the
 * upload stands the values are read from here. A stream is uploaded at once as a pack of its own.
 *
 * Ids: `w<epoch>-<n>` are minted and committed in one order. A stream may take hours, so its pack is `s<epoch>-<n>`: such
 * an id says nothing about order, and an unreferenced one is garbage only once its epoch is sealed.
 */
import { type BlobRef, encodeBlobRef } from '../blob/blob-ref.ts'
import { PackEncoder, packFromStream } from '../blob/pack-encoder.ts'
import { IsleError } from '../errors.ts'
import type { BlobPackRef } from '../manifest/manifest.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'

/** A pack of this size is closed, and its memtable frozen: 32 MiB are one good upload. */
const PACK_TARGET_BYTES = 33_554_432

export interface StoredBlob {
	readonly pack: BlobPackRef
	readonly encodedRef: Uint8Array
}

export interface ClosedPack {
	/** None, or one. */
	readonly uploads: readonly Promise<BlobPackRef>[]
	/** Memory that the upload holds. */
	readonly bytes: number
}

/** Values of one pack in memory, by their offset. */
interface PendingPack {
	readonly encoder: PackEncoder
	readonly pieces: Uint8Array[]
	readonly values: Map<number, Uint8Array>
}

export class BlobPacker {
	readonly #store: ObjectStore
	readonly #epoch: number
	/** Packs that are open or being uploaded, by id. */
	readonly #pending = new Map<string, PendingPack>()
	/** Packs of streams whose entries are in the active memtable. */
	#attached: BlobPackRef[] = []
	#open: PendingPack | undefined
	#packsMinted = 0
	#streamsMinted = 0
	#pendingBytes = 0

	/** `store` retries what is idempotent. */
	constructor(options: { readonly store: ObjectStore; readonly epoch: number }) {
		this.#store = options.store
		this.#epoch = options.epoch
	}

	/** Bytes of the pack that is open. */
	get openBytes(): number {
		return this.#open?.encoder.bytes ?? 0
	}

	/** Bytes of all packs in memory. */
	get pendingBytes(): number {
		return this.#pendingBytes
	}

	get isFull(): boolean {
		return this.openBytes >= PACK_TARGET_BYTES
	}

	/** Copies `value` into the open pack. Answers its encoded `BlobRef`. */
	add(value: Uint8Array): Uint8Array {
		const pack = this.#open ?? this.#begin()
		const copy = new Uint8Array(value)
		const before = pack.encoder.bytes
		const { ref, pieces } = pack.encoder.value(copy)
		pack.pieces.push(...pieces)
		pack.values.set(ref.offset, copy)
		this.#pendingBytes += pack.encoder.bytes - before
		return encodeBlobRef(ref)
	}

	/** The value while it is in memory: not to be changed. */
	pending(ref: BlobRef): Uint8Array | undefined {
		return this.#pending.get(ref.packId)?.values.get(ref.offset)
	}

	/** Ends the open pack, because its memtable is frozen, and begins its upload. */
	close(): ClosedPack {
		const streams = this.#attached.map(pack => Promise.resolve(pack))
		this.#attached = []
		const pack = this.#open
		this.#open = undefined
		if (pack === undefined) return { uploads: streams, bytes: 0 }
		const upload = this.#upload(pack)
		// Told by the commit that waits for it; until then it must not count as unhandled.
		upload.catch(() => undefined)
		return { uploads: [upload, ...streams], bytes: pack.encoder.bytes }
	}

	/** Uploads a value of unknown length. Nothing refers to it until its reference is written. */
	async store(source: AsyncIterable<Uint8Array>, options: RequestOptions): Promise<StoredBlob> {
		const id = `s${this.#epoch}-${this.#streamsMinted++}`
		const objectKey = blobPackKey(id)
		const pack = packFromStream(id, source)
		const outcome = await this.#store.createFromStream(objectKey, pack.body, options)
		options.signal?.throwIfAborted()
		if (outcome.kind === 'exists') {
			throw new IsleError(
				'ISLE_CORRUPT',
				`a blob pack of another writer where only this one may write: key=\`${objectKey}\``,
			)
		}
		const { ref, packBytes } = pack.result()
		if (outcome.kind === 'unknown') await this.#settle(objectKey, packBytes, outcome.cause, options)
		return { pack: { id, objectKey, bytes: packBytes, valueCount: 1 }, encodedRef: encodeBlobRef(ref) }
	}

	/** The next commit names `pack`: its entry goes into the active memtable now. */
	attach(pack: BlobPackRef): void {
		this.#attached.push(pack)
	}

	#begin(): PendingPack {
		const encoder = new PackEncoder(`w${this.#epoch}-${this.#packsMinted++}`)
		const pack: PendingPack = { encoder, pieces: [encoder.header()], values: new Map() }
		this.#pending.set(encoder.packId, pack)
		this.#pendingBytes += encoder.bytes
		this.#open = pack
		return pack
	}

	async #upload({ encoder, pieces, values }: PendingPack): Promise<BlobPackRef> {
		const { packId: id, bytes } = encoder
		const objectKey = blobPackKey(id)
		// The name is ours alone and the bytes are the same at each attempt: a retry changes nothing.
		await this.#store.put(objectKey, pieces)
		this.#pending.delete(id)
		this.#pendingBytes -= bytes
		return { id, objectKey, bytes, valueCount: values.size }
	}

	/** A store shows an object whole or not at all: one of the right size under this name is the one that was sent. */
	async #settle(objectKey: string, bytes: number, cause: unknown, options: RequestOptions): Promise<void> {
		const page = await this.#store.list({ ...options, prefix: objectKey, limit: 1 })
		const [found] = page.objects
		if (found?.key === objectKey && found.bytes === bytes) return
		throw new IsleError('ISLE_UNAVAILABLE', `a stream could not be stored: key=\`${objectKey}\``, { cause })
	}
}

export function blobPackKey(id: string): string {
	return `blobs/${id}`
}
