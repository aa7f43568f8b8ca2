/**
 * The store contract: what the engine asks of a bucket, a directory or a map in memory.
 *
 * Invariants that every adapter keeps (and `conformance.ts` checks):
 * - An object is seen whole or not at all; reads after a finished write see it (strong consistency).
 * - `createIfAbsent` of one key succeeds at most once, whoever calls, until that key is deleted. Its outcome is exact:
 *   `created` (this call wrote it), `exists` (the key was taken; nothing changed), `unknown` (no verdict: it may yet
 *   take effect). It never retries by itself.
 * - Absence is a value (`undefined`), never an error. Deleting what is absent succeeds.
 * - Bodies that are handed in are not kept or changed after the promise settles; bodies that are handed out belong to the caller.
 * - Every call honours `signal` (rejects with its reason; an aborted write is "unknown") and `deadlineMs`
 *   (rejects with `ISLE_UNAVAILABLE`). Errors are `IsleError`s whose message names the key.
 */

export interface RequestOptions {
	readonly signal?: AbortSignal | undefined
	/** Longest time that the call may take, in milliseconds; the adapter's default when absent. */
	readonly deadlineMs?: number | undefined
}

export interface RangeRequestOptions extends RequestOptions {
	/**
	 * Memory of the caller, as long as the range: a store that can fills and answers it; others answer memory of their own.
	 * While a call runs, and for good once one has failed, the store may write into it.
	 */
	readonly into?: Uint8Array<ArrayBuffer> | undefined
}

/** Outcome of a create-if-absent. `unknown` carries what went wrong. */
export type CreateOutcome =
	| { readonly kind: 'created' }
	| { readonly kind: 'exists' }
	| { readonly kind: 'unknown'; readonly cause: unknown }

export interface ObjectInfo {
	readonly key: string
	readonly bytes: number
	/** Time of the last write by the store's own clock, milliseconds since the Unix epoch. */
	readonly lastModifiedMs: number
}

export interface ListOptions extends RequestOptions {
	/** Only keys that begin with this. Default '': all. */
	readonly prefix?: string | undefined
	/** Only keys strictly greater than this one, in the byte order of their UTF-8. */
	readonly startAfter?: string | undefined
	/** At most this many objects in this page; default and maximum 1000. */
	readonly limit?: number | undefined
}

export interface ListPage {
	/** In ascending byte order of their keys. */
	readonly objects: readonly ObjectInfo[]
	/** True when more keys follow: list again with `startAfter` = the last key. */
	readonly isTruncated: boolean
}

/** `bytes` bytes from `offset`, counted from the front. `bytes` is at least 1. */
export interface ByteRange {
	readonly offset: number
	readonly bytes: number
}

/** Bytes as one body, or as pieces that are written after one another (they are not copied together first). */
export type Body = Uint8Array | readonly Uint8Array[]

export interface ObjectStore {
	/** A name for messages and `inspect()`, without credentials: `file:./data`, `s3://bucket`. */
	readonly url: string
	/** Whole object, or `undefined`. */
	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined>
	/**
	 * Exactly `range.bytes` bytes, or `undefined` when the object is absent. A range that reaches past the end of the
	 * object is `ISLE_CORRUPT`: a short answer is never taken for the whole.
	 */
	getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined>
	/**
	 * Optional: fills `target` with the bytes from `offset` of an object, at once, where that is certain to be quick. False: ask
	 * `getRange`, which knows what is wrong. A promise: ask again when it has resolved, so that other events get their turn.
	 * Never throws.
	 */
	readNow?(key: string, offset: number, target: Uint8Array): boolean | Promise<void>
	/** Optional: true where bodies of `put` may be views of SharedArrayBuffers, which are used again afterwards. Default false. */
	readonly takesSharedBodies?: boolean | undefined
	/** Creates or replaces. */
	put(key: string, body: Body, options?: RequestOptions): Promise<void>
	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome>
	/** One page. */
	list(options?: ListOptions): Promise<ListPage>
	delete(key: string, options?: RequestOptions): Promise<void>
	/** Any number of keys; done in batches as the store allows. */
	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void>
	/** A large body as a stream of pieces, or `undefined`. Cut short is an error, never an early end. */
	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined>
	/**
	 * Create-if-absent of a body of unknown length that is never held whole in memory. An error of `body` rejects and
	 * nothing is created; so does an abort before the last piece.
	 */
	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome>
	/** Frees sockets and handles. Calls that follow reject with `ISLE_CLOSED`. Idempotent. */
	close(): Promise<void>
}
