/**
 * A database's part of a store: the keys beneath one prefix, without it. No key leads out of the prefix, because keys
 * have no `..`; listings never show what is beside it (`db1/` is not a prefix of `db10/…`).
 */
import { IsleError } from '../errors.ts'
import { checkKeyPrefix, checkObjectKey } from './object-key.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from './object-store.ts'

export interface PrefixedStoreOptions {
	/** What `close()` does to the store beneath: `close` it too, or `keep` it open (default: whoever opened it closes it). */
	readonly onClose?: 'close' | 'keep' | undefined
}

/**
 * `store` seen through `prefix`: one or more key segments, with or without a `/` at the end; '' is the whole store, in
 * a view that can be closed by itself. Throws `RangeError` for a prefix that is no key.
 */
export function prefixedStore(store: ObjectStore, prefix: string, options: PrefixedStoreOptions = {}): ObjectStore {
	if (typeof prefix !== 'string') throw new TypeError(`Expected \`prefix\` to be a string, got ${typeof prefix}`)
	const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
	if (bare !== '' || prefix !== '') checkObjectKey(bare)
	return new PrefixedStore(store, bare, options.onClose ?? 'keep')
}

class PrefixedStore implements ObjectStore {
	readonly url: string
	readonly takesSharedBodies: boolean | undefined
	readonly #store: ObjectStore
	/** '' or ending in `/`. */
	readonly #prefix: string
	readonly #onClose: 'close' | 'keep'
	#isClosed = false

	constructor(store: ObjectStore, bare: string, onClose: 'close' | 'keep') {
		this.url = urlBeneath(store.url, bare)
		this.takesSharedBodies = store.takesSharedBodies
		this.#store = store
		this.#prefix = bare === '' ? '' : `${bare}/`
		this.#onClose = onClose
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#beneath(key, inner => this.#store.get(inner, options))
	}

	getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		return this.#beneath(key, inner => this.#store.getRange(inner, range, options))
	}

	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		return this.#isClosed ? false : (this.#store.readNow?.(this.#prefix + key, offset, target) ?? false)
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		return this.#beneath(key, inner => this.#store.put(inner, body, options))
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#beneath(key, inner => this.#store.createIfAbsent(inner, body, options))
	}

	list(options: ListOptions = {}): Promise<ListPage> {
		try {
			this.#throwIfClosed()
			checkKeyPrefix(options.prefix ?? '')
			return this.#prefix === '' ? this.#store.list(options) : this.#listBeneath(options)
		} catch (error) {
			return Promise.reject(error)
		}
	}

	async #listBeneath(options: ListOptions): Promise<ListPage> {
		const { prefix = '', startAfter } = options
		const page = await this.#store.list({
			...options,
			prefix: this.#prefix + prefix,
			startAfter: startAfter === undefined ? undefined : this.#prefix + startAfter,
		})
		const objects = page.objects.map(object => ({ ...object, key: object.key.slice(this.#prefix.length) }))
		return { objects, isTruncated: page.isTruncated }
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#beneath(key, inner => this.#store.delete(inner, options))
	}

	async deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		this.#throwIfClosed()
		return this.#store.deleteMany(
			keys.map(key => this.#inner(key)),
			options,
		)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.#store.getStream(this.#inner(key), range, options)
	}

	async createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		return this.#store.createFromStream(this.#inner(key), body, options)
	}

	async close(): Promise<void> {
		this.#isClosed = true
		if (this.#onClose === 'close') await this.#store.close()
	}

	/** What is refused rejects, too; no async function, because every request comes by here. */
	#beneath<T>(key: string, ask: (inner: string) => Promise<T>): Promise<T> {
		try {
			return ask(this.#inner(key))
		} catch (error) {
			return Promise.reject(error)
		}
	}

	#inner(key: string): string {
		this.#throwIfClosed()
		checkObjectKey(key)
		return this.#prefix + key
	}

	#throwIfClosed(): void {
		if (this.#isClosed) throw new IsleError('ISLE_CLOSED', `the store is closed: url=\`${this.url}\``)
	}
}

/** `file:///data` → `file:///data/db1`, `s3://bucket?region=x` → `s3://bucket/db1?region=x`. */
function urlBeneath(url: string, bare: string): string {
	if (bare === '') return url
	const [, place = '', query = ''] = /^([^?]*)(.*)$/s.exec(url) ?? []
	return `${place}${place.endsWith('/') ? '' : '/'}${bare}${query}`
}
