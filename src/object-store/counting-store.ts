/**
 * Counts what a store is asked: requests, bytes and estimated cost, by kind. A request is counted when it begins; what
 * the wrapper above retries is counted each time when this one is beneath it.
 */
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
import { type PriceTable, type RequestKind, S3_STANDARD_PRICES } from './prices.ts'
import { newTally, type Tally, type Trace, Tracer } from './trace.ts'

/** What one kind of request came to. */
export interface RequestCount {
	readonly requests: number
	/** Of these, how many rejected or answered `unknown`. */
	readonly failures: number
	/** Bytes of the bodies handed to the store, whether or not they arrived. */
	readonly sentBytes: number
	/** Bytes of the bodies that the store handed out. */
	readonly receivedBytes: number
	/** US dollars by the price table. */
	readonly estimatedUsd: number
}

export interface RequestSnapshot {
	readonly byKind: Readonly<Record<RequestKind, RequestCount>>
	readonly total: RequestCount
	/** What the estimate is made from. */
	readonly prices: PriceTable
}

export interface CountingStore extends ObjectStore {
	/** Whoever traces an operation with it has the requests of that operation counted in the trace too. */
	readonly tracer: Tracer
	/** The counts of one operation. */
	snapshotOf(trace: Trace): RequestSnapshot
	/** The counts since the start or the last `reset`; a copy. */
	snapshot(): RequestSnapshot
	reset(): void
}

export interface CountingStoreOptions {
	/** Default `S3_STANDARD_PRICES`. */
	readonly prices?: PriceTable | undefined
}

const NOTHING: Readonly<Tally> = newTally()
/** A batch deletion is one request for each 1000 keys, as on S3. */
const KEYS_PER_DELETE_REQUEST = 1000

/** Wraps `store`; `close()` closes it too, and the counts stay readable. */
export function countingStore(store: ObjectStore, options: CountingStoreOptions = {}): CountingStore {
	return new Counting(store, options.prices ?? S3_STANDARD_PRICES)
}

class Counting implements CountingStore {
	readonly url: string
	readonly takesSharedBodies: boolean | undefined
	readonly tracer: Tracer = new Tracer()
	readonly #store: ObjectStore
	readonly #prices: PriceTable
	/** Of the kinds that were asked for. */
	#tallies: Partial<Record<RequestKind, Tally>> = {}

	constructor(store: ObjectStore, prices: PriceTable) {
		this.url = store.url
		this.takesSharedBodies = store.takesSharedBodies
		this.#store = store
		this.#prices = prices
	}

	snapshot(): RequestSnapshot {
		return this.#snapshotOf(this.#tallies)
	}

	snapshotOf(trace: Trace): RequestSnapshot {
		return this.#snapshotOf(trace.tallies)
	}

	#snapshotOf(tallies: Readonly<Partial<Record<RequestKind, Tally>>>): RequestSnapshot {
		const total = { requests: 0, failures: 0, sentBytes: 0, receivedBytes: 0, estimatedUsd: 0 }
		const byKind = fromEachKind(kind => {
			const { requests, failures, sentBytes, receivedBytes } = tallies[kind] ?? NOTHING
			const estimatedUsd = requests * this.#prices.usdPerRequest[kind]
			total.requests += requests
			total.failures += failures
			total.sentBytes += sentBytes
			total.receivedBytes += receivedBytes
			total.estimatedUsd += estimatedUsd
			return { requests, failures, sentBytes, receivedBytes, estimatedUsd }
		})
		return { byKind, total, prices: this.#prices }
	}

	reset(): void {
		this.#tallies = {}
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#count('get', 0, this.#store.get(key, options), receivedBytes)
	}

	getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		return this.#count('getRange', 0, this.#store.getRange(key, range, options), receivedBytes)
	}

	/** Counts as `getRange` when it has read. */
	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		const answer = this.#store.readNow?.(key, offset, target) ?? false
		if (answer === true) {
			for (const tally of this.#talliesNow('getRange')) {
				tally.requests++
				tally.receivedBytes += target.byteLength
			}
		}
		return answer
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		return this.#count('put', lengthOf(body), this.#store.put(key, body, options))
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const tallies = this.#talliesNow('createIfAbsent')
		const answer = this.#store.createIfAbsent(key, body, options)
		return this.#count('createIfAbsent', lengthOf(body), answer, outcome => countUnknown(tallies, outcome))
	}

	list(options?: ListOptions): Promise<ListPage> {
		return this.#count('list', 0, this.#store.list(options))
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#count('delete', 0, this.#store.delete(key, options))
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		const extra = Math.ceil(keys.length / KEYS_PER_DELETE_REQUEST) - 1
		for (const tally of this.#talliesNow('deleteMany')) tally.requests += extra
		return this.#count('deleteMany', 0, this.#store.deleteMany(keys, options))
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const tallies = this.#talliesNow('getStream')
		const pieces = await this.#count('getStream', 0, this.#store.getStream(key, range, options))
		if (pieces === undefined) return undefined
		return countedPieces(pieces, bytes => {
			for (const tally of tallies) tally.receivedBytes += bytes
		})
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		const tallies = this.#talliesNow('createFromStream')
		const counted = countedPieces(body, bytes => {
			for (const tally of tallies) tally.sentBytes += bytes
		})
		const answer = this.#store.createFromStream(key, counted, options)
		return this.#count('createFromStream', 0, answer, outcome => countUnknown(tallies, outcome))
	}

	close(): Promise<void> {
		return this.#store.close()
	}

	/** Of the moment when a call begins: what all calls came to, and the operation that is traced. */
	#talliesNow(kind: RequestKind): readonly Tally[] {
		const trace = this.tracer.current()
		const tally = tallyOf(this.#tallies, kind)
		return trace === undefined ? [tally] : [tally, tallyOf(trace.tallies, kind)]
	}

	/** `received` answers the bytes of a result. Each request comes by here: without an async function it is a promise less. */
	#count<T>(kind: RequestKind, sentBytes: number, answer: Promise<T>, received?: (value: T) => number): Promise<T> {
		const tallies = this.#talliesNow(kind)
		for (const tally of tallies) {
			tally.requests++
			tally.sentBytes += sentBytes
		}
		return Promise.resolve(answer).then(
			value => {
				if (received !== undefined) {
					const bytes = received(value)
					for (const tally of tallies) tally.receivedBytes += bytes
				}
				return value
			},
			(error: unknown) => {
				for (const tally of tallies) tally.failures++
				throw error
			},
		)
	}
}

function tallyOf(tallies: Partial<Record<RequestKind, Tally>>, kind: RequestKind): Tally {
	const known = tallies[kind]
	if (known !== undefined) return known
	const fresh = newTally()
	tallies[kind] = fresh
	return fresh
}

function receivedBytes(body: Uint8Array | undefined): number {
	return body?.byteLength ?? 0
}

/** An `unknown` is a failure; no create receives bytes. */
function countUnknown(tallies: readonly Tally[], outcome: CreateOutcome): number {
	if (outcome.kind === 'unknown') for (const tally of tallies) tally.failures++
	return 0
}

/** Of what may be no body at all: the store beneath says what is wrong with it. */
function lengthOf(body: Body): number {
	if (body instanceof Uint8Array) return body.byteLength
	return Array.isArray(body) ? body.reduce((sum: number, piece: Uint8Array) => sum + piece.byteLength, 0) : 0
}

/** The same pieces, counted as they pass; ending it ends the source. By hand, so that it can be ended while it waits. */
function countedPieces(pieces: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncIterable<Uint8Array> {
	if (typeof pieces !== 'object' || pieces === null || !(Symbol.asyncIterator in pieces)) return pieces
	return {
		[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
			const source = pieces[Symbol.asyncIterator]()
			return {
				async next() {
					const step = await source.next()
					if (!step.done) count(step.value.byteLength)
					return step
				},
				async return(value?: unknown) {
					await source.return?.(value)
					return { done: true, value: undefined }
				},
			}
		},
	}
}

function fromEachKind<T>(make: (kind: RequestKind) => T): Record<RequestKind, T> {
	return {
		get: make('get'),
		getRange: make('getRange'),
		getStream: make('getStream'),
		list: make('list'),
		put: make('put'),
		createIfAbsent: make('createIfAbsent'),
		createFromStream: make('createFromStream'),
		delete: make('delete'),
		deleteMany: make('deleteMany'),
	}
}
