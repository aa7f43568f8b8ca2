/**
 * A database that is only read: by any number of processes, none of which writes anything to the store.
 *
 * A reader follows the log of the writer and keeps the newest manifest it knows as its view: each read takes the view of
 * its moment, a snapshot keeps one. It grows newer by itself (`refreshIntervalMs`), by `refresh`, and by `atLeast`.
 *
 * Invariants: a failed refresh leaves the good view in place; a read that meets a missing object refreshes and tries
 * again, a bounded number of times; a snapshot that does so has expired; nothing is written, ever.
 */
import type { Decoded, Encodable, Encoding } from '../bytes/encoding.ts'
import { corrupt, IsleError } from '../errors.ts'
import { abortable } from '../host/abortable.ts'
import { Ending } from '../host/ending.ts'
import { encodePosition } from '../log/log-position-codec.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { storedBytesOf } from '../manifest/run-parts.ts'
import type { RequestSnapshot } from '../object-store/counting-store.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { type Explanation, explain } from './explain.ts'
import { Freshness, type FreshRangeOptions, type FreshReadOptions } from './freshness.ts'
import { OpenSnapshots } from './open-snapshots.ts'
import { ReadCore, type ReadOptions, type ViewProvider } from './read-core.ts'
import { ReadMethods } from './read-methods.ts'
import { type ReadStats, readStats } from './read-stats.ts'
import { type ReadView, viewOf } from './read-view.ts'
import { type OpenReaderOptions, openReaderParts, type ReaderParts } from './reader-parts.ts'
import { Refresher } from './refresher.ts'
import type { Scan } from './scan.ts'
import type { Snapshot } from './snapshot.ts'
import type { StreamOptions } from './value-stream.ts'

export interface ReaderStats extends ReadStats {
	/** Where the view stands, as a position for `atLeast`. */
	readonly position: string
	readonly lastSeq: number
	/** Time of the newest commit by the writer's clock; 0 before the first. */
	readonly lastCommitMs: number
	readonly l0Tables: number
	readonly sortedRuns: number
	readonly tables: number
	readonly storedBytes: number
	/** Tables that are kept as stored, because they came inside log records; with 2,400 bytes for each. */
	readonly offeredBytes: number
	/** Failures of the background refresh since its last success, and the last of them. */
	readonly refreshFailures: number
	readonly refreshError: unknown
}

/** Tables that are opened side by side while a reader opens. */
const WARM_UP_CONCURRENCY = 16

/**
 * Opens a database for reading. Where none is yet, the reader is empty and sees it once a writer has come.
 *
 * @throws TypeError and RangeError for options, what `openStore` throws, ISLE_FOREIGN_PREFIX where something else lies,
 * or in `cacheDir`, ISLE_UNAVAILABLE when the store does not answer, the signal's reason.
 */
export async function openReader<
	const KeyEncoding extends Encoding = 'utf8',
	const ValueEncoding extends Encoding = 'utf8',
>(
	location: string | URL | ObjectStore,
	options: OpenReaderOptions<KeyEncoding, ValueEncoding> = {},
): Promise<Reader<Decoded<KeyEncoding>, Decoded<ValueEncoding>>> {
	return new Reader(await openReaderParts(location, options))
}

export class Reader<Key = string, Value = string> extends ReadMethods<Key, Value> implements AsyncDisposable {
	/** @internal */
	protected readonly core: ReadCore<Key, Value>
	/** @internal */
	protected readonly views: ViewProvider
	readonly #parts: ReaderParts
	readonly #refresher: Refresher | undefined
	readonly #closing = new Ending()
	/** @internal */
	protected readonly snapshots: OpenSnapshots<Key, Value>
	readonly #freshness: Freshness
	#view: ReadView
	#closed: Promise<void> | undefined

	/** Takes over `parts`: it closes them. @internal */
	constructor(parts: ReaderParts) {
		super()
		const { follower, source, blobs, pool, host, settings } = parts
		this.#parts = parts
		this.#view = viewOf(follower.manifest)
		this.core = new ReadCore({ source, blobs, pool, host, keys: settings.keys, values: settings.values })
		const held = (): Manifest[] => this.heldManifests()
		const release = (): void => parts.gone.release(held)
		this.snapshots = new OpenSnapshots(this.core, release)
		this.core.onRelease = release
		this.#freshness = new Freshness(follower, host, settings.maxStalenessMs)
		parts.gone.follow(follower.manifest, held)
		follower.onChange(manifest => {
			this.#view = viewOf(manifest)
			parts.gone.follow(manifest, held)
		})
		this.views = {
			view: () => {
				if (this.#closed !== undefined) throw closedError()
				return this.#view
			},
			nowMs: () => host.clock.nowMs(),
			renew: (gone, cause, signal) => this.#renew(gone, cause, signal),
		}
		const { refreshIntervalMs } = settings
		if (refreshIntervalMs > 0) {
			this.#refresher = new Refresher(signal => follower.poll({ signal }), host, refreshIntervalMs)
		}
	}

	override get(key: Encodable<Key>, options?: FreshReadOptions): Promise<Value | undefined> {
		return this.#read(options, () => super.get(key, options))
	}

	override getMany(keys: readonly Encodable<Key>[], options?: FreshReadOptions): Promise<(Value | undefined)[]> {
		return this.#read(options, () => super.getMany(keys, options))
	}

	override has(key: Encodable<Key>, options?: FreshReadOptions): Promise<boolean> {
		return this.#read(options, () => super.has(key, options))
	}

	override getStream(
		key: Encodable<Key>,
		options?: FreshReadOptions & StreamOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.#read(options, () => super.getStream(key, options))
	}

	override entries(range: FreshRangeOptions<Encodable<Key>> = {}): Scan<[Key, Value]> {
		return this.core.entries(this.views, range, this.#ready(range))
	}

	override keys(range: FreshRangeOptions<Encodable<Key>> = {}): Scan<Key> {
		return this.core.keysOf(this.views, range, this.#ready(range))
	}

	override values(range: FreshRangeOptions<Encodable<Key>> = {}): Scan<Value> {
		return this.core.valuesOf(this.views, range, this.#ready(range))
	}

	/** Brings the view up to every commit that was acknowledged before this call. @throws ISLE_UNAVAILABLE, ISLE_CLOSED. */
	async refresh(options: ReadOptions = {}): Promise<void> {
		if (this.#closed !== undefined) throw closedError()
		options.signal?.throwIfAborted()
		await abortable(this.#parts.follower.refresh(options), this.#closing.signal)
	}

	/** Opens tables, as the option `warmUp` says. @throws the signal's reason, and nothing else. @internal */
	async warmUp(signal: AbortSignal | undefined): Promise<void> {
		const { warmUp, tableCacheBytes } = this.#parts.settings
		if (warmUp === false || tableCacheBytes === 0) return
		const settings = {
			maxBytes: tableCacheBytes,
			concurrency: WARM_UP_CONCURRENCY,
			blocks: false,
			onProgress: undefined,
			signal,
		}
		await this.core.prefetch(this.views, {}, settings).catch(() => undefined)
		signal?.throwIfAborted()
	}

	/** What something open reads of older states. @internal */
	protected heldManifests(): Manifest[] {
		return [...this.core.heldManifests(), ...this.snapshots.manifests()]
	}

	/** The present view, pinned: close it when done. */
	snapshot(): Snapshot<Key, Value> {
		return this.snapshots.open(this.views.view(), this.views.nowMs(), this.views)
	}

	stats(): ReaderStats {
		const { manifest } = this.#view
		const { source } = this.#parts
		return {
			position: encodePosition(manifest.writerPosition),
			lastSeq: manifest.lastSeq,
			lastCommitMs: manifest.lastCommitMs,
			l0Tables: manifest.l0.length,
			sortedRuns: manifest.runs.length,
			tables: manifest.runs.reduce((sum, run) => sum + run.tables.length, manifest.l0.length),
			storedBytes: storedBytesOf(manifest),
			offeredBytes: source.stats().offeredBytes,
			...readStats(this.core, source, this.snapshots),
			refreshFailures: this.#refresher?.failures ?? 0,
			refreshError: this.#refresher?.lastError,
		}
	}

	/** Requests, bytes and estimated cost so far, by kind. */
	requests(): RequestSnapshot {
		return this.#parts.counts.snapshot()
	}

	/**
	 * Runs `operation`, and says what all reads of this reader within it cost: those that are awaited in it, its scans as far as
	 * they are consumed in it, and those of its snapshots. Other operations may run at the same time: theirs are not counted.
	 */
	explain<Result>(operation: () => Result | PromiseLike<Result>): Promise<Explanation<Result>> {
		return explain(this.#parts.counts, this.#parts.host, operation)
	}

	/** Closes iterators, snapshots, the background refresh and the store that it opened. Idempotent. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #close(): Promise<void> {
		this.#closing.end(closedError())
		await this.#refresher?.close()
		await this.core.close()
		await this.snapshots.closeAll()
		await this.#parts.warmer?.close()
		await this.#parts.disk?.close()
		await this.#parts.pool.close()
		await this.#parts.store.close()
	}

	#read<Result>(options: FreshReadOptions | undefined, read: () => Promise<Result>): Promise<Result> {
		try {
			const ready = this.#ready(options)
			return ready === undefined ? read() : ready.then(read)
		} catch (error) {
			return Promise.reject(error)
		}
	}

	/** Undefined: the view is new enough for `options`. */
	#ready(options: FreshReadOptions | undefined): Promise<void> | undefined {
		if (this.#closed !== undefined) throw closedError()
		const ready = this.#freshness.wait(options)
		return ready === undefined ? undefined : abortable(ready, this.#closing.signal)
	}

	/** Objects of `gone` are missing: a newer view, or the news that the newest one is damaged. */
	async #renew(gone: ReadView, cause: unknown, signal: AbortSignal | undefined): Promise<ReadView> {
		if (this.#view.manifest === gone.manifest) await this.#parts.follower.refresh({ signal })
		const view = this.views.view()
		if (view.manifest !== gone.manifest) return view
		throw corrupt(this.#parts.store.url, 'an object that the newest state refers to is missing', cause)
	}
}

function closedError(): IsleError {
	return new IsleError('ISLE_CLOSED', 'the reader is closed')
}
