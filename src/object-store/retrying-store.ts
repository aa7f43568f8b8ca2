/**
 * Patience with a store that is away for a moment: calls that may be repeated are, with jittered exponential pauses,
 * while they fail with `ISLE_UNAVAILABLE`, within a number of attempts and a time.
 *
 * `createIfAbsent` and `createFromStream` pass through untouched: a repeated create meets its own first attempt and
 * reports `exists`, and whoever asked would believe that it had lost. Every other code is an answer and not an outage.
 * A stream is retried until it is open; what is cut afterwards is an error of the stream.
 *
 * Invariant: the time of the budget begins with the first failure. It measures an outage, and how long the first attempt
 * took is no part of one: a large body that is cut near its end is read again, a request that hung is sent again.
 */
import { IsleError, isIsleError } from '../errors.ts'
import { DEFAULT_RETRY_BUDGET, Retry, type RetryBudget } from '../host/backoff.ts'
import { type Host, systemHost } from '../host/host.ts'
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

export interface RetryingStoreOptions {
	/** Default: 10 attempts within 30 s after the first failure, pauses from 50 ms to 5 s. */
	readonly budget?: RetryBudget | undefined
	readonly host?: Host | undefined
}

export interface RepeatedRequestOptions extends RequestOptions {
	/** Told that an attempt has failed and that there may be another. What was given up may go on with its body for a while. */
	readonly onRepeat?: (() => void) | undefined
}

/**
 * Wraps `store`. `deadlineMs` of a call bounds all of its attempts and pauses together; its signal ends them at once.
 * When the budget is spent the call rejects with `ISLE_UNAVAILABLE`, whose `cause` is the last failure. `close()` closes
 * the store beneath.
 */
export function retryingStore(store: ObjectStore, options: RetryingStoreOptions = {}): ObjectStore {
	return new RetryingStore(store, options.budget ?? DEFAULT_RETRY_BUDGET, options.host ?? systemHost)
}

class RetryingStore implements ObjectStore {
	readonly url: string
	readonly takesSharedBodies: boolean | undefined
	readonly #store: ObjectStore
	readonly #budget: RetryBudget
	readonly #host: Host

	constructor(store: ObjectStore, budget: RetryBudget, host: Host) {
		this.url = store.url
		this.takesSharedBodies = store.takesSharedBodies
		this.#store = store
		this.#budget = budget
		this.#host = host
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#retry(options, limits => this.#store.get(key, limits))
	}

	getRange(
		key: string,
		range: ByteRange,
		options?: RangeRequestOptions & RepeatedRequestOptions,
	): Promise<Uint8Array | undefined> {
		return this.#retry(options, limits => this.#store.getRange(key, range, limits))
	}

	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		return this.#store.readNow?.(key, offset, target) ?? false
	}

	put(key: string, body: Body, options?: RepeatedRequestOptions): Promise<void> {
		return this.#retry(options, limits => this.#store.put(key, body, limits))
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#store.createIfAbsent(key, body, options)
	}

	list(options: ListOptions = {}): Promise<ListPage> {
		return this.#retry(options, limits => this.#store.list(limits === options ? options : { ...options, ...limits }))
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#retry(options, limits => this.#store.delete(key, limits))
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.#retry(options, limits => this.#store.deleteMany(keys, limits))
	}

	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.#retry(options, limits => this.#store.getStream(key, range, limits))
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#store.createFromStream(key, body, options)
	}

	close(): Promise<void> {
		return this.#store.close()
	}

	/** Without a failure this is one promise; what follows a failure waits for much longer than that costs. */
	#retry<T>(
		options: RepeatedRequestOptions | undefined,
		call: (limits: RequestOptions | undefined) => Promise<T>,
	): Promise<T> {
		const { deadlineMs } = options ?? {}
		const endMs = deadlineMs === undefined ? undefined : this.#host.clock.monotonicMs() + deadlineMs
		let first: Promise<T>
		try {
			first = call(options)
		} catch (error) {
			first = Promise.reject(error)
		}
		return first.catch((error: unknown) => this.#repeat(options, endMs, call, error))
	}

	/** After a first failure. Each attempt gets what is left of the deadline, and no memory: the first may yet write into it. */
	async #repeat<T>(
		options: RepeatedRequestOptions | undefined,
		endMs: number | undefined,
		call: (limits: RequestOptions | undefined) => Promise<T>,
		failure: unknown,
	): Promise<T> {
		const { signal } = options ?? {}
		const { clock } = this.#host
		const leftMs = (): number => (endMs === undefined ? Infinity : endMs - clock.monotonicMs())
		let retry: Retry | undefined
		for (let error = failure; ; ) {
			signal?.throwIfAborted()
			if (!isIsleError(error, 'ISLE_UNAVAILABLE')) throw error
			options?.onRepeat?.()
			const budgetMs = Math.min(this.#budget.budgetMs, leftMs())
			retry ??= new Retry(this.#host, { ...this.#budget, budgetMs })
			if (leftMs() <= 0 || !(await retry.pause(signal))) throw spent(retry, error)
			try {
				return await call({ signal, deadlineMs: endMs === undefined ? undefined : leftMs() })
			} catch (again) {
				error = again
			}
		}
	}
}

function spent(retry: Retry, cause: IsleError): IsleError {
	const attempts = Math.max(1, retry.attempts)
	return new IsleError('ISLE_UNAVAILABLE', `no answer in ${attempts} attempts: ${cause.message}`, { cause })
}
