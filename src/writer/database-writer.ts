/**
 * A writer with typed keys and values: what `openWriter` gives, and what a database writes through.
 *
 * Opening claims the prefix; closing flushes, and closes what opening opened.
 */
import { refuseUnknownOptions } from '../arguments.ts'
import { type Decoded, type Encodable, type Encoding, type Transcoder, transcoderOf } from '../bytes/encoding.ts'
import { type Host, systemHost } from '../host/host.ts'
import { encodePosition } from '../log/log-position-codec.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import { type CountingStore, countingStore, type RequestSnapshot } from '../object-store/counting-store.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { openStore } from '../object-store/open-store.ts'
import { retryingStore } from '../object-store/retrying-store.ts'
import { borrowedPool } from '../runtime/borrowed-pool.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { acquireWorkerPool } from '../runtime/worker-pool.ts'
import { WRITER_OPTION_NAMES, type WriterOptions, writerSettings } from './options.ts'
import { WriteBatch } from './write-batch.ts'
import { type WriteOptions, Writer, type WriterComponents, type WriterStats } from './writer.ts'

export interface OpenWriterOptions<KeyEncoding extends Encoding = 'utf8', ValueEncoding extends Encoding = 'utf8'>
	extends WriterOptions {
	/** Where in the store the database lies: key segments, like `db1` or `team/db1`. Default: the whole store. */
	readonly prefix?: string | undefined
	/** Type and form of keys. Default 'utf8': strings. */
	readonly keyEncoding?: KeyEncoding | undefined
	/** Type and form of values. Default 'utf8': strings. */
	readonly valueEncoding?: ValueEncoding | undefined
	/** Ends opening. */
	readonly signal?: AbortSignal | undefined
	/** Clock and randomness. Default: those of the system. */
	readonly host?: Host | undefined
	/** Where tables are sorted and encoded. Default: the worker threads of the process. Whoever opened it closes it. */
	readonly pool?: JobPool | undefined
}

export const OPEN_WRITER_OPTION_NAMES: readonly string[] = [
	...WRITER_OPTION_NAMES,
	'prefix',
	'keyEncoding',
	'valueEncoding',
	'signal',
	'host',
	'pool',
]

/** What a writer is made of; whoever opened them closes them. */
export interface WriterParts {
	/** With retries for what is idempotent, over the one that counts. */
	readonly store: ObjectStore
	readonly counts: CountingStore
	readonly pool: JobPool
	readonly host: Host
	readonly writer: Writer
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
}

/** Mutations that become one commit or none. Bytes are copied when they are added. */
export class Batch<Key, Value> {
	readonly #batch = new WriteBatch()
	readonly #keys: Transcoder<unknown>
	readonly #values: Transcoder<unknown>

	/** @internal */
	constructor(keys: Transcoder<unknown>, values: Transcoder<unknown>) {
		this.#keys = keys
		this.#values = values
	}

	/** How many mutations it holds. */
	get length(): number {
		return this.#batch.length
	}

	/** @throws TypeError, RangeError for what cannot be stored, and when the batch would exceed 32 MiB. */
	put(key: Encodable<Key>, value: Encodable<Value>, options?: { readonly ttlMs?: number | undefined }): this {
		this.#batch.put(this.#keys.encode(key, 'key'), this.#values.encode(value, 'value'), options)
		return this
	}

	delete(key: Encodable<Key>): this {
		this.#batch.delete(this.#keys.encode(key, 'key'))
		return this
	}

	clear(): this {
		this.#batch.clear()
		return this
	}

	/** The mutations as bytes: for the writer. @internal */
	get encoded(): WriteBatch {
		return this.#batch
	}
}

/**
 * Opens the single writer of a prefix, without reads, caches or tails.
 *
 * @throws TypeError and RangeError for options; what `openStore` throws; ISLE_STORE_UNSAFE, ISLE_FOREIGN_PREFIX,
 * ISLE_CORRUPT, ISLE_UNAVAILABLE, ISLE_DENIED; the signal's reason.
 */
export async function openWriter<
	const KeyEncoding extends Encoding = 'utf8',
	const ValueEncoding extends Encoding = 'utf8',
>(
	location: string | URL | ObjectStore,
	options: OpenWriterOptions<KeyEncoding, ValueEncoding> = {},
): Promise<DatabaseWriter<Decoded<KeyEncoding>, Decoded<ValueEncoding>>> {
	refuseUnknownOptions('options of openWriter', options, OPEN_WRITER_OPTION_NAMES)
	return new DatabaseWriter(await openWriterParts(location, options))
}

/** What is opened with a writer, by the layers above it. */
export interface WriterCompanion {
	/** Sees each commit that is read while opening. */
	onLoaded(loaded: LoadedCommit): void
	/** Called once the prefix is claimed. */
	onClaimed?(): Promise<void>
	/** As of `WriterComponents`. */
	wantsTables?(): boolean
	/** Frees it again when opening fails. */
	close?(): Promise<void>
}

/** `begin` sees what the writer will stand on. */
export async function openWriterParts(
	location: string | URL | ObjectStore,
	options: OpenWriterOptions<Encoding, Encoding>,
	begin?: (components: WriterComponents & Pick<CountingStore, 'tracer'>) => Promise<WriterCompanion>,
): Promise<WriterParts> {
	const settings = writerSettings(options)
	const keys = transcoderOf(options.keyEncoding ?? 'utf8', 'keyEncoding')
	const values = transcoderOf(options.valueEncoding ?? 'utf8', 'valueEncoding')
	const { host = systemHost, prefix, signal } = options
	signal?.throwIfAborted()
	const counts = countingStore(await openStore(location, { prefix, host }))
	const store = retryingStore(counts, { host })
	let pool: JobPool | undefined
	let companion: WriterCompanion | undefined
	try {
		pool = options.pool === undefined ? acquireWorkerPool(host) : borrowedPool(options.pool)
		companion = await begin?.({ store, pool, host, tracer: counts.tracer })
		const onLoaded = (loaded: LoadedCommit): void => companion?.onLoaded(loaded)
		const wantsTables = (): boolean => companion?.wantsTables?.() ?? false
		const writer = await Writer.open({ store, pool, host, wantsTables }, settings, { signal, onLoaded })
		await companion?.onClaimed?.()
		return { store, counts, pool, host, writer, keys, values }
	} catch (error) {
		await companion?.close?.()
		await pool?.close()
		await store.close()
		throw error
	}
}

export class DatabaseWriter<Key = string, Value = string> implements AsyncDisposable {
	readonly #parts: WriterParts
	readonly #writer: Writer
	readonly #keys: Transcoder<unknown>
	readonly #values: Transcoder<unknown>
	#closed: Promise<void> | undefined

	/** Takes over `parts`: it closes them. @internal */
	constructor(parts: WriterParts) {
		this.#parts = parts
		this.#writer = parts.writer
		this.#keys = parts.keys
		this.#values = parts.values
	}

	/**
	 * Stores `value` under `key`, over what was there. Resolves when it is accepted (in memory and in order), or durable:
	 * see `WriteOptions.durable`. Keys are 1 byte to 64 KiB, values up to 256 MiB. Bytes are copied.
	 * @throws TypeError, RangeError; ISLE_BACKPRESSURE when earlier writes were not awaited; ISLE_FENCED and every other
	 * failure of the writer; ISLE_CLOSED; the signal's reason. Nothing was written then, unless it was accepted before.
	 */
	put(key: Encodable<Key>, value: Encodable<Value>, options?: WriteOptions): Promise<void> {
		let encodedKey: string | Uint8Array
		let encodedValue: string | Uint8Array
		try {
			encodedKey = this.#keys.encode(key, 'key')
			encodedValue = this.#values.encode(value, 'value')
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#writer.put(encodedKey, encodedValue, options)
	}

	/** Removes `key`, whether or not it is there. Resolves and throws as `put`. */
	delete(key: Encodable<Key>, options?: WriteOptions): Promise<void> {
		let encodedKey: string | Uint8Array
		try {
			encodedKey = this.#keys.encode(key, 'key')
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#writer.delete(encodedKey, options)
	}

	/** An empty batch, for `write`, which copies it: it may be cleared and filled again as soon as that was called. */
	batch(): Batch<Key, Value> {
		return new Batch(this.#keys, this.#values)
	}

	/** All of `batch` or nothing of it: one commit, one run of sequence numbers. Resolves and throws as `put`. */
	write(batch: Batch<Key, Value>, options?: WriteOptions): Promise<void> {
		if (!(batch instanceof Batch)) return Promise.reject(new TypeError('Expected `batch` to be what `batch()` gave'))
		return this.#writer.write(batch.encoded, options)
	}

	/**
	 * Stores a value of any length, piece by piece: it is never held whole in memory. It takes its place in the order of
	 * writes when the last piece is on the store. If `source` fails, nothing is written and its error is passed on.
	 */
	async putStream(key: Encodable<Key>, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<void> {
		await this.#writer.putStream(this.#keys.encode(key, 'key'), source, options)
	}

	/**
	 * Makes everything that was accepted before this call durable. Resolves with the position of its last commit, for
	 * `atLeast` in a reader. No request when nothing waits.
	 */
	async flush(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<string> {
		return encodePosition(await this.#writer.flush(options))
	}

	stats(): WriterStats {
		return this.#writer.stats()
	}

	/** Requests, bytes and estimated cost so far, by kind. */
	requests(): RequestSnapshot {
		return this.#parts.counts.snapshot()
	}

	/** Flushes and closes. Rejects, after all is closed, when accepted writes could not be committed. Idempotent. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #close(): Promise<void> {
		try {
			await this.#writer.close()
		} finally {
			await this.#parts.pool.close()
			await this.#parts.store.close()
		}
	}
}
