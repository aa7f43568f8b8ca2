/**
 * A scan: an iterator over the rows of a range, in batches underneath.
 *
 * Steps: a batch is filled synchronously while what it needs is in memory, and is given as soon as something has to be
 * fetched. `next` takes rows of the batch at hand, `batches()` gives batches whole. `seek` starts anew at another key.
 *
 * Invariants: what is seen is the view of the call that made the iterator, to the end. An error is thrown, never taken
 * for the end, after the rows that came before it; it stays. `close` (and `return`, and an abort) ends requests, frees
 * memory and lets memtables go at once. A long scan of cached rows gives way to other events every few milliseconds.
 */
import { IsleError } from '../errors.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { KeyRange } from './key-range.ts'
import type { ReadView } from './read-view.ts'
import { ScanFeed, type ScanHost } from './scan-feed.ts'

/** After so much time without one, the scan lets other events happen before the next batch. */
const YIELD_AFTER_MS = 2

const CLOSED: IteratorResult<never, undefined> = { done: true, value: undefined }

export class Scan<Row> implements AsyncIterableIterator<Row, undefined>, AsyncDisposable {
	readonly #host: ScanHost
	readonly #feed: ScanFeed
	readonly #signal: AbortSignal | undefined
	#rows: Row[] = []
	#at = 0
	/** Calls that wait for rows, and the end of the last of them. */
	#queued = 0
	#lastTurn: Promise<void> = Promise.resolve()
	#isFilling = false
	#seekTo: Uint8Array | undefined
	#state: 'open' | 'exhausted' | 'failed' | 'closed' = 'open'
	#error: unknown
	#isLooping = false
	#yieldedMs: number
	readonly #onAbort = (): void => this.#fail(this.#signal?.reason)

	/** @internal */
	constructor(host: ScanHost, view: ReadView, range: KeyRange, signal: AbortSignal | undefined) {
		this.#host = host
		this.#signal = signal
		this.#yieldedMs = host.monotonicMs()
		this.#feed = new ScanFeed(host, view, range)
		host.onHold(this)
		if (signal?.aborted) this.#fail(signal.reason)
		else signal?.addEventListener('abort', this.#onAbort, { once: true })
	}

	/** What it reads. @internal */
	get manifest(): Manifest {
		return this.#feed.manifest
	}

	/** The iterator itself: a scan is walked once. */
	[Symbol.asyncIterator](): this {
		this.#isLooping = true
		return this
	}

	/** The next row. @throws ISLE_CLOSED after `close`; the signal's reason; what reading threw. */
	next(): Promise<IteratorResult<Row, undefined>> {
		const hasRow = this.#queued === 0 ? this.#hasRowNow() : undefined
		if (hasRow === undefined) return this.#inTurn(() => this.#nextRow())
		return Promise.resolve(hasRow ? this.#takeRow() : CLOSED)
	}

	/** The same rows in arrays of at most 512, which belong to the caller. It shares the position with `next`. */
	batches(): AsyncIterableIterator<Row[], undefined> {
		const iterator: AsyncIterableIterator<Row[], undefined> = {
			[Symbol.asyncIterator]: () => {
				this.#isLooping = true
				return iterator
			},
			next: () => {
				const hasRow = this.#queued === 0 ? this.#hasRowNow() : undefined
				if (hasRow === undefined) return this.#inTurn(() => this.#nextBatch())
				return Promise.resolve(hasRow ? this.#takeBatch() : CLOSED)
			},
			return: () => this.close().then(() => CLOSED),
		}
		return iterator
	}

	/**
	 * Goes to `key`: the next row is the first at or after it (backwards: at or before it) within the range. Forwards,
	 * backwards and after the end. The limit goes on counting. A `next` that is pending gives the row after the seek.
	 *
	 * @throws ISLE_CLOSED; TypeError for a wrong type; ISLE_EXPIRED when the writer's memory that the scan read was used
	 * again since a `for await` over it ended.
	 */
	seek(key: unknown): void {
		this.#throwIfOver()
		const target = this.#host.encodeBound(key)
		if (this.#isFilling) this.#seekTo = target
		else this.#reposition(target)
	}

	/** Ends the iteration and frees what it holds, at once. */
	return(): Promise<IteratorResult<Row, undefined>> {
		return this.close().then(() => CLOSED)
	}

	/** The same. Idempotent. Needed where the iteration is left before its end, other than by `break`. */
	close(): Promise<void> {
		if (this.#state !== 'closed') {
			this.#state = 'closed'
			this.#release(new IsleError('ISLE_CLOSED', 'the iterator was closed'))
		}
		return Promise.resolve()
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	/** Calls that have to wait are answered one after another, so that rows keep their order among them. */
	#inTurn<Result>(take: () => Promise<Result>): Promise<Result> {
		this.#queued++
		const result = this.#queued === 1 ? take() : this.#lastTurn.then(take)
		const leave = (): void => {
			this.#queued--
		}
		this.#lastTurn = result.then(leave, leave)
		return result
	}

	async #nextRow(): Promise<IteratorResult<Row, undefined>> {
		return (await this.#hasRow()) ? this.#takeRow() : CLOSED
	}

	async #nextBatch(): Promise<IteratorResult<Row[], undefined>> {
		return (await this.#hasRow()) ? this.#takeBatch() : CLOSED
	}

	#takeRow(): IteratorYieldResult<Row> {
		return { done: false, value: this.#rows[this.#at++] as Row }
	}

	#takeBatch(): IteratorYieldResult<Row[]> {
		const rows = this.#at === 0 ? this.#rows : this.#rows.slice(this.#at)
		this.#rows = []
		this.#at = 0
		return { done: false, value: rows }
	}

	/** Waits for a row; false at the end. @throws what keeps it from being the end. */
	async #hasRow(): Promise<boolean> {
		for (let hasRow = this.#hasRowNow(); ; hasRow = this.#hasRowNow()) {
			if (hasRow !== undefined) return hasRow
			this.#throwIfOver()
			await this.#fillLater()
		}
	}

	/** The same when that needs no waiting; undefined otherwise, and where `#throwIfOver` has something to throw. */
	#hasRowNow(): boolean | undefined {
		while (this.#at === this.#rows.length) {
			if (this.#state === 'exhausted') {
				// Without a loop around it, somebody may still `seek`; then only `close` gives memory of the writer back.
				if (this.#isLooping || !this.#feed.holdsMemtables) this.#letGo()
				return false
			}
			const rows = this.#state === 'open' && !this.#mustYield() ? this.#feed.fillNow() : undefined
			if (rows === undefined) return undefined
			this.#accept(rows)
		}
		return true
	}

	#mustYield(): boolean {
		return this.#host.monotonicMs() - this.#yieldedMs >= YIELD_AFTER_MS
	}

	#throwIfOver(): void {
		if (this.#state === 'failed') throw this.#error
		if (this.#state === 'closed') throw new IsleError('ISLE_CLOSED', 'the iterator is closed')
	}

	/** Makes a batch, or reaches the end, or fails: never rejects. */
	async #fillLater(): Promise<void> {
		const { ending } = this.#feed
		const beganMs = this.#host.monotonicMs()
		this.#isFilling = true
		try {
			if (this.#mustYield()) {
				await this.#host.yieldToIo()
				this.#yieldedMs = this.#host.monotonicMs()
			}
			const rows = await this.#feed.fill()
			if (this.#state === 'open') this.#accept(rows)
		} catch (error) {
			// After an abort or a close the state says so already.
			if (!ending.isOver) this.#fail(error)
		}
		this.#isFilling = false
		this.#host.onWaited(this.#host.monotonicMs() - beganMs)
		this.#seekIfAsked()
	}

	#accept(rows: unknown[]): void {
		// The batch makes rows of the shape that this scan was opened for.
		this.#rows = rows as Row[]
		this.#at = 0
		if (this.#feed.isDone) this.#state = 'exhausted'
	}

	#seekIfAsked(): void {
		const target = this.#seekTo
		this.#seekTo = undefined
		if (target === undefined || this.#state === 'closed' || this.#state === 'failed') return
		try {
			this.#reposition(target)
		} catch (error) {
			this.#fail(error)
		}
	}

	#reposition(target: Uint8Array): void {
		this.#feed.seek(target, this.#rows.length - this.#at)
		this.#host.onHold(this)
		this.#rows = []
		this.#at = 0
		this.#state = this.#feed.isDone ? 'exhausted' : 'open'
	}

	#fail(error: unknown): void {
		if (this.#state === 'closed' || this.#state === 'failed') return
		this.#state = 'failed'
		this.#error = error
		this.#release(error)
	}

	#release(reason: unknown): void {
		this.#rows = []
		this.#at = 0
		this.#feed.stop(reason)
		this.#letGo()
		this.#signal?.removeEventListener('abort', this.#onAbort)
	}

	#letGo(): void {
		this.#feed.letGo()
		this.#host.onRelease(this)
	}
}
