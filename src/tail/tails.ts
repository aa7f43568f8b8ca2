/**
 * All tails of one owner (a database or a reader): what they share, and their end.
 *
 * The owner makes it with `createTails`, pushes the commits of its own writer (if it has one), and closes it first.
 */
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { Encodable, Transcoder } from '../bytes/encoding.ts'
import type { TableSource } from '../cache/table-source.ts'
import { IsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import { openWriterLog } from '../manifest/database-logs.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { OperationCounts } from '../object-store/operation-counts.ts'
import type { BlobReader } from '../reader/blob-reader.ts'
import { KeyEncoder } from '../reader/key-encoder.ts'
import { openMerge } from '../reader/scan-sources.ts'
import { planSearch } from '../reader/search-plan.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { Bootstrap } from './bootstrap.ts'
import type { Change } from './change.ts'
import { ChangeIterator, type Changes } from './change-iterator.ts'
import { CommitFeed, type FeedSource } from './commit-feed.ts'
import { type ConsumeOptions, Consumption } from './consume.ts'
import { type Observable, observeTail } from './observable.ts'
import { OrderedTables } from './ordered-tables.ts'
import type { RecentCommits } from './recent-commits.ts'
import { readableOf, webStreamOf } from './streams.ts'
import { Tail, type TailContext } from './tail.ts'
import { planTail, type TailOptions } from './tail-options.ts'

/** What tails are made of; all of it belongs to the owner. */
export interface TailComponents {
	readonly log: FencedLog
	/** A `ManifestFollower`, or a writer: `{ get manifest() { return writer.manifest } }`, with `push` for each commit. */
	readonly source: FeedSource
	/** Also given the commits that the owner reads (`onLoaded`), so that tails need not read them again. */
	readonly recent: RecentCommits
	readonly tables: TableSource
	readonly blobs: BlobReader
	/** Is told what tails read. Default: nobody. */
	readonly counts?: OperationCounts | undefined
	readonly pool: JobPool
	readonly host: Host
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
}

export interface TailConsumeOptions<Key, Value>
	extends ConsumeOptions<Key, Value>,
		Omit<TailOptions<Encodable<Key>>, 'signal'> {}

/** What the tails of a database or reader are at. */
export interface TailStats {
	/** Those that wait for the next commit. */
	readonly waiting: number
	/** Bytes of the latest commits, which are kept once there was a tail: 8 MiB at the most, whatever subscribers do. */
	readonly keptCommitBytes: number
}

/** @typeParam Key, Value as the encodings of the owner give them. */
export class Tails<Key = unknown, Value = unknown> {
	readonly #host: Host
	readonly #counts: OperationCounts
	readonly #feed: CommitFeed
	readonly #recent: RecentCommits
	readonly #components: TailComponents
	#context: TailContext | undefined
	readonly #keyEncoder: KeyEncoder
	readonly #busy = new Set<Tail>()
	readonly #atState = new Map<Tail, Bootstrap>()
	#failure: Error | undefined

	constructor(components: TailComponents) {
		const { log, source, recent, host, keys, counts = new OperationCounts() } = components
		this.#components = components
		this.#host = host
		this.#counts = counts
		this.#recent = recent
		this.#keyEncoder = new KeyEncoder(keys)
		this.#feed = new CommitFeed({ log: openWriterLog(counts.over(log.store)), source, recent, host })
	}

	/** What tails read that give the rows of a state. */
	heldManifests(): Manifest[] {
		return [...this.#atState.values()].map(bootstrap => bootstrap.manifest)
	}

	/** Tails that wait for the next commit. */
	get waiting(): number {
		return this.#feed.waiting
	}

	stats(): TailStats {
		return { waiting: this.waiting, keptCommitBytes: this.#recent.bytes }
	}

	/** Batches of changes with full back-pressure. @throws TypeError, RangeError for options; ISLE_CLOSED. */
	changes(options: TailOptions<Encodable<Key>> = {}): Changes<Key, Value> {
		const open = this.#opener(options)
		return { [Symbol.asyncIterator]: () => new ChangeIterator<Key, Value>(open()) }
	}

	/** A cold Observable of single changes. @throws as `changes`; ISLE_UNSUPPORTED when `rxjs` is not installed. */
	tail(options: TailOptions<Encodable<Key>> = {}): Observable<Change<Key, Value>> {
		return observeTail<Key, Value>(this.#opener(options), this.#host.clock)
	}

	/** A Node stream of single changes (object mode). It begins when it is made. @throws as `changes`. */
	readable(options: TailOptions<Encodable<Key>> = {}): Readable {
		return readableOf(new ChangeIterator<Key, Value>(this.#opener(options)()))
	}

	/** A web stream of single changes. It begins when it is made. @throws as `changes`. */
	webStream(options: TailOptions<Encodable<Key>> = {}): ReadableStream<Change<Key, Value>> {
		return webStreamOf(new ChangeIterator<Key, Value>(this.#opener(options)()))
	}

	/**
	 * Handles every change at least once, from the cursor of the checkpoint; where none was saved, from `from`, of which
	 * the default is 'start' here. @throws as `changes`.
	 */
	consume(options: TailConsumeOptions<Key, Value>): Consumption<Key, Value> {
		const { handler, checkpoint, concurrency, saveIntervalMs, saveEveryCount, maxAttempts, signal, ...tail } = options
		const begin = { from: 'start', ...tail } as const
		// Wrong options are told here and not by the consumption.
		this.#opener(begin)
		return new Consumption<Key, Value>(
			this.#host,
			cursor => this.changes(cursor === undefined ? begin : { ...begin, from: cursor }),
			{ handler, checkpoint, concurrency, saveIntervalMs, saveEveryCount, maxAttempts, signal },
		)
	}

	/** The writer of this process has committed, and `source.manifest` holds it: wakes the tails. In order. */
	push(loaded: LoadedCommit): void {
		this.#feed.push(loaded)
	}

	/** The owner has failed: every tail ends with `error` (and its own cursor), now and later. The first call counts. */
	fail(error: Error): void {
		if (this.#failure !== undefined) return
		this.#failure = error
		for (const tail of this.#busy) tail.end(error)
		this.#feed.close(error)
		this.#recent.clear()
	}

	/** Ends every tail with ISLE_CLOSED. Idempotent. */
	close(): void {
		this.fail(new IsleError('ISLE_CLOSED', 'the database was closed'))
	}

	#opener(options: TailOptions<Encodable<Key>>): () => Tail {
		if (this.#failure !== undefined) throw this.#failure
		const plan = planTail(options, this.#keyEncoder)
		return () => {
			this.#counts.calls++
			this.#recent.want()
			this.#context ??= this.#makeContext()
			return new Tail(this.#context, plan)
		}
	}

	/** For the first tail: most who open a database never have one. */
	#makeContext(): TailContext {
		const { source, pool, host, keys, values } = this.#components
		const tables = this.#components.tables.countedBy(this.#counts)
		const blobs = this.#components.blobs.countedBy(this.#counts)
		// Named before it is assigned: D-098.
		const wantsOffers = (): boolean => this.#busy.size > 0
		tables.demand.wantsOffers = wantsOffers
		return {
			feed: this.#feed,
			source,
			tables: new OrderedTables(tables, pool, host),
			reads: {
				openMerge: (view, range, remaining, signal) =>
					openMerge({
						source: tables,
						pool,
						plan: planSearch(view.manifest, this.#components.tables),
						view,
						range,
						nowMs: host.clock.nowMs(),
						remaining,
						ending: { signal },
					}),
			},
			largeValues: {
				read: (encodedRef, signal) => blobs.read(source.manifest, encodedRef, signal),
				open: (encodedRef, signal) => blobs.stream(source.manifest, encodedRef, signal),
			},
			keys,
			values,
			busy: this.#busy,
			atState: this.#atState,
			failure: () => this.#failure,
		}
	}
}

/** @see Tails */
export function createTails<Key = unknown, Value = unknown>(components: TailComponents): Tails<Key, Value> {
	return new Tails<Key, Value>(components)
}
