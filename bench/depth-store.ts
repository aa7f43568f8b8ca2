/**
 * Counts how many requests to a store follow from one another: a request stands one deeper than the deepest that had ended
 * when it began. What is asked for side by side counts once; it is an upper bound, as a request need not have waited for the one before.
 */
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RequestOptions,
} from '../src/object-store/object-store.ts'

export class DepthStore implements ObjectStore {
	readonly url: string
	readonly #inner: ObjectStore
	#ended = 0
	#deepest = 0
	/** Answers of requests that began before the last `begin` do not count. */
	#generation = 0

	constructor(inner: ObjectStore) {
		this.#inner = inner
		this.url = inner.url
	}

	/** Requests in sequence since the last `begin`. */
	get depth(): number {
		return this.#deepest
	}

	begin(): void {
		this.#ended = 0
		this.#deepest = 0
		this.#generation++
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#count(this.#inner.get(key, options))
	}

	getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#count(this.#inner.getRange(key, range, options))
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		return this.#count(this.#inner.put(key, body, options))
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#count(this.#inner.createIfAbsent(key, body, options))
	}

	list(options?: ListOptions): Promise<ListPage> {
		return this.#count(this.#inner.list(options))
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#count(this.#inner.delete(key, options))
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.#count(this.#inner.deleteMany(keys, options))
	}

	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.#count(this.#inner.getStream(key, range, options))
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#count(this.#inner.createFromStream(key, body, options))
	}

	close(): Promise<void> {
		return this.#inner.close()
	}

	async #count<Answer>(answer: Promise<Answer>): Promise<Answer> {
		const generation = this.#generation
		const depth = this.#ended + 1
		this.#deepest = Math.max(this.#deepest, depth)
		try {
			return await answer
		} finally {
			if (generation === this.#generation) this.#ended = Math.max(this.#ended, depth)
		}
	}
}
