/**
 * Makes the batches of a scan: opens the merge, fills, fetches large values, and finds another view when objects of the
 * first one are gone.
 *
 * Invariants: rows that came before an error are given first; batches are of one state, whatever manifest they were read
 * from; `stop` ends what is under way at once, and `seek` begins anew from the same state.
 */
import { compareBytes } from '../bytes/compare.ts'
import { IsleError, isIsleError } from '../errors.ts'
import { Ending } from '../host/ending.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type KeyRange, successor } from './key-range.ts'
import { holdsView, type ReadView } from './read-view.ts'
import type { RowBatch } from './row-batch.ts'
import type { ScanMerge } from './scan-merge.ts'

/** Views that are tried for one batch before the missing object is reported. */
const MAX_RENEWALS = 5
/** Why what is under way ends with its scan, which nobody is told. One for all: it needs no stack. */
const OVER = new Error('the scan is over')

/** A scan that holds something. */
export interface OpenScan {
	/** What it reads. */
	readonly manifest: Manifest
	close(): Promise<void>
}

/** What a scan asks of the reading core. */
export interface ScanHost {
	monotonicMs(): number
	yieldToIo(): Promise<void>
	/** A merge over `view`. What it starts ends with `ending`. @throws ISLE_CLOSED. */
	openMerge(
		view: ReadView,
		range: KeyRange,
		remaining: () => number,
		ending: Pick<Ending, 'signal'>,
	): ScanMerge | Promise<ScanMerge>
	newBatch(): RowBatch
	encodeBound(key: unknown): Uint8Array
	readBlob(view: ReadView, ref: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
	/** A view for one whose objects are gone; rejects with `ISLE_EXPIRED` when there is none. */
	renew(gone: ReadView, cause: unknown, signal: AbortSignal): Promise<ReadView>
	/** Rows were waited for so long. */
	onWaited(ms: number): void
	/** The scan has begun to hold something, or holds nothing any more. */
	onHold(scan: OpenScan): void
	onRelease(scan: OpenScan): void
}

export class ScanFeed {
	readonly #host: ScanHost
	readonly #range: KeyRange
	readonly #batch: RowBatch
	#view: ReadView
	/** The part of the range that is left when the merge is opened next. */
	#rest: KeyRange
	/** A promise while it is being opened. */
	#merge: ScanMerge | Promise<ScanMerge> | undefined
	/** What `stop` and `seek` end. */
	#ending = new Ending()
	/** The merge has filled the batch as far as it goes now. */
	#isCollected = false
	/** What ended the merge after rows that are given first. */
	#pendingError: unknown
	/** Rows that were given, for the limit. */
	#given = 0
	#lastKey: Uint8Array | undefined
	#isHolding = false
	/** No row follows. */
	isDone = false

	constructor(host: ScanHost, view: ReadView, range: KeyRange) {
		this.#host = host
		this.#view = view
		this.#range = range
		this.#rest = range
		this.#batch = host.newBatch()
		this.hold()
	}

	/** Of what is under way: `stop` and `seek` end it. */
	get ending(): Ending {
		return this.#ending
	}

	/** The state that is read. */
	get manifest(): Manifest {
		return this.#view.manifest
	}

	/** Whether the view keeps memory of a writer from being used again. */
	get holdsMemtables(): boolean {
		return this.#isHolding && this.#view.memtables.length > 0
	}

	/** A batch, when that needs no waiting; undefined otherwise. Never throws: `fill` does. */
	fillNow(): unknown[] | undefined {
		if (this.#rest.isEmpty || this.#pendingError !== undefined) return undefined
		try {
			this.#merge ??= this.#open()
			if (this.#merge instanceof Promise) return undefined
			if (this.#collect(this.#merge) !== undefined || this.#batch.blobs.length > 0) return undefined
			return this.#take()
		} catch (error) {
			this.#pendingError = error
			return undefined
		}
	}

	/** A batch; it may be empty at the end. When it is stopped it is empty. @throws what reading threw. */
	async fill(): Promise<unknown[]> {
		const ending = this.#ending
		for (let renewals = 0; !ending.isOver; ) {
			try {
				return await this.#fillOnce(ending)
			} catch (error) {
				if (ending.isOver) break
				if (!isIsleError(error, 'ISLE_NOT_FOUND') || renewals++ === MAX_RENEWALS) throw error
				await this.#renew(error, ending)
			}
		}
		return []
	}

	/** Begins anew at `target`; `undelivered` rows of the last batch do not count. @throws ISLE_EXPIRED. */
	seek(target: Uint8Array, undelivered: number): void {
		this.stop(undefined)
		this.hold()
		this.#given -= undelivered
		this.#lastKey = undefined
		this.#rest = this.#range.reverse
			? restrict(this.#range, undefined, successor(target))
			: restrict(this.#range, target, undefined)
		this.isDone = this.#remaining() <= 0
	}

	/** Ends requests under way and drops the sources. */
	stop(reason: unknown): void {
		this.#ending.end(reason ?? OVER)
		this.#ending = new Ending()
		this.#forget()
	}

	hold(): void {
		if (this.#isHolding) return
		const { memtables } = this.#view
		for (const [i, memtable] of memtables.entries()) {
			try {
				memtable.ref()
			} catch (cause) {
				for (const held of memtables.slice(0, i)) held.unref()
				throw new IsleError('ISLE_EXPIRED', 'the scan had ended, and its view was let go since', { cause })
			}
		}
		this.#isHolding = true
	}

	letGo(): void {
		if (!this.#isHolding) return
		this.#isHolding = false
		for (const memtable of this.#view.memtables) memtable.unref()
	}

	async #fillOnce(ending: Ending): Promise<unknown[]> {
		if (this.#rest.isEmpty) {
			this.#end()
			return []
		}
		const open = this.#merge
		const merge = open === undefined || open instanceof Promise ? await this.#opened() : open
		if (ending.isOver) return []
		for (let waiting = this.#collect(merge); waiting !== undefined; waiting = this.#collect(merge)) {
			await waiting
			if (ending.isOver) return []
		}
		const { blobs } = this.#batch
		if (blobs.length > 0) {
			const { signal } = ending
			const values = await Promise.all(blobs.map(({ ref }) => this.#host.readBlob(this.#view, ref, signal)))
			if (ending.isOver) return []
			for (const [i, blob] of blobs.entries()) this.#batch.setBlob(blob.row, values[i] as Uint8Array)
		}
		return ending.isOver ? [] : this.#take()
	}

	#open(): ScanMerge | Promise<ScanMerge> {
		return this.#host.openMerge(this.#view, this.#rest, () => this.#remaining(), this.#ending)
	}

	async #opened(): Promise<ScanMerge> {
		const opening = this.#merge ?? this.#open()
		// One that fails is opened anew by whoever tries again.
		this.#merge = undefined
		const merge = await opening
		this.#merge = merge
		return merge
	}

	/** Lets the merge fill the batch. A promise: nothing is there yet, wait for it. @throws what the merge threw. */
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
			this.isDone = outcome === 'done'
		} catch (error) {
			if (batch.count === 0) throw error
			this.#pendingError = error
		}
		this.#isCollected = true
		return undefined
	}

	/** Gives the batch away. */
	#take(): unknown[] {
		const batch = this.#batch
		this.#given += batch.count
		this.#lastKey = batch.lastKey() ?? this.#lastKey
		const rows = batch.finish()
		batch.begin(0)
		this.#isCollected = false
		if (this.isDone || this.#remaining() <= 0) this.#end()
		return rows
	}

	#end(): void {
		this.isDone = true
		this.stop(undefined)
	}

	#remaining(): number {
		return this.#range.limit - this.#given
	}

	/** The view's objects are gone from the store: goes on with a newer view, if that shows the same. */
	async #renew(error: unknown, ending: Ending): Promise<void> {
		const view = await this.#host.renew(this.#view, error, ending.signal)
		if (ending.isOver) return
		const { maxSeq } = this.#view
		if (this.#given > 0 && !holdsView(view.manifest, this.#view)) {
			throw new IsleError('ISLE_EXPIRED', 'the scan outlived the objects of its view', { cause: error })
		}
		this.letGo()
		// Rows were given already: what follows must be of the same state.
		this.#view = this.#given > 0 ? { ...view, maxSeq } : view
		this.hold()
		this.#forget()
		const last = this.#lastKey
		if (last === undefined) return
		this.#rest = this.#range.reverse
			? restrict(this.#range, undefined, last)
			: restrict(this.#range, successor(last), undefined)
	}

	#forget(): void {
		this.#merge = undefined
		this.#isCollected = false
		this.#pendingError = undefined
		this.#batch.begin(0)
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
