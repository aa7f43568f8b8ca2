/**
 * Reading over any view: shared by `Reader`, by snapshots and by the database of the writer's own process.
 *
 * The core owns the caches (through its table source) and the encodings; what it reads is told each time by a
 * `ViewProvider`: the newest view, or a pinned one.
 *
 * `get` answers without waiting when what it needs is in memory: then it costs one resolved promise.
 */
import type { Encodable, Transcoder } from '../bytes/encoding.ts'
import type { TableSource } from '../cache/table-source.ts'
import { IsleError } from '../errors.ts'
import { abortable } from '../host/abortable.ts'
import type { Ending } from '../host/ending.ts'
import type { Host } from '../host/host.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { OperationCounts } from '../object-store/operation-counts.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { KIND_BLOB } from '../sst/entry.ts'
import type { BlobReader } from './blob-reader.ts'
import { type ColdKey, lookupCold } from './cold-lookup.ts'
import { getMany } from './get-many.ts'
import { getStream } from './get-stream.ts'
import { KeyEncoder } from './key-encoder.ts'
import { type KeyRange, parseRange, type RangeOptions } from './key-range.ts'
import { Hit, LOOKUP_ABSENT, LOOKUP_COLD, LOOKUP_FOUND, lookupCached } from './lookup.ts'
import { newOperations, type Operations } from './operations.ts'
import { type PrefetchResult, type PrefetchSettings, type PrefetchTotals, prefetch } from './prefetch.ts'
import type { ReadView } from './read-view.ts'
import { ReadWays } from './read-ways.ts'
import { type Reading, withRenewal } from './renewal.ts'
import { RowBatch, type RowShape } from './row-batch.ts'
import { Scan } from './scan.ts'
import type { OpenScan, ScanHost } from './scan-feed.ts'
import type { ScanMerge } from './scan-merge.ts'
import { openMerge } from './scan-sources.ts'
import { planSearch, type SearchPlan } from './search-plan.ts'
import { TouchAhead } from './touch-ahead.ts'
import { type StreamOptions, valueRange } from './value-stream.ts'

/** Turns of the event loop that a read waits for before it takes the way of those that take their time. */
const MAX_TURNS = 8

export interface ReadCoreOptions {
	readonly source: TableSource
	readonly blobs: BlobReader
	readonly pool: JobPool
	readonly host: Host
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
}

/** Whose state is read. */
export interface ViewProvider {
	/** The view of a read that begins now. @throws ISLE_CLOSED, or the failure of the database. */
	view(): ReadView
	/** Time by which entries have expired, for a read that begins now. */
	nowMs(): number
	/**
	 * A view instead of `gone`, whose objects are not in the store any more, as `cause` says. Rejects with ISLE_EXPIRED when
	 * there can be none, with ISLE_CORRUPT when the newest state misses the object too.
	 */
	renew(gone: ReadView, cause: unknown, signal: AbortSignal | undefined): Promise<ReadView>
}

export interface ReadOptions {
	readonly signal?: AbortSignal | undefined
}

const NOTHING: Promise<undefined> = Promise.resolve(undefined)
const YES = Promise.resolve(true)
const NO = Promise.resolve(false)

export class ReadCore<Key, Value> {
	/** Totals by kind of operation; those of tails are counted by whoever owns the tails. */
	readonly operations: Operations = newOperations()
	readonly #ways: ReadWays
	readonly #options: ReadCoreOptions
	readonly #keys: Transcoder<unknown>
	readonly #values: Transcoder<Value>
	readonly #keyEncoder: KeyEncoder
	/** Written by lookups from memory, read before anything else runs. */
	readonly #hit = new Hit()
	readonly #ahead = new TouchAhead()
	readonly #scans = new Set<OpenScan>()
	#isClosed = false
	#planned: Manifest | undefined
	#plan: SearchPlan | undefined
	readonly #plans = new WeakMap<Manifest, SearchPlan>()

	constructor(options: ReadCoreOptions) {
		this.#ways = new ReadWays(options, this.operations)
		this.#options = options
		this.#keys = options.keys
		// The transcoder was chosen by the encoding that `Value` is derived from.
		this.#values = options.values as Transcoder<Value>
		this.#keyEncoder = new KeyEncoder(options.keys)
	}

	/** Iterators that hold something. */
	get openScans(): number {
		return this.#scans.size
	}

	/** Calls `listener` when an iterator lets go what it held. */
	onRelease: () => void = () => undefined

	/** What open iterators read. */
	heldManifests(): Manifest[] {
		return [...this.#scans].map(scan => scan.manifest)
	}

	/** The value of `key`, or undefined. A `Uint8Array` is a copy that the caller owns. */
	get(views: ViewProvider, key: Encodable<Key>, options?: ReadOptions): Promise<Value | undefined> {
		try {
			const signal = options?.signal
			signal?.throwIfAborted()
			const bytes = this.#keyEncoder.encode(key)
			const view = views.view()
			const hit = this.#hit
			const { source, counts } = this.#ways.get
			counts.calls++
			const status = lookupCached(source, this.planOf(view.manifest), view, bytes, hit, true)
			if (status === LOOKUP_COLD) return this.#getCold(views, view, new Uint8Array(bytes), signal)
			if (status === LOOKUP_ABSENT || !isVisible(hit, views)) return NOTHING
			if (hit.kind === KIND_BLOB) return this.#getCold(views, view, new Uint8Array(bytes), signal)
			return Promise.resolve(this.#values.decode(hit.bytes, hit.start, hit.end))
		} catch (error) {
			return Promise.reject(error)
		}
	}

	/** The same at once, from memory alone: `ifCold` when something would have to be fetched. */
	getCached<Cold>(views: ViewProvider, key: Encodable<Key>, ifCold: Cold): Value | undefined | Cold {
		const bytes = this.#keyEncoder.encode(key)
		const view = views.view()
		const hit = this.#hit
		const { source, counts } = this.#ways.get
		counts.calls++
		const status = lookupCached(source, this.planOf(view.manifest), view, bytes, hit, false)
		if (status === LOOKUP_COLD) return ifCold
		if (status === LOOKUP_ABSENT || !isVisible(hit, views)) return undefined
		return hit.kind === KIND_BLOB ? ifCold : this.#values.decode(hit.bytes, hit.start, hit.end)
	}

	/** Whether `key` has a value. Large values are not read. */
	has(views: ViewProvider, key: Encodable<Key>, options?: ReadOptions): Promise<boolean> {
		try {
			const signal = options?.signal
			signal?.throwIfAborted()
			const bytes = this.#keyEncoder.encode(key)
			const view = views.view()
			const hit = this.#hit
			const { source, counts } = this.#ways.get
			counts.calls++
			const status = lookupCached(source, this.planOf(view.manifest), view, bytes, hit, true)
			if (status === LOOKUP_COLD) return this.#hasCold(views, view, new Uint8Array(bytes), signal)
			return status === LOOKUP_FOUND && isVisible(hit, views) ? YES : NO
		} catch (error) {
			return Promise.reject(error)
		}
	}

	/**
	 * The values of `keys`, in their order, all of one view. What is not in memory is fetched once for all, side by side,
	 * neighbouring blocks together.
	 */
	async getMany(
		views: ViewProvider,
		keys: readonly Encodable<Key>[],
		options?: ReadOptions,
	): Promise<(Value | undefined)[]> {
		if (!Array.isArray(keys)) throw new TypeError('Expected `keys` to be an array')
		const signal = options?.signal
		signal?.throwIfAborted()
		const { source, blobs, counts } = this.#ways.getMany
		counts.calls++
		return await withRenewal(this.#reading(counts, views, views.view(), signal), view =>
			getMany(keys, {
				ahead: this.#ahead,
				source,
				plan: this.planOf(view.manifest),
				view,
				nowMs: views.nowMs(),
				keyEncoder: this.#keyEncoder,
				values: this.#values,
				blobs,
				signal,
			}),
		)
	}

	/** The value of `key`, or a part of it, in pieces that the caller owns. Undefined when there is none. */
	async getStream(
		views: ViewProvider,
		key: Encodable<Key>,
		options: StreamOptions = {},
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const { signal } = options
		const range = valueRange(options)
		signal?.throwIfAborted()
		const bytes = new Uint8Array(this.#keyEncoder.encode(key))
		const { source, blobs, counts } = this.#ways.getStream
		counts.calls++
		return await getStream({
			views,
			blobs,
			range,
			signal,
			reading: first => this.#reading(counts, views, first, signal),
			lookup: (view, use) => this.#lookup(source, view, bytes, signal, use),
		})
	}

	/** Of this and the two below: where `ready` is given the view is that of the moment when it resolves. */
	entries(views: ViewProvider, range: RangeOptions<Encodable<Key>>, ready?: Promise<void>): Scan<[Key, Value]> {
		return this.#scan(views, range, 'entries', ready)
	}

	keysOf(views: ViewProvider, range: RangeOptions<Encodable<Key>>, ready?: Promise<void>): Scan<Key> {
		return this.#scan(views, range, 'keys', ready)
	}

	valuesOf(views: ViewProvider, range: RangeOptions<Encodable<Key>>, ready?: Promise<void>): Scan<Value> {
		return this.#scan(views, range, 'values', ready)
	}

	/** Warms the caches for `range`: of blocks too, or only what opening tables needs. */
	async prefetch(
		views: ViewProvider,
		range: RangeOptions<Encodable<Key>>,
		settings: PrefetchSettings,
	): Promise<PrefetchResult> {
		const { signal } = settings
		signal?.throwIfAborted()
		const parsed = parseRange(range, this.#keyEncoder)
		const totals: PrefetchTotals = { blocks: 0, bytes: 0, spentBytes: 0 }
		const { source, counts } = this.#ways.prefetch
		counts.calls++
		return await withRenewal(this.#reading(counts, views, views.view(), signal), view =>
			prefetch(source, this.planOf(view.manifest), parsed, settings, totals),
		)
	}

	/**
	 * A merge over the entries of `view` within `range`, for who wants more of them than rows. The caller holds the view's
	 * memtables. `remaining` says how many are still wanted; `ending` ends what is read.
	 */
	openMerge(
		view: ReadView,
		range: KeyRange,
		nowMs: number,
		remaining: () => number,
		ending: Pick<Ending, 'signal'>,
	): ScanMerge | Promise<ScanMerge> {
		if (this.#isClosed) throw new IsleError('ISLE_CLOSED', 'the database is closed')
		const plan = this.planOf(view.manifest)
		const { pool } = this.#options
		return openMerge({ source: this.#ways.scan.source, pool, plan, view, range, nowMs, remaining, ending })
	}

	/** Closes every iterator: their next calls reject with ISLE_CLOSED. */
	async close(): Promise<void> {
		this.#isClosed = true
		for (const scan of this.#scans) await scan.close()
	}

	/** How the tables of `manifest` are searched; made once for each manifest. */
	planOf(manifest: Manifest): SearchPlan {
		if (this.#planned === manifest && this.#plan !== undefined) return this.#plan
		let plan = this.#plans.get(manifest)
		if (plan === undefined) {
			plan = planSearch(manifest, this.#options.source)
			this.#plans.set(manifest, plan)
		}
		this.#planned = manifest
		this.#plan = plan
		return plan
	}

	/**
	 * Hands `use` what a view has of `key`, fetched where it must be, to use before it returns. `key` is not changed meanwhile.
	 * The store, if it answers at once but for others that have their turn first, is asked again when they have had it.
	 */
	async #lookup<Result>(
		source: TableSource,
		view: ReadView,
		key: Uint8Array,
		signal: AbortSignal | undefined,
		use: (hit: Hit | undefined) => Result | Promise<Result>,
	): Promise<Result> {
		const plan = this.planOf(view.manifest)
		let turn = source.takeTurn()
		for (let turns = 0; turn !== undefined && turns < MAX_TURNS; turns++) {
			await turn
			signal?.throwIfAborted()
			const status = lookupCached(source, plan, view, key, this.#hit, true)
			if (status !== LOOKUP_COLD) return use(status === LOOKUP_FOUND ? this.#hit : undefined)
			turn = source.takeTurn()
		}
		const cold: ColdKey = { key, hit: new Hit(), status: LOOKUP_COLD }
		await lookupCold(source, plan, view, [cold], signal)
		return use(cold.status === LOOKUP_FOUND ? cold.hit : undefined)
	}

	#getCold(
		views: ViewProvider,
		first: ReadView,
		key: Uint8Array,
		signal: AbortSignal | undefined,
	): Promise<Value | undefined> {
		const { source, blobs, counts } = this.#ways.get
		return withRenewal(this.#reading(counts, views, first, signal), view =>
			this.#lookup<Value | undefined>(source, view, key, signal, hit => {
				if (hit === undefined || !hit.isVisible(views.nowMs())) return undefined
				if (hit.kind !== KIND_BLOB) return this.#values.decode(hit.bytes, hit.start, hit.end)
				const ref = hit.bytes.slice(hit.start, hit.end)
				return blobs.read(view.manifest, ref, signal).then(value => this.#values.decode(value, 0, value.length))
			}),
		)
	}

	#hasCold(views: ViewProvider, first: ReadView, key: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
		const { source, counts } = this.#ways.get
		return withRenewal(this.#reading(counts, views, first, signal), view =>
			this.#lookup(source, view, key, signal, hit => hit?.isVisible(views.nowMs()) ?? false),
		)
	}

	#reading(counts: OperationCounts, views: ViewProvider, first: ReadView, signal: AbortSignal | undefined): Reading {
		return { views, first, signal, counts, clock: this.#options.host.clock }
	}

	#scan<Row>(
		views: ViewProvider,
		range: RangeOptions<Encodable<Key>>,
		shape: RowShape,
		ready: Promise<void> | undefined,
	): Scan<Row> {
		const parsed = parseRange(range, this.#keyEncoder)
		// Filled in when it is ready, before anything of it is read.
		const view = ready === undefined ? views.view() : { ...views.view() }
		let waiting = ready
		ready?.catch(() => undefined)
		const nowMs = views.nowMs()
		const { clock } = this.#options.host
		const { blobs, counts } = this.#ways.scan
		counts.calls++
		const host: ScanHost = {
			monotonicMs: () => clock.monotonicMs(),
			yieldToIo: () => clock.yieldToIo(),
			newBatch: () => new RowBatch(shape, this.#keys, this.#values),
			encodeBound: key => this.#keyEncoder.encodeBound(key, 'key'),
			readBlob: (of, ref, signal) => blobs.read(of.manifest, ref, signal),
			renew: (gone, cause, signal) => views.renew(gone, cause, signal),
			onWaited: ms => {
				counts.elapsedMs += ms
			},
			onHold: scan => this.#scans.add(scan),
			onRelease: scan => {
				if (this.#scans.delete(scan)) this.onRelease()
			},
			openMerge: (of, part, remaining, ending) => {
				if (waiting === undefined) return this.openMerge(of, part, nowMs, remaining, ending)
				return abortable(waiting, ending.signal).then(() => {
					if (waiting !== undefined) Object.assign(view, views.view())
					waiting = undefined
					return this.openMerge(view, part, nowMs, remaining, ending)
				})
			},
		}
		return new Scan<Row>(host, view, parsed, range.signal)
	}
}

/** The clock is asked only where an entry can expire: it costs as much as a filter does. */
function isVisible(hit: Hit, views: ViewProvider): boolean {
	return hit.isVisible(hit.expiresAtMs === 0 ? 0 : views.nowMs())
}
