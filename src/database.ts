/**
 * A database in the process that writes it: the writer, reads that see its own writes at once, the tail, and maintenance.
 *
 * Composition only: the writer and the reading core meet in the views (manifest and memtables) that the writer shows and
 * the core reads. What is opened here is closed here, in reverse order.
 */
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { refuseUnknownOptions } from './arguments.ts'
import type { Decoded, Encodable, Encoding } from './bytes/encoding.ts'
import type { DiskBlobs } from './cache/disk-blobs.ts'
import type { DiskCache } from './cache/disk-cache.ts'
import { TableSource } from './cache/table-source.ts'
import { DatabaseMaintenance, type DatabaseMaintenanceOptions, type MaintenanceStats } from './database-maintenance.ts'
import { corrupt, IsleError, invariant } from './errors.ts'
import { comparePositions } from './log/log-position.ts'
import { MAINTENANCE_OPTION_NAMES, type MaintenanceOptions, maintenanceSettings } from './maintenance/options.ts'
import { DatabaseLogs } from './manifest/database-logs.ts'
import type { Manifest } from './manifest/manifest.ts'
import { loadManifest } from './manifest/manifest-replay.ts'
import { storedBytesOf } from './manifest/run-parts.ts'
import type { RequestSnapshot } from './object-store/counting-store.ts'
import type { ObjectStore } from './object-store/object-store.ts'
import { BlobReader } from './reader/blob-reader.ts'
import { type Explanation, explain } from './reader/explain.ts'
import { GoneTables } from './reader/gone-tables.ts'
import { OpenSnapshots } from './reader/open-snapshots.ts'
import { type ReaderOptions, readerSettings } from './reader/options.ts'
import type { Pin, PinOptions } from './reader/pin.ts'
import { type PinInfo, Pins } from './reader/pins.ts'
import { ReadCore, type ReadOptions, type ViewProvider } from './reader/read-core.ts'
import { ReadMethods } from './reader/read-methods.ts'
import { type ReadStats, readStats } from './reader/read-stats.ts'
import type { ReadView } from './reader/read-view.ts'
import { cachedOn, openDisk, warmerOf } from './reader/reader-parts.ts'
import type { Snapshot } from './reader/snapshot.ts'
import type { TableWarmer } from './reader/table-warmer.ts'
import type { JobPoolStats } from './runtime/job-pool.ts'
import type { Change } from './tail/change.ts'
import type { Changes } from './tail/change-iterator.ts'
import type { Consumption } from './tail/consume.ts'
import type { Observable } from './tail/observable.ts'
import { RecentCommits } from './tail/recent-commits.ts'
import type { TailOptions } from './tail/tail-options.ts'
import { createTails, type TailConsumeOptions, type TailStats, type Tails } from './tail/tails.ts'
import { type PastPoint, TimeTravel } from './time-travel.ts'
import { blobPackKey } from './writer/blob-packer.ts'
import {
	type Batch,
	DatabaseWriter,
	OPEN_WRITER_OPTION_NAMES,
	type OpenWriterOptions,
	openWriterParts,
	type WriterParts,
} from './writer/database-writer.ts'
import type { WriteOptions, WriterStats } from './writer/writer.ts'

export interface OpenOptions<KeyEncoding extends Encoding = 'utf8', ValueEncoding extends Encoding = 'utf8'>
	extends OpenWriterOptions<KeyEncoding, ValueEncoding>,
		Pick<ReaderOptions, 'blockCacheBytes' | 'tableCacheBytes' | 'cacheDir' | 'cacheDirMaxBytes' | 'cacheNewTables'>,
		MaintenanceOptions {}

export interface DatabaseStats extends WriterStats, MaintenanceStats, ReadStats {
	/** Tables on the store, as stored. */
	readonly storedBytes: number
	readonly tails: TailStats
	readonly pool: JobPoolStats
}

/**
 * Opens a database for writing and reading: the single fenced writer of a prefix. Whoever wrote it before is fenced.
 * Where no database is yet, one is made.
 *
 * @throws TypeError and RangeError for options; what `openStore` throws; ISLE_STORE_UNSAFE, ISLE_FOREIGN_PREFIX,
 * ISLE_CORRUPT, ISLE_UNAVAILABLE, ISLE_DENIED; the signal's reason.
 */
export async function open<const KeyEncoding extends Encoding = 'utf8', const ValueEncoding extends Encoding = 'utf8'>(
	location: string | URL | ObjectStore,
	options: OpenOptions<KeyEncoding, ValueEncoding> = {},
): Promise<Database<Decoded<KeyEncoding>, Decoded<ValueEncoding>>> {
	refuseUnknownOptions('options of open', options, OPEN_OPTION_NAMES)
	const maintenance = maintenanceSettings(options)
	const settings = readerSettings(options)
	let caches: Caches | undefined
	const parts = await openWriterParts(location, options, async ({ store, pool, host, tracer }) => {
		const { blockCacheBytes, tableCacheBytes } = settings
		const disk = await openDisk(settings, pool, host)
		const cached = disk === undefined ? undefined : cachedOn(disk, store, host)
		const source = new TableSource({ store, pool, blockCacheBytes, tableCacheBytes, disk: cached?.tables, tracer })
		const warmer = warmerOf(source, cached?.tables, settings)
		const gone = new GoneTables(source, warmer)
		caches = { source, gone, warmer, disk, diskBlobs: cached?.blobs }
		return {
			onLoaded: loaded => gone.offer(loaded),
			wantsTables: () => source.demand.wantsOffers(),
			onClaimed: async () => await cached?.identity.identify({ signal: options.signal }),
			close: async () => await disk?.close(),
		}
	})
	invariant(caches !== undefined, 'a writer was opened without its components')
	const isOwnMachine = options.host === undefined && options.pool === undefined
	return new Database(parts, caches, { location, prefix: options.prefix, isOwnMachine, settings: maintenance })
}

/** What `open` was given, of what decides where maintenance lives. */
type MaintenanceHome = Pick<DatabaseMaintenanceOptions, 'location' | 'prefix' | 'isOwnMachine' | 'settings'>

const OPEN_OPTION_NAMES: readonly string[] = [
	...OPEN_WRITER_OPTION_NAMES,
	...MAINTENANCE_OPTION_NAMES,
	'blockCacheBytes',
	'tableCacheBytes',
	'cacheDir',
	'cacheDirMaxBytes',
	'cacheNewTables',
]

interface Caches {
	readonly source: TableSource
	readonly gone: GoneTables
	readonly warmer: TableWarmer | undefined
	readonly disk: DiskCache | undefined
	readonly diskBlobs: DiskBlobs | undefined
}

export class Database<Key = string, Value = string> extends ReadMethods<Key, Value> implements AsyncDisposable {
	/** @internal */
	protected readonly core: ReadCore<Key, Value>
	/** @internal */
	protected readonly views: ViewProvider
	readonly #parts: WriterParts
	readonly #caches: Caches
	readonly #writer: DatabaseWriter<Key, Value>
	readonly #tails: Tails<Key, Value>
	readonly #maintenance: DatabaseMaintenance
	readonly #snapshots: OpenSnapshots<Key, Value>
	readonly #pins: Pins<Key, Value>
	readonly #past: TimeTravel<Key, Value>
	#closed: Promise<void> | undefined

	/** Takes over `parts` and `caches`: it closes them. Use `open`. @internal */
	constructor(parts: WriterParts, caches: Caches, home: MaintenanceHome) {
		super()
		const { source, gone, diskBlobs: disk } = caches
		const { store, pool, host, writer, keys, values } = parts
		this.#parts = parts
		this.#caches = caches
		this.#writer = new DatabaseWriter(parts)
		const blobs = new BlobReader({ store, objectKeyOf: blobPackKey, pending: ref => writer.pendingBlob(ref), disk })
		this.core = new ReadCore({ source, blobs, pool, host, keys, values })
		this.views = {
			view: () => {
				if (this.#closed !== undefined) throw closedError()
				return writer.view
			},
			nowMs: () => host.clock.nowMs(),
			renew: (gone, cause, signal) => this.#renew(gone, cause, signal),
		}
		this.#snapshots = new OpenSnapshots(this.core, () => this.#maintenance.noteRelease())
		const logs = new DatabaseLogs(store, host.clock)
		this.#pins = new Pins(
			{ store, host },
			{
				pinnable: async request => {
					await this.flush(request)
					return writer.manifest
				},
				// Not by the writer's own view: whoever was fenced without knowing it would miss what was removed since.
				refreshed: request => loadManifest(logs, undefined, request),
			},
			this.#snapshots,
		)
		this.#past = new TimeTravel({
			log: logs.writer,
			host,
			snapshots: this.#snapshots,
			current: () => this.views.view().manifest,
			refreshed: async ({ signal }) => {
				await this.#maintenance.followEdits(signal)
				return writer.manifest
			},
		})
		this.#tails = createTails<Key, Value>({
			log: logs.writer,
			source: writer,
			recent: new RecentCommits(),
			tables: source,
			blobs,
			counts: this.core.operations.tail,
			pool,
			host,
			keys,
			values,
		})
		this.#maintenance = new DatabaseMaintenance({
			...home,
			ground: { store, pool, host, onTable: (ref, bytes) => source.offerTable(ref, bytes) },
			writer,
			gone,
			heldManifests: () => this.#heldManifests(),
		})
		// Named before it is assigned: D-098.
		const onRelease = (): void => this.#maintenance.noteRelease()
		this.core.onRelease = onRelease
		writer.onCommit(loaded => {
			gone.offer(loaded)
			this.#maintenance.noteCommit(loaded)
			this.#tails.push(loaded)
		})
		writer.onFailure(failure => this.#tails.fail(failure))
	}

	/** @see DatabaseWriter.put */
	put(key: Encodable<Key>, value: Encodable<Value>, options?: WriteOptions): Promise<void> {
		return this.#writer.put(key, value, options)
	}

	/** @see DatabaseWriter.delete */
	delete(key: Encodable<Key>, options?: WriteOptions): Promise<void> {
		return this.#writer.delete(key, options)
	}

	/** An empty batch, for `write`, which copies it: it may be cleared and filled again as soon as that was called. */
	batch(): Batch<Key, Value> {
		return this.#writer.batch()
	}

	/** @see DatabaseWriter.write */
	write(batch: Batch<Key, Value>, options?: WriteOptions): Promise<void> {
		return this.#writer.write(batch, options)
	}

	/** @see DatabaseWriter.putStream */
	putStream(key: Encodable<Key>, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<void> {
		return this.#writer.putStream(key, source, options)
	}

	/** @see DatabaseWriter.flush */
	flush(options?: { readonly signal?: AbortSignal | undefined }): Promise<string> {
		return this.#writer.flush(options)
	}

	/** What is accepted now, pinned in memory: reads of it repeat, whatever is written later. Close it when done. */
	snapshot(): Snapshot<Key, Value> {
		return this.#snapshots.open(this.views.view(), this.views.nowMs(), this.views)
	}

	/**
	 * Every committed change, once and in commit order, as a cold Observable. Needs `rxjs`.
	 * @throws TypeError, RangeError for options; ISLE_UNSUPPORTED without rxjs. Its errors carry `details.cursor`.
	 */
	tail(options?: TailOptions<Encodable<Key>>): Observable<Change<Key, Value>> {
		return this.#tails.tail(options)
	}

	/** The same in batches, as an async iterable with full back-pressure; each iteration is a tail of its own. */
	changes(options?: TailOptions<Encodable<Key>>): Changes<Key, Value> {
		return this.#tails.changes(options)
	}

	/** The same as a Node stream of single changes, in object mode. */
	tailReadable(options?: TailOptions<Encodable<Key>>): Readable {
		return this.#tails.readable(options)
	}

	/** The same as a web stream of single changes. */
	tailWebStream(options?: TailOptions<Encodable<Key>>): ReadableStream<Change<Key, Value>> {
		return this.#tails.webStream(options)
	}

	/** Handles every change at least once, and resumes from the cursor that the checkpoint saved. */
	consume(options: TailConsumeOptions<Key, Value>): Consumption<Key, Value> {
		return this.#tails.consume(options)
	}

	/**
	 * Keeps the state of this moment, flushed first, on the store under `name` until it is released or expires, whatever becomes
	 * of this process: nothing that it needs is collected meanwhile. One PUT, and what opening a
	 * reader costs, beside the flush.
	 * @throws TypeError, RangeError; ISLE_DENIED where this process may not write; ISLE_UNAVAILABLE; the signal's reason.
	 */
	async pin(name: string, options: PinOptions = {}): Promise<Pin<Key, Value>> {
		this.views.view()
		return await this.#pins.pin(name, options)
	}

	/** All pins of the database, in no order. One LIST, and one GET for each. */
	async pins(options: ReadOptions = {}): Promise<PinInfo[]> {
		this.views.view()
		return await this.#pins.list(options)
	}

	/**
	 * Opens a pin that was made here or elsewhere: the newest of that name, or the one with that id. One LIST and one GET for
	 * each pin; one GET by id. @throws ISLE_NOT_FOUND; ISLE_EXPIRED when it has expired; ISLE_CORRUPT.
	 */
	async openPin(name: string, options: ReadOptions = {}): Promise<Pin<Key, Value>> {
		this.views.view()
		return await this.#pins.open(name, options)
	}

	/** Ends every pin of that name, or the one with that id; answers how many there were. Costs as `pins`, and one DELETE each. */
	async releasePin(name: string, options: ReadOptions = {}): Promise<number> {
		this.views.view()
		return await this.#pins.release(name, options)
	}

	/**
	 * The state at a point of the past, as a snapshot to close when done: right after the change of a cursor, at a position
	 * that `flush` returned, or with everything committed at or before a time. Entries are seen as of then: what has expired
	 * since is there. Reaches back as far as changes are retained (`changeRetentionMs`); one LIST, one GET and the log since
	 * the checkpoint before it; about log2(commits) GETs more for a time.
	 * @throws ISLE_EXPIRED with `details.earliest` (a cursor) and `details.earliestMs`; ISLE_UNAVAILABLE for a point that the
	 * log does not reach; TypeError, RangeError; the signal's reason.
	 */
	async at(point: PastPoint, options: ReadOptions = {}): Promise<Snapshot<Key, Value>> {
		return await this.#past.at(point, options)
	}

	/** When the change of a cursor, or the newest commit before a position, was committed. At most two GETs, as a rule. @throws as `at`. */
	async timeOf(point: string, options: ReadOptions = {}): Promise<number> {
		return await this.#past.timeOf(point, options)
	}

	stats(): DatabaseStats {
		const { manifest } = this.#parts.writer
		return {
			...this.#writer.stats(),
			...this.#maintenance.stats(),
			storedBytes: storedBytesOf(manifest),
			...readStats(this.core, this.#caches.source, this.#snapshots),
			tails: this.#tails.stats(),
			pool: this.#parts.pool.stats(),
		}
	}

	/** Requests, bytes and estimated cost so far, by kind. */
	requests(): RequestSnapshot {
		return this.#writer.requests()
	}

	/**
	 * Runs `operation`, and says what all reads of this database within it cost: those that are awaited in it, its scans as far
	 * as they are consumed in it, and those of its snapshots. Other operations may run at the same time: theirs are not counted.
	 * A commit serves many writes at once, and its requests are counted where it began.
	 */
	explain<Result>(operation: () => Result | PromiseLike<Result>): Promise<Explanation<Result>> {
		return explain(this.#parts.counts, this.#parts.host, operation)
	}

	/** Flushes, then closes iterators, snapshots and all that was opened. Rejects when accepted writes could not be committed. Idempotent. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #close(): Promise<void> {
		this.#tails.close()
		await this.core.close()
		await this.#snapshots.closeAll()
		await this.#maintenance.close()
		await this.#caches.warmer?.close()
		try {
			await this.#caches.disk?.close()
		} finally {
			await this.#writer.close()
		}
	}

	#heldManifests(): Manifest[] {
		return [...this.core.heldManifests(), ...this.#tails.heldManifests(), ...this.#snapshots.manifests()]
	}

	/** An object of `gone` is missing: an edit may have replaced it; the newest state may not miss any. */
	async #renew(gone: ReadView, cause: unknown, signal: AbortSignal | undefined): Promise<ReadView> {
		// Only edits take objects out of the state: where none came, it is as it was.
		const isAsOld = (): boolean =>
			comparePositions(this.views.view().manifest.maintenancePosition, gone.manifest.maintenancePosition) <= 0
		if (isAsOld()) await this.#maintenance.followEdits(signal)
		// Edits that name a commit of which this writer was not told yet wait for it. It stands: the logs read anew hold both.
		if (isAsOld()) await this.#maintenance.followEdits(signal, true)
		if (!isAsOld()) return this.views.view()
		throw corrupt(this.#parts.store.url, 'an object that the newest state refers to is missing', cause)
	}
}

function closedError(): IsleError {
	return new IsleError('ISLE_CLOSED', 'the database is closed')
}
