/** A store that hands every call on: the base of stores that do one thing wrong. */
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from '../../src/object-store/object-store.ts'

export class PassThroughStore implements ObjectStore {
	readonly url: string
	readonly inner: ObjectStore

	constructor(inner: ObjectStore = new MemoryStore()) {
		this.inner = inner
		this.url = inner.url
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.inner.get(key, options)
	}

	getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		return this.inner.getRange(key, range, options)
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		return this.inner.put(key, body, options)
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		return this.inner.createIfAbsent(key, body, options)
	}

	list(options?: ListOptions): Promise<ListPage> {
		return this.inner.list(options)
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.inner.delete(key, options)
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.inner.deleteMany(keys, options)
	}

	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.inner.getStream(key, range, options)
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		return this.inner.createFromStream(key, body, options)
	}

	close(): Promise<void> {
		return this.inner.close()
	}
}
