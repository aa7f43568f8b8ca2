/**
 * Large values on their way to the store.
 *
 * Values given as bytes go into the open pack; their reference is known at once, so that they take their place in the
 * order of writes before any I/O. A memtable's pack is closed with it, uploaded, and named in its commit; until the upload
 * stands the values are read from here. A stream is uploaded at once as a pack of its own, and ends with the writer.
 *
 * Ids: `w<epoch>-<n>` are minted and committed in one order. A stream may take hours, so its pack is `s<epoch>-<n>`: such
 * an id says nothing about order, and an unreferenced one is garbage only once its epoch is sealed.
 */
import { describe } from '../arguments.ts'
import { type BlobRef, encodeBlobRef } from '../blob/blob-ref.ts'
import { PackEncoder, StreamedPack } from '../blob/pack-encoder.ts'
import { corrupt, IsleError } from '../errors.ts'
import type { Ending } from '../host/ending.ts'
import type { BlobPackRef } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'

/** A pack of this size is closed, and its memtable frozen: 32 MiB are one good upload. */
const PACK_TARGET_BYTES = 33_554_432
/** An open pack may take this part of the write buffer, as a memtable may. */
const PACK_BUFFER_PART = 1 / 8

export interface BlobPackerOptions {
	/** Retries what is idempotent. */
	readonly store: ObjectStore
	readonly epoch: number
	readonly writeBufferMaxBytes: number
	/** Over when the writer has failed: uploads end. */
	readonly failing: Ending
}

export interface StoredBlob {
	readonly pack: BlobPackRef
	readonly encodedRef: Uint8Array
}

/** What a commit refers to besides its table. */
export interface ClosedPacks {
	/** Memory that is held until then. */
	readonly bytes: number
	/** Uploads what is not on the store yet. To be called once. */
	upload(): Promise<readonly BlobPackRef[]>
}

/** Values of one pack in memory, by their offset. */
interface PendingPack {
	readonly encoder: PackEncoder
	readonly pieces: Uint8Array[]
	readonly values: Map<number, Uint8Array>
}

/** A stream on its way. */
interface Running {
	readonly abort: AbortController
	readonly done: Promise<unknown>
}

export class BlobPacker {
	readonly #options: BlobPackerOptions
	readonly #targetBytes: number
	/** Packs that are open or being uploaded, by id. */
	readonly #pending = new Map<string, PendingPack>()
	/** Packs of streams whose entries are in the active memtable. */
	#attached: BlobPackRef[] = []
	readonly #streams = new Set<Running>()
	#open: PendingPack | undefined
	#packsMinted = 0
	#streamsMinted = 0
	#pendingBytes = 0

	constructor(options: BlobPackerOptions) {
		this.#options = options
		this.#targetBytes = Math.min(PACK_TARGET_BYTES, options.writeBufferMaxBytes * PACK_BUFFER_PART)
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
		return this.openBytes >= this.#targetBytes
	}

	/** Puts `value`, which is never changed again, into the open pack. Answers its encoded `BlobRef`. */
	add(value: Uint8Array): Uint8Array {
		const pack = this.#open ?? this.#begin()
		const before = pack.encoder.bytes
		const { ref, pieces } = pack.encoder.value(value)
		pack.pieces.push(...pieces)
		pack.values.set(ref.offset, value)
		this.#pendingBytes += pack.encoder.bytes - before
		return encodeBlobRef(ref)
	}

	/** The value while it is in memory: not to be changed. */
	pending(ref: BlobRef): Uint8Array | undefined {
		return this.#pending.get(ref.packId)?.values.get(ref.offset)
	}

	/** Ends the open pack, because its memtable is frozen. */
	close(): ClosedPacks {
		const streams = this.#attached
		const pack = this.#open
		this.#attached = []
		this.#open = undefined
		if (pack === undefined) return { bytes: 0, upload: () => Promise.resolve(streams) }
		return { bytes: pack.encoder.bytes, upload: async () => [await this.#upload(pack), ...streams] }
	}

	/**
	 * Uploads a value of unknown length. Nothing refers to it until its reference is written. Errors of `source` pass
	 * through; so does the reason of `endStreams`.
	 */
	async store(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<StoredBlob> {
		const abort = new AbortController()
		const onAbort = (): void => abort.abort(signal?.reason)
		signal?.addEventListener('abort', onAbort, { once: true })
		const done = this.#store(source, abort.signal)
		const running: Running = { abort, done }
		this.#streams.add(running)
		try {
			return await done
		} finally {
			this.#streams.delete(running)
			signal?.removeEventListener('abort', onAbort)
		}
	}

	/** Streams on their way reject with `reason`. Resolves when they have ended. */
	async endStreams(reason: unknown): Promise<void> {
		const running = [...this.#streams]
		for (const { abort } of running) abort.abort(reason)
		await Promise.allSettled(running.map(({ done }) => done))
	}

	/** The next commit names `pack`: its entry goes into the active memtable now. */
	attach(pack: BlobPackRef): void {
		this.#attached.push(pack)
	}

	#begin(): PendingPack {
		const encoder = new PackEncoder(`w${this.#options.epoch}-${this.#packsMinted++}`)
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
		await this.#options.store.put(objectKey, pieces, { signal: this.#options.failing.signal })
		this.#pending.delete(id)
		this.#pendingBytes -= bytes
		return { id, objectKey, bytes, valueCount: values.size }
	}

	async #store(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StoredBlob> {
		const id = `s${this.#options.epoch}-${this.#streamsMinted++}`
		const objectKey = blobPackKey(id)
		const pack = new StreamedPack(id, checkedPieces(source))
		const outcome = await this.#options.store.createFromStream(objectKey, pack.body, { signal })
		signal.throwIfAborted()
		if (outcome.kind === 'exists')
			throw corrupt(objectKey, 'a blob pack of another writer where only this one may write,')
		if (pack.result === undefined) throw notStored(objectKey, outcome.kind === 'unknown' ? outcome.cause : undefined)
		const { ref, packBytes } = pack.result
		if (outcome.kind === 'unknown') await this.#settle(objectKey, packBytes, outcome.cause, signal)
		return { pack: { id, objectKey, bytes: packBytes, valueCount: 1 }, encodedRef: encodeBlobRef(ref) }
	}

	/** A store shows an object whole or not at all: one of the right size under this name is the one that was sent. */
	async #settle(objectKey: string, bytes: number, cause: unknown, signal: AbortSignal): Promise<void> {
		const page = await this.#options.store.list({ signal, prefix: objectKey, limit: 1 })
		const [found] = page.objects
		if (found?.key === objectKey && found.bytes === bytes) return
		throw notStored(objectKey, cause)
	}
}

function notStored(objectKey: string, cause: unknown): IsleError {
	return new IsleError('ISLE_UNAVAILABLE', `a stream could not be stored: key=\`${objectKey}\``, { cause })
}

/** A piece that is no bytes would otherwise be taken for an empty one. */
async function* checkedPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
	for await (const piece of source) {
		if (!(piece instanceof Uint8Array)) {
			throw new TypeError(`Expected \`source\` to give Uint8Arrays, got ${describe(piece)}`)
		}
		yield piece
	}
}

export function blobPackKey(id: string): string {
	return `blobs/${id}`
}
