/**
 * What a disk cache holds of large values: a file for each frame (256 KiB) that somebody has read, as it is stored.
 *
 * The digest of a value covers its database (disk-identity.ts), the object of its pack and its reference: where it begins, its
 * length and its checksum. The number of the frame is the section.
 *
 * Invariants: a frame is given only when its own checksum is right, and is to be kept only when it was; nothing here rejects;
 * one read that is larger than an eighth of the cache is not kept, so that it does not push out everything else.
 */
import { type CacheFileName, cacheFileOverheadBytes } from '../../workers/cache-file.ts'
import { type BlobRef, encodeBlobRef } from '../blob/blob-ref.ts'
import { frameBytesAt, isSoundFrame } from '../blob/pack-format.ts'
import type { DiskCache } from './disk-cache.ts'
import type { DiskIdentity } from './disk-identity.ts'

/** Values, as stored, that wait for room in the queue of the cache; of more nothing is kept. */
const WAITING_MAX_BYTES = 67_108_864

export interface StoredFrame {
	readonly index: number
	readonly bytes: Uint8Array
}

export class DiskBlobs {
	readonly #disk: DiskCache
	readonly #identity: DiskIdentity
	#waitingBytes = 0

	/** Whoever opened `disk` closes it. */
	constructor(disk: DiskCache, identity: DiskIdentity) {
		this.#disk = disk
		this.#identity = identity
	}

	/** What there is of a value. Undefined: nothing can be kept of it now. */
	valueOf(objectKey: string, ref: BlobRef): DiskBlob | undefined {
		const digest = this.#identity.digestOf(writer => {
			// No table has an empty id: its name is never the same.
			writer.string('').string(objectKey).bytes(encodeBlobRef(ref))
		})
		if (digest === undefined) return undefined
		return new DiskBlob(this.#disk, ref, digest, `${this.#identity.url}/${objectKey} ${ref.offset}`)
	}

	/** Keeps `frames`, when the queue has room for them: they must not change. */
	async keepLater(blob: DiskBlob, frames: readonly StoredFrame[]): Promise<void> {
		const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0)
		if (!blob.admits(bytes) || this.#waitingBytes + bytes > WAITING_MAX_BYTES) return
		this.#waitingBytes += bytes
		for (const frame of frames) {
			if (!this.#disk.hasRoom(frame.bytes.length)) await this.#disk.idle()
			blob.keep(frame.index, frame.bytes)
		}
		this.#waitingBytes -= bytes
	}
}

/** One value in the cache. */
export class DiskBlob {
	readonly #disk: DiskCache
	readonly #ref: BlobRef
	readonly #digest: Uint8Array
	readonly #label: string

	constructor(disk: DiskCache, ref: BlobRef, digest: Uint8Array, label: string) {
		this.#disk = disk
		this.#ref = ref
		this.#digest = digest
		this.#label = label
	}

	/** Whether anything is kept of a read of `bytes`. */
	admits(bytes: number): boolean {
		return this.#disk.admitsAll(bytes)
	}

	/** Frame `index` as it is stored, in memory that the caller owns. */
	async frame(index: number): Promise<Uint8Array | undefined> {
		const bytes = frameBytesAt(this.#ref, index)
		if (!this.#disk.admits(bytes)) return undefined
		const name = this.#nameOf(index)
		const [part] = await this.#disk.read(name, { first: 0, count: 1 }, bytes + cacheFileOverheadBytes(1))
		if (part === undefined) return undefined
		if (part.bytes.length === bytes && isSoundFrame(index, part.bytes)) return part.bytes
		this.#disk.discard(name)
		return undefined
	}

	/** Keeps a frame that was found sound; it must not change. */
	keep(index: number, bytes: Uint8Array): void {
		this.#disk.fill(this.#nameOf(index), [{ index: 0, offset: 0, bytes }])
	}

	#nameOf(index: number): CacheFileName {
		return { digest: this.#digest, section: index, label: this.#label }
	}
}
