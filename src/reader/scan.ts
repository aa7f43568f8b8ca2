/**
 * A scan: an iterator over the rows of a range, in batches underneath.
 *
 * Steps: the first call opens the sources (sorted runs of memtables, chains of tables) and merges them; a batch is filled
 * synchronously while what it needs is in memory, and is given as soon as something has to be fetched. `next` takes
 * rows of the batch at hand, `batches()` gives batches whole. `seek` starts the merge anew at another key.
 *
 * Invariants: what is seen is the view of the call that made the iterator, to the end. An error is thrown, never taken
 * for the end, after the rows that came before it; it stays. `close` (and `return`, and an abort) ends requests, frees
 * memory and lets memtables go at once. A long scan of cached rows gives way to other events every few milliseconds.
 */
import { compareBytes } from '../bytes/compare.ts'
import { IsleError, isIsleError } from '../errors.ts'
import type { KeyRange } from './key-range.ts'
import { successor } from './key-range.ts'
import { holdsStateAt, type ReadView } from './read-view.ts'
import type { RowBatch } from './row-batch.ts'
import type { ScanMerge } from './scan-merge.ts'

/** After so much time without one, the scan lets other events happen before the next batch. */
const YIELD_AFTER_MS = 2
/** Views that are tried for one batch before the missing object is reported. */
const MAX_RENEWALS = 5

/** What a scan asks of the reading core. */
export interface ScanHost {
	monotonicMs(): number
	yieldToIo(): Promise<void>
	/** A merge over `view`. What it starts ends with `signal`. */
	openMerge(
		view: ReadView,
		range: KeyRange,
		remaining: () => number,
		signal: AbortSignal,
	): ScanMerge | Promise<ScanMerge>
	newBatch(): RowBatch
	encodeBound(key: unknown): Uint8Array
	readBlob(view: ReadView, ref: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
	/** A view for one whose objects are gone; rejects with `ISLE_EXPIRED` when there is none. */
	renew(gone: ReadView, cause: unknown, signal: AbortSignal): Promise<ReadView>
	/** The scan has begun to hold something, or holds nothing any more. */
	onHold(scan: { close(): Promise<void> }): void
	onRelease(scan: { close(): Promise<void> }): void
}

const CLOSED: IteratorResult<never> = { done: true, value: undefined }

export class Scan<Row> implements AsyncIterableIterator<Row, undefined>, AsyncDisposable {
	readonly #host: ScanHost
	readonly #range: KeyRange
	readonly #signal: AbortSignal | undefined
	readonly #batch: RowBatch
	#view: ReadView
	/** The part of the range that is left when the merge is opened next. */
	#rest: KeyRange
	#merge: ScanMerge | undefined
	#controller = new AbortController()
	/** The merge has filled the batch as far as it goes now. */
	#isCollected = false
	#isMergeDone = false
	/** What ended the merge after rows that are given first. */
	#pendingError: unknown
	#rows: Row[] = []
	#at = 0
	/** Rows that went into batches, for the limit. */
	#given = 0
	#lastKey: Uint8Array | undefined
	#filling: Promise<void> | undefined
	#seekTo: Uint8Array | undefined
	#state: 'open' | 'exhausted' | 'failed' | 'closed' = 'open'
	#error: unknown
	#isHolding = false
	#isLooping = false
	#yieldedMs: number
	readonly #onAbort = (): void => this.#fail(this.#signal?.reason)

	constructor(host: ScanHost, view: ReadView, range: KeyRange, signal: AbortSignal | undefined) {
		this.#host = host
		this.#view = view
		this.#range = range
		this.#rest = range
		this.#signal = signal
		this.#batch = host.newBatch()
		this.#yieldedMs = host.monotonicMs()
		this.#hold()
		if (signal?.aborted) this.#fail(signal.reason)
		else signal?.addEventListener('abort', this.#onAbort, { once: true })
	}

	/** The iterator itself: a scan is walked once. */
	[Symbol.asyncIterator](): this {
		this.#isLooping = true
		return this
	}

	/** The next row. @throws ISLE_CLOSED after `close`; the signal's reason; what reading threw. */
	next(): Promise<IteratorResult<Row, undefined>> {
		if (this.#at < this.#rows.length && this.#filling === undefined) {
			return Promise.resolve({ done: false, value: this.#rows[this.#at++] as Row })
		}
		return this.#nextRow()
	}

	/** The same rows in arrays of at most 512, which belong to the caller. It shares the position with `next`. */
	batches(): AsyncIterableIterator<Row[], undefined> {
		const iterator: AsyncIterableIterator<Row[], undefined> = {
			[Symbol.asyncIterator]: () => {
				this.#isLooping = true
				return iterator
			},
			next: () => this.#nextBatch(),
			return: () => this.close().then(() => CLOSED),
		}
		return iterator
	}

	/**
	 * Goes to `key`: the next row is the first at or after it (backwards: at or before it) within the range. Forwards,
	 * backwards and after the end. The limit goes on counting. @throws ISLE_CLOSED; TypeError for a wrong type.
	 */
	seek(key: unknown): void {
		this.#throwIfOver()
		const target = this.#host.encodeBound(key)
		if (this.#filling !== undefined) this.#seekTo = target
		else this.#reposition(target)
	}

	/** Ends the iteration and frees what it holds, at once. */
	return(): Promise<IteratorResult<Row, undefined>> {
		return this.close().then(() => CLOSED)
	}

	/** The same. Idempotent. */
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

	async #nextRow(): Promise<IteratorResult<Row, undefined>> {
		for (;;) {
			if (this.#filling !== undefined) {
				await this.#filling
				continue
			}
			if (this.#at < this.#rows.length) return { done: false, value: this.#rows[this.#at++] as Row }
			if (this.#state !== 'open') return this.#end()
			await this.#fill()
		}
	}

	async #nextBatch(): Promise<IteratorResult<Row[], undefined>> {
		for (;;) {
			if (this.#filling !== undefined) {
				await this.#filling
				continue
			}
			if (this.#at < this.#rows.length) {
				const rows = this.#at === 0 ? this.#rows : this.#rows.slice(this.#at)
				this.#rows = []
				this.#at = 0
				return { done: false, value: rows }
			}
			if (this.#state !== 'open') return this.#end()
			await this.#fill()
		}
	}

	/** No row is left: the end, or what keeps it from being one. */
	#end(): IteratorResult<never, undefined> {
		this.#throwIfOver()
		if (this.#isLooping) this.#letGo()
		return CLOSED
	}

	#throwIfOver(): void {
		if (this.#state === 'failed') throw this.#error
		if (this.#state === 'closed') throw new IsleError('ISLE_CLOSED', 'the iterator is closed')
	}

	/** Makes a batch, or reaches the end, or fails: never rejects. Undefined: done without waiting. */
	#fill(): Promise<void> | undefined {
		const nowMs = this.#host.monotonicMs()
		if (this.#merge === undefined || this.#pendingError !== undefined || nowMs - this.#yieldedMs >= YIELD_AFTER_MS)
			return this.#fillLater(nowMs)
		try {
			if (this.#collect(this.#merge) === undefined && this.#batch.blobs.length === 0) {
				this.#take()
				return undefined
			}
		} catch (error) {
			this.#pendingError = error
		}
		return this.#fillLater(nowMs)
	}

	#fillLater(nowMs: number): Promise<void> {
		this.#filling = this.#fillSlowly(nowMs).then(() => {
			this.#filling = undefined
			const target = this.#seekTo
			this.#seekTo = undefined
			if (target !== undefined && (this.#state === 'open' || this.#state === 'exhausted')) this.#reposition(target)
		})
		return this.#filling
	}

	async #fillSlowly(nowMs: number): Promise<void> {
		const { signal } = this.#controller
		if (nowMs - this.#yieldedMs >= YIELD_AFTER_MS) {
			await this.#host.yieldToIo()
			this.#yieldedMs = this.#host.monotonicMs()
		}
		for (let renewals = 0; !signal.aborted; ) {
			try {
				await this.#fillOnce(signal)
				return
			} catch (error) {
				// After an abort or a close the state says so already.
				if (signal.aborted) return
				if (!isIsleError(error, 'ISLE_NOT_FOUND') || renewals++ === MAX_RENEWALS) this.#fail(error)
				else await this.#renew(error, signal)
			}
		}
	}

	async #fillOnce(signal: AbortSignal): Promise<void> {
		if (this.#rest.isEmpty) {
			this.#exhaust()
			return
		}
		this.#merge ??= await this.#host.openMerge(this.#view, this.#rest, () => this.#remaining(), signal)
		while (!signal.aborted) {
			const waiting = this.#collect(this.#merge)
			if (waiting === undefined) break
			await waiting
		}
		const { blobs } = this.#batch
		if (blobs.length > 0) {
			const values = await Promise.all(blobs.map(({ ref }) => this.#host.readBlob(this.#view, ref, signal)))
			for (const [i, blob] of blobs.entries()) this.#batch.setBlob(blob.row, values[i] as Uint8Array)
		}
		if (!signal.aborted) this.#take()
	}

	/**
	 * Lets the merge fill the batch. A promise: nothing is there yet, wait for it. Rows that came before an error are
	 * given first. @throws what the merge threw.
	 */
	#collect(merge: ScanMerge): Promise<unknown> | undefined {
		const batch = this.#batch
		if (this.#isCollected) return undefined
		if (this.#pendingError !== undefined) {
			const error = this.#pendingError
			this.#pendingError = undefined
			throw error
		}
		if (batch.count === 0) batch.begin(this.#remaining())
		try {
			const outcome = merge.run(batch)
			if (outcome instanceof Promise && batch.count === 0) return outcome
			this.#isMergeDone = outcome === 'done'
		} catch (error) {
			if (batch.count === 0) throw error
			this.#pendingError = error
		}
		this.#isCollected = true
		return undefined
	}

	/** Gives the batch away. */
	#take(): void {
		const batch = this.#batch
		this.#given += batch.count
		this.#lastKey = batch.lastKey() ?? this.#lastKey
		this.#rows = batch.finish() as Row[]
		batch.begin(0)
		this.#at = 0
		this.#isCollected = false
		if (this.#isMergeDone || this.#remaining() <= 0) this.#exhaust()
	}

	#remaining(): number {
		return this.#range.limit - this.#given
	}

	/** All rows are given. The merge goes; the view stays, because `seek` may go back. */
	#exhaust(): void {
		this.#state = 'exhausted'
		this.#stop(undefined)
	}

	/** The view's objects are gone from the store: goes on with a newer view, if that shows the same. */
	async #renew(error: unknown, signal: AbortSignal): Promise<void> {
		try {
			const view = await this.#host.renew(this.#view, error, signal)
			if (signal.aborted) return
			const { maxSeq } = this.#view
			if (this.#given > 0 && !holdsStateAt(view.manifest, maxSeq)) {
				throw new IsleError('ISLE_EXPIRED', 'the scan outlived the objects of its view', { cause: error })
			}
			this.#letGo()
			// Rows were given already: what follows must be of the same state.
			this.#view = this.#given > 0 ? { ...view, maxSeq } : view
			this.#hold()
			this.#merge = undefined
			this.#batch.begin(0)
			this.#isCollected = false
			const last = this.#lastKey
			if (last !== undefined) {
				const { reverse } = this.#range
				this.#rest = reverse
					? restrict(this.#range, undefined, last)
					: restrict(this.#range, successor(last), undefined)
			}
		} catch (failure) {
			if (!signal.aborted) this.#fail(failure)
		}
	}

	#reposition(target: Uint8Array): void {
		this.#stop(undefined)
		this.#hold()
		this.#given -= this.#rows.length - this.#at
		this.#rows = []
		this.#at = 0
		this.#lastKey = undefined
		this.#rest = this.#range.reverse
			? restrict(this.#range, undefined, successor(target))
			: restrict(this.#range, target, undefined)
		this.#state = this.#remaining() <= 0 ? 'exhausted' : 'open'
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
		this.#stop(reason)
		this.#letGo()
		this.#signal?.removeEventListener('abort', this.#onAbort)
	}

	/** Ends requests under way and drops the sources. */
	#stop(reason: unknown): void {
		this.#controller.abort(reason)
		this.#controller = new AbortController()
		this.#merge = undefined
		this.#isMergeDone = false
		this.#isCollected = false
		this.#pendingError = undefined
		this.#batch.begin(0)
	}

	#hold(): void {
		if (this.#isHolding) return
		for (const memtable of this.#view.memtables) memtable.ref()
		this.#isHolding = true
		this.#host.onHold(this)
	}

	#letGo(): void {
		if (!this.#isHolding) return
		this.#isHolding = false
		for (const memtable of this.#view.memtables) memtable.unref()
		this.#host.onRelease(this)
	}
}

/** The part of `range` that is also within [`lower`, `upper`). */
function restrict(range: KeyRange, lower: Uint8Array | undefined, upper: Uint8Array | undefined): KeyRange {
	const from = lower !== undefined && (range.lower === undefined || compareBytes(lower, range.lower) > 0)
	const to = upper !== undefined && (range.upper === undefined || compareBytes(upper, range.upper) < 0)
	const newLower = from ? lower : range.lower
	const newUpper = to ? upper : range.upper
	const isEmpty = newLower !== undefined && newUpper !== undefined && compareBytes(newLower, newUpper) >= 0
	return { ...range, lower: newLower, upper: newUpper, isEmpty: range.isEmpty || isEmpty }
}
