/**
 * Reads large values from their packs: whole up to 256 MiB, or as a stream.
 *
 * Every frame is verified before any of it is handed out. Values are not kept in memory; where there is a cache on disk their
 * frames are looked for there first, and kept there once they were verified. Several readers of one value at the same time
 * share one GET.
 */
import { type BlobRef, decodeBlobRef } from '../blob/blob-ref.ts'
import { decodeBlob, decodeBlobStream } from '../blob/frame-decoder.ts'
import { blobRange, FRAME_BYTES, frameBytesAt, frameCount, framesRange, type PackRange } from '../blob/pack-format.ts'
import type { DiskBlob, DiskBlobs, StoredFrame } from '../cache/disk-blobs.ts'
import { SingleFlight } from '../cache/single-flight.ts'
import { corrupt, IsleError } from '../errors.ts'
import type { BlobPackRef, Manifest } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { OperationCounts } from '../object-store/operation-counts.ts'
import { VALUE_MAX_BYTES } from '../sst/entry.ts'
import { FrameSource } from './frame-source.ts'
import type { ValueRange } from './value-stream.ts'

export interface BlobReaderOptions {
	readonly store: ObjectStore
	/** Where a pack lies that no manifest names yet: one that the writer of this process has uploaded but not committed. */
	readonly objectKeyOf?: ((packId: string) => string | undefined) | undefined
	/** A value that has not left this process yet; it is copied before anyone sees it. */
	readonly pending?: ((ref: BlobRef) => Uint8Array | undefined) | undefined
	/** A cache on disk. Whoever opened it closes it. */
	readonly disk?: DiskBlobs | undefined
}

/** A value as it is stored. */
interface FetchedValue {
	readonly stored: Uint8Array
	/** To be called once it was verified. */
	keep(): void
}

const NOTHING_TO_KEEP = (): void => undefined
/** Frames of one value that are read from disk side by side. */
const PARALLEL_FRAMES = 4

const PACK_ID = /^[a-z]\d+-\d+$/

export class BlobReader {
	readonly #store: ObjectStore
	readonly #objectKeyOf: ((packId: string) => string | undefined) | undefined
	readonly #pending: ((ref: BlobRef) => Uint8Array | undefined) | undefined
	/** Most states have the packs of the one before. */
	readonly #packs = new WeakMap<readonly BlobPackRef[], ReadonlyMap<string, string>>()
	readonly #disk: DiskBlobs | undefined
	readonly #options: BlobReaderOptions
	readonly #flights: SingleFlight<string, FetchedValue>

	/** With `flights`: use `countedBy`. */
	constructor(options: BlobReaderOptions, flights: SingleFlight<string, FetchedValue> = new SingleFlight()) {
		this.#options = options
		this.#flights = flights
		this.#store = options.store
		this.#objectKeyOf = options.objectKeyOf
		this.#pending = options.pending
		this.#disk = options.disk
	}

	/** The same: what is read through it is counted by `counts`. */
	countedBy(counts: OperationCounts): BlobReader {
		return new BlobReader({ ...this.#options, store: counts.over(this.#options.store) }, this.#flights)
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
		if (ref.bytes === 0) return new Uint8Array(0)
		const name = `${ref.packId}/${ref.offset}`
		// What is shared is the stored form: each reader decodes a value of its own.
		const fetched = await this.#flights.run(name, signal, shared => this.#fetch(ref, objectKey, shared))
		const value = decodeBlob(ref, fetched.stored, objectKey)
		fetched.keep()
		return value
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
		const stored = framesRange(ref, start, end)
		const blob = this.#disk?.valueOf(objectKey, ref)
		if (blob === undefined) return decodeBlobStream(ref, await this.#open(objectKey, stored, signal), objectKey, slice)
		const frames = new FrameSource(blob, Math.floor(start / FRAME_BYTES), Math.ceil(end / FRAME_BYTES), first =>
			this.#open(objectKey, framesRange(ref, first * FRAME_BYTES, end), signal),
		)
		const isKept = blob.admits(stored.bytes)
		return decodeBlobStream(ref, frames, objectKey, slice, (index, frame) => {
			// The consumer owns what it gets, and may change it.
			if (isKept && frames.isFetched(index)) blob.keep(index, new Uint8Array(frame))
		})
	}

	async #open(
		objectKey: string,
		range: PackRange,
		signal: AbortSignal | undefined,
	): Promise<AsyncIterable<Uint8Array>> {
		const pieces = await this.#store.getStream(objectKey, range, { signal })
		if (pieces === undefined) throw gone(objectKey)
		return pieces
	}

	async #fetch(ref: BlobRef, objectKey: string, signal: AbortSignal | undefined): Promise<FetchedValue> {
		const range = blobRange(ref)
		const blob = this.#disk?.valueOf(objectKey, ref)
		if (blob === undefined || !blob.admits(range.bytes)) {
			return { stored: await this.#read(objectKey, range, signal), keep: NOTHING_TO_KEEP }
		}
		const kept = await keptFrames(blob, ref)
		const first = kept.indexOf(undefined)
		if (first < 0) return { stored: joined(ref, kept), keep: NOTHING_TO_KEEP }
		const end = kept.lastIndexOf(undefined) + 1
		const missing = framesRange(ref, first * FRAME_BYTES, Math.min(ref.bytes, end * FRAME_BYTES))
		const fetched = await this.#read(objectKey, missing, signal)
		const news: StoredFrame[] = []
		for (let index = first, at = 0; index < end; index++) {
			const bytes = frameBytesAt(ref, index)
			const frame = fetched.subarray(at, at + bytes)
			if (kept[index] === undefined) news.push({ index, bytes: frame })
			kept[index] = frame
			at += bytes
		}
		// Called by each of those that share the value.
		const keep = (): void => {
			void this.#disk?.keepLater(blob, news.splice(0))
		}
		return { stored: end - first === kept.length ? fetched : joined(ref, kept), keep }
	}

	async #read(objectKey: string, range: PackRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
		const stored = await this.#store.getRange(objectKey, range, { signal })
		if (stored === undefined) throw gone(objectKey)
		if (stored.length !== range.bytes) {
			throw corrupt(objectKey, `${stored.length} bytes instead of ${range.bytes} from offset ${range.offset}`)
		}
		return stored
	}

	#locate({ blobPacks }: Manifest, ref: BlobRef): string {
		let packs = this.#packs.get(blobPacks)
		if (packs === undefined) {
			packs = new Map(blobPacks.map(pack => [pack.id, pack.objectKey]))
			this.#packs.set(blobPacks, packs)
		}
		// A commit of the past may name a pack that the newest state has removed and that is still there.
		const objectKey = packs.get(ref.packId) ?? this.#objectKeyOf?.(ref.packId) ?? retiredPackKey(ref.packId)
		if (objectKey === undefined) throw gone(ref.packId)
		return objectKey
	}
}

/** Each frame of a value that is on disk, in its place. */
async function keptFrames(blob: DiskBlob, ref: BlobRef): Promise<(Uint8Array | undefined)[]> {
	const frames = Array.from<undefined, Uint8Array | undefined>({ length: frameCount(ref) }, () => undefined)
	let next = 0
	const read = async (): Promise<void> => {
		for (let index = next++; index < frames.length; index = next++) frames[index] = await blob.frame(index)
	}
	await Promise.all(Array.from({ length: Math.min(PARALLEL_FRAMES, frames.length) }, read))
	return frames
}

function joined(ref: BlobRef, frames: readonly (Uint8Array | undefined)[]): Uint8Array {
	const [only] = frames
	if (frames.length === 1 && only !== undefined) return only
	const whole = new Uint8Array(blobRange(ref).bytes)
	let at = 0
	for (const frame of frames) {
		if (frame !== undefined) whole.set(frame, at)
		at += frame?.length ?? 0
	}
	return whole
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
