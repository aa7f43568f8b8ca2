/**
 * A store in the memory of this thread: for tests, the simulator, and data that need not outlive the process.
 *
 * Every call does its whole work in one step before it returns its promise, so calls are atomic, a signal or deadline
 * can only be past before the step, and `createIfAbsent` never answers `unknown` once it has begun.
 *
 * Invariants: stored arrays are never changed and never handed out; `#sorted` and `#fresh` hold each key once, and
 * hold every key of `#objects` and of `#dead` and no other.
 */
import { IsleError } from '../errors.ts'
import { type Host, systemHost } from '../host/host.ts'
import { checkRange, joinBody, rangeTarget, shortObject } from './body.ts'
import { type CallName, throwIfOverBefore, withLimits } from './deadline.ts'
import { listQuery } from './list-query.ts'
import { checkObjectKey, compareKeys } from './object-key.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectInfo,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from './object-store.ts'
import { consumePieces, PieceStream, SourceFailure } from './piece-stream.ts'

interface StoredObject {
	readonly bytes: Uint8Array
	readonly lastModifiedMs: number
}

const CREATED: CreateOutcome = { kind: 'created' }
const EXISTS: CreateOutcome = { kind: 'exists' }
/** Up to this many new keys are inserted one by one into the sorted ones; more are sorted and merged. */
const MAX_INSERTED_KEYS = 16

/** Objects by key, and their keys in order, sorted only when a listing asks. */
class MemoryObjects {
	readonly #objects = new Map<string, StoredObject>()
	#sorted: string[] = []
	#fresh: string[] = []
	/** Deleted, but still among the keys in order. */
	readonly #dead = new Set<string>()

	get(key: string): StoredObject | undefined {
		return this.#objects.get(key)
	}

	set(key: string, object: StoredObject): void {
		if (!this.#objects.has(key) && !this.#dead.delete(key)) this.#fresh.push(key)
		this.#objects.set(key, object)
	}

	delete(key: string): void {
		if (this.#objects.delete(key)) this.#dead.add(key)
	}

	page(options: ListOptions | undefined): ListPage {
		const { prefix, startAfter, limit } = listQuery(options)
		this.#sort()
		const objects: ObjectInfo[] = []
		const from = compareKeys(prefix, startAfter) > 0 ? prefix : startAfter
		for (let i = lowerBound(this.#sorted, from); i < this.#sorted.length; i++) {
			const key = this.#sorted[i] as string
			if (!key.startsWith(prefix)) break
			const object = this.#objects.get(key)
			if (object === undefined || key === startAfter) continue
			if (objects.length === limit) return { objects, isTruncated: true }
			objects.push({ key, bytes: object.bytes.byteLength, lastModifiedMs: object.lastModifiedMs })
		}
		return { objects, isTruncated: false }
	}

	#sort(): void {
		if (this.#fresh.length > MAX_INSERTED_KEYS) {
			this.#sorted = merge(this.#sorted, this.#fresh.sort(compareKeys))
		} else {
			for (const key of this.#fresh) this.#sorted.splice(lowerBound(this.#sorted, key), 0, key)
		}
		this.#fresh = []
		if (this.#dead.size * 2 > this.#sorted.length) {
			this.#sorted = this.#sorted.filter(key => !this.#dead.has(key))
			this.#dead.clear()
		}
	}
}

/** Stores by name. Its entries live as long as the thread: what is put into a named memory store stays. */
const named = new Map<string, MemoryObjects>()

export class MemoryStore implements ObjectStore {
	readonly url: string
	readonly takesSharedBodies = true
	readonly #host: Host
	readonly #objects: MemoryObjects
	#isClosed = false

	/**
	 * With a `name`, the store of that name in this thread (a worker thread has its own), created at first use; it
	 * keeps its objects over `close()`. Without, an empty store of its own.
	 */
	constructor(options: { readonly name?: string | undefined; readonly host?: Host | undefined } = {}) {
		const name = options.name ?? ''
		this.url = `memory:${name}`
		this.#host = options.host ?? systemHost
		this.#objects = (name === '' ? undefined : named.get(name)) ?? new MemoryObjects()
		if (name !== '') named.set(name, this.#objects)
	}

	async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		this.#begin('get', key, options)
		const object = this.#objects.get(key)
		return object === undefined ? undefined : joinBody(object.bytes)
	}

	async getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		checkRange(range)
		this.#begin('getRange', key, options)
		const object = this.#objects.get(key)
		if (object === undefined) return undefined
		checkWithin(object, range, key)
		const target = rangeTarget(range, options)
		target.set(object.bytes.subarray(range.offset, range.offset + range.bytes))
		return target
	}

	async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		this.#begin('put', key, options)
		this.#objects.set(key, this.#stored(joinBody(body)))
	}

	async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const bytes = joinBody(body)
		this.#check(key)
		return withLimits<CreateOutcome>(
			this.#host.clock,
			{ operation: 'createIfAbsent', key },
			options,
			Infinity,
			async () => this.#create(key, bytes),
			cause => ({ kind: 'unknown', cause }),
		)
	}

	async list(options?: ListOptions): Promise<ListPage> {
		this.#throwIfClosed()
		throwIfOverBefore({ operation: 'list', key: options?.prefix ?? '' }, options)
		return this.#objects.page(options)
	}

	async delete(key: string, options?: RequestOptions): Promise<void> {
		this.#begin('delete', key, options)
		this.#objects.delete(key)
	}

	async deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		for (const key of keys) checkObjectKey(key)
		this.#throwIfClosed()
		throwIfOverBefore({ operation: 'deleteMany', key: keys[0] ?? '' }, options)
		for (const key of keys) this.#objects.delete(key)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		if (range !== undefined) checkRange(range)
		this.#begin('getStream', key, options)
		const object = this.#objects.get(key)
		if (object === undefined) return undefined
		if (range !== undefined) checkWithin(object, range, key)
		const begin = range?.offset ?? 0
		const source = {
			key,
			begin,
			end: range === undefined ? object.bytes.byteLength : begin + range.bytes,
			read: async (offset: number, bytes: number) => joinBody(object.bytes.subarray(offset, offset + bytes)),
			release: () => {},
		}
		return new PieceStream(this.#host.clock, source, options, Infinity)
	}

	async createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		this.#check(key)
		const name: CallName = { operation: 'createFromStream', key }
		try {
			return await withLimits<CreateOutcome>(this.#host.clock, name, options, Infinity, async scope => {
				const pieces: Uint8Array[] = []
				await consumePieces(body, scope, piece => {
					pieces.push(joinBody(piece))
				})
				scope.throwIfOver()
				this.#throwIfClosed()
				return this.#create(key, joinBody(pieces))
			})
		} catch (error) {
			throw error instanceof SourceFailure ? error.cause : error
		}
	}

	async close(): Promise<void> {
		this.#isClosed = true
	}

	#begin(operation: string, key: string, options: RequestOptions | undefined): void {
		this.#check(key)
		if (options !== undefined) throwIfOverBefore({ operation, key }, options)
	}

	#check(key: string): void {
		checkObjectKey(key)
		this.#throwIfClosed()
	}

	#throwIfClosed(): void {
		if (this.#isClosed) throw new IsleError('ISLE_CLOSED', `the store is closed: url=\`${this.url}\``)
	}

	#create(key: string, bytes: Uint8Array): CreateOutcome {
		if (this.#objects.get(key) !== undefined) return EXISTS
		this.#objects.set(key, this.#stored(bytes))
		return CREATED
	}

	#stored(bytes: Uint8Array): StoredObject {
		return { bytes, lastModifiedMs: this.#host.clock.nowMs() }
	}
}

function checkWithin(object: StoredObject, range: ByteRange, key: string): void {
	if (range.offset + range.bytes > object.bytes.byteLength) throw shortObject(key, range, object.bytes.byteLength)
}

/** Index of the first key at or above `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
	let low = 0
	let high = sorted.length
	while (low < high) {
		const middle = (low + high) >>> 1
		if (compareKeys(sorted[middle] as string, key) < 0) low = middle + 1
		else high = middle
	}
	return low
}

function merge(a: readonly string[], b: readonly string[]): string[] {
	const merged: string[] = []
	let i = 0
	let j = 0
	while (i < a.length && j < b.length) {
		merged.push(compareKeys(a[i] as string, b[j] as string) < 0 ? (a[i++] as string) : (b[j++] as string))
	}
	while (i < a.length) merged.push(a[i++] as string)
	while (j < b.length) merged.push(b[j++] as string)
	return merged
}
