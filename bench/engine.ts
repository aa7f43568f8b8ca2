/**
 * What a scenario asks of an engine. One file in `engines/` makes one engine and is the only one to import its package, or to
 * know its program; what is not installed, or cannot be built, is said by name, and the others run without it.
 */
import type { BenchCodec } from './arguments.ts'

export interface EngineOptions {
	/** Empty, and the engine's own. */
	readonly directory: string
	readonly store: string
	readonly codec: BenchCodec
	/** What keys and values are: `get` and scans give the same back. */
	readonly form: 'text' | 'bytes'
	/** Memory for blocks that are read. Default: the engine's own. */
	readonly cacheBytes?: number | undefined
	/** What encodes tables, where the engine lets one say so: this thread, or so many others. Default: the engine's own. */
	readonly pool?: 'inline' | number | undefined
	/** Durable writes are waited for: where an engine trades their latency for requests, it should not. */
	readonly isLatencyBound?: boolean | undefined
	/** Nobody merges tables meanwhile, where an engine lets one say so. */
	readonly isUnmaintained?: boolean | undefined
	/** Everything between two commits goes into one table, where the engine lets one say so. */
	readonly isBulkLoad?: boolean | undefined
}

export interface RequestCount {
	readonly requests: number
	readonly sentBytes: number
	readonly receivedBytes: number
	readonly estimatedUsd: number
}

export interface Requests extends RequestCount {
	/** `get`, `put` …, as the engine tells them apart. */
	readonly byKind: Readonly<Record<string, RequestCount>>
}

/** Part of a record: text where an engine should see strings. */
export type Datum = Uint8Array | string

/** In the order of keys; all of them by default. */
export interface ScanRange {
	/** The first key, or the last one where the order is reversed. */
	readonly start?: string | undefined
	readonly limit?: number | undefined
	readonly isReverse?: boolean | undefined
}

/** One tail; use one of its methods, once. */
export interface TailProbe {
	/** Takes `count` changes in batches, and ends. Resolves with the cursor of the last one. */
	cursorAfter(count: number): Promise<string>
	/** Takes `count` changes one by one from the Observable, and ends. */
	observe(count: number): Promise<void>
}

/** An open database. Keys and values are of the form that it was opened with. */
export interface Session {
	/** One record; resolves when it may be relied upon within the process. Bytes may change afterwards. */
	put(key: Datum, value: Datum): Promise<void>
	/** All of them, or none. `isDurable`: on the disk (or store) when it resolves. */
	writeBatch(keys: readonly Datum[], values: readonly Datum[], isDurable: boolean): Promise<void>
	/** One record, on the disk (or store) when it resolves. */
	putDurably(key: Uint8Array, value: Uint8Array): Promise<void>
	/** Everything accepted so far is on the disk (or store) when it resolves. */
	commit(): Promise<void>
	get(key: string): Promise<unknown>
	getMany(keys: readonly string[]): Promise<readonly unknown[]>
	/** A get without a promise, when the engine has one; `undefined` for what is absent. */
	readonly getSync?: (key: string) => unknown
	/** The same where an engine gives a view of its own memory, good until the next get. */
	readonly getView?: (key: string) => unknown
	/** How many rows there are from `start` on, up to `limit`; each is made into a key and a value. */
	firstRows(start: string, limit: number): Promise<number>
	/** Row by row: asynchronous where the engine is. */
	rows(range: ScanRange): AsyncIterable<unknown> | Iterable<unknown>
	/** By batches of the engine, or of 512 rows where it has none. */
	batches(range: ScanRange): AsyncIterable<{ readonly length: number }> | Iterable<{ readonly length: number }>
	/** Committed changes from `'start'` or behind a cursor; begins at once. */
	tail?(from: string): TailProbe
	requests?(): Requests
	/** One bare PUT of that many bytes, under a new name, to the store beneath. */
	barePut?(bytes: number): Promise<void>
	close(): Promise<void>
}

/** What cases are made of. */
export interface Engine {
	readonly name: string
	/** What it can write to: names of `stores/`. */
	readonly stores: readonly string[]
	/** Puts in flight at which it is fastest. */
	readonly putsInFlight: number
	/** Whether it takes many records in one call. */
	readonly hasBatches: boolean
	/** What `codec` is there. */
	codecName(codec: BenchCodec): string
	/** The settings that differ from its defaults, for the report. */
	settings(codec: BenchCodec): string
}

/** In the process of the benchmark, which calls it. */
export interface EmbeddedEngine extends Engine {
	readonly kind: 'embedded'
	/** What must be installed, as `npm install` takes it; undefined for this project itself. */
	readonly packageName: string | undefined
	open(options: EngineOptions): Promise<Session>
}
