/**
 * A database in a process that only reads: gets, scans, snapshots, and the tail. It writes nothing to the store.
 *
 * Composition only: the tail and the reads share one follower of the log, so that however many tails there are, one GET a
 * poll serves them all and moves the view on too.
 */
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { refuseUnknownOptions } from './arguments.ts'
import type { Decoded, Encodable, Encoding } from './bytes/encoding.ts'
import type { Manifest } from './manifest/manifest.ts'
import type { ObjectStore } from './object-store/object-store.ts'
import type { Pin, PinOptions } from './reader/pin.ts'
import { type PinInfo, Pins } from './reader/pins.ts'
import type { ReadOptions } from './reader/read-core.ts'
import { Reader, type ReaderStats } from './reader/reader.ts'
import { type OpenReaderOptions, openReaderParts, type ReaderParts } from './reader/reader-parts.ts'
import type { Snapshot } from './reader/snapshot.ts'
import type { Change } from './tail/change.ts'
import type { Changes } from './tail/change-iterator.ts'
import type { Consumption } from './tail/consume.ts'
import type { Observable } from './tail/observable.ts'
import { RecentCommits } from './tail/recent-commits.ts'
import type { TailOptions } from './tail/tail-options.ts'
import { createTails, type TailConsumeOptions, type TailStats, type Tails } from './tail/tails.ts'
import { type PastPoint, TimeTravel } from './time-travel.ts'

const OPEN_READER_OPTION_NAMES: readonly (keyof OpenReaderOptions)[] = [
	'prefix',
	'keyEncoding',
	'valueEncoding',
	'refreshIntervalMs',
	'maxStalenessMs',
	'blockCacheBytes',
	'tableCacheBytes',
	'cacheDir',
	'cacheDirMaxBytes',
	'gracePeriodMs',
	'warmUp',
	'cacheNewTables',
	'signal',
	'host',
	'pool',
]

/**
 * Opens a database for reading. Where none is yet, the reader is empty and sees it once a writer has come.
 *
 * @throws TypeError and RangeError for options, what `openStore` throws, ISLE_FOREIGN_PREFIX where something else lies
 * (in `cacheDir` too), ISLE_CORRUPT, ISLE_UNAVAILABLE when the store does not answer, the signal's reason.
 */
export async function openReader<
	const KeyEncoding extends Encoding = 'utf8',
	const ValueEncoding extends Encoding = 'utf8',
>(
	location: string | URL | ObjectStore,
	options: OpenReaderOptions<KeyEncoding, ValueEncoding> = {},
): Promise<DatabaseReader<Decoded<KeyEncoding>, Decoded<ValueEncoding>>> {
	refuseUnknownOptions('options of openReader', options, OPEN_READER_OPTION_NAMES)
	const recent = new RecentCommits()
	const parts = await openReaderParts(location, {
		...options,
		onLoaded: loaded => {
			recent.add(loaded)
			options.onLoaded?.(loaded)
		},
	})
	const reader = new DatabaseReader<Decoded<KeyEncoding>, Decoded<ValueEncoding>>(parts, recent)
	try {
		await reader.warmUp(options.signal)
	} catch (error) {
		await reader.close()
		throw error
	}
	return reader
}

export interface DatabaseReaderStats extends ReaderStats {
	readonly tails: TailStats
}

export class DatabaseReader<Key = string, Value = string> extends Reader<Key, Value> {
	readonly #tails: Tails<Key, Value>
	readonly #pins: Pins<Key, Value>
	readonly #past: TimeTravel<Key, Value>

	/** Takes over `parts`: it closes them. Use `openReader`. @internal */
	constructor(parts: ReaderParts, recent: RecentCommits) {
		super(parts)
		const { follower, store, source, blobs, pool, host, settings } = parts
		this.#tails = createTails<Key, Value>({
			log: follower.log,
			source: follower,
			recent,
			tables: source,
			blobs,
			counts: this.core.operations.tail,
			pool,
			host,
			keys: settings.keys,
			values: settings.values,
		})
		const current = (): Manifest => this.views.view().manifest
		const refreshed = async (request: ReadOptions): Promise<Manifest> => {
			await this.refresh(request)
			return follower.manifest
		}
		const pinSource = { pinnable: refreshed, refreshed }
		this.#pins = new Pins({ store, host }, pinSource, this.snapshots)
		this.#past = new TimeTravel({ log: follower.log, host, snapshots: this.snapshots, current, refreshed })
	}

	override stats(): DatabaseReaderStats {
		return { ...super.stats(), tails: this.#tails.stats() }
	}

	/**
	 * Keeps the newest state on the store under `name` until it is released or expires, whatever becomes
	 * of this process: nothing that it needs is collected meanwhile. This is the one call with which
	 * a reader writes to the store: one PUT, 2 refreshes.
	 * @throws TypeError, RangeError; ISLE_NOT_FOUND where no database is yet; ISLE_DENIED where this process may not write;
	 * ISLE_UNAVAILABLE; the signal's reason.
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

	/** @internal */
	protected override heldManifests(): Manifest[] {
		return [...super.heldManifests(), ...this.#tails.heldManifests()]
	}

	override close(): Promise<void> {
		this.#tails.close()
		return super.close()
	}
}
