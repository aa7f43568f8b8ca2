/**
 * The stored frames of a part of a large value: from a cache on disk as far as it has them, and from the store from the first one
 * on that it lacks, by one request.
 *
 * Invariant: ending it early ends its request at once, even while one of its reads is pending. One read at a time.
 */
import type { DiskBlob } from '../cache/disk-blobs.ts'

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined }

export class FrameSource implements AsyncIterableIterator<Uint8Array> {
	readonly #blob: DiskBlob
	readonly #end: number
	readonly #openStore: (firstFrame: number) => Promise<AsyncIterable<Uint8Array>>
	#next: number
	#pieces: AsyncIterator<Uint8Array> | undefined
	#isOver = false

	/** Frames `first` to `end`, which is not one of them. `openStore` asks the store for those from one on up to the end. */
	constructor(
		blob: DiskBlob,
		first: number,
		end: number,
		openStore: (firstFrame: number) => Promise<AsyncIterable<Uint8Array>>,
	) {
		this.#blob = blob
		this.#next = first
		this.#end = end
		this.#openStore = openStore
	}

	/** Whether frame `index`, which it has given, came from the store. */
	isFetched(index: number): boolean {
		return this.#pieces !== undefined && index >= this.#next
	}

	async next(): Promise<IteratorResult<Uint8Array>> {
		if (this.#isOver) return OVER
		if (this.#pieces !== undefined) return await this.#pieces.next()
		if (this.#next === this.#end) return OVER
		const frame = await this.#blob.frame(this.#next)
		if (this.#isOver) return OVER
		if (frame !== undefined) {
			this.#next++
			return { done: false, value: frame }
		}
		const pieces = (await this.#openStore(this.#next))[Symbol.asyncIterator]()
		if (this.#isOver) {
			await pieces.return?.()
			return OVER
		}
		this.#pieces = pieces
		return await pieces.next()
	}

	async return(): Promise<IteratorResult<Uint8Array>> {
		this.#isOver = true
		await this.#pieces?.return?.()
		return OVER
	}

	[Symbol.asyncIterator](): this {
		return this
	}
}
