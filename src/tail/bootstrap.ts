/**
 * The state that a tail from 'start' begins with: the rows of a pinned view, in the order of their keys.
 *
 * Steps: merge the tables of the view; make batches of its rows; when the store fails, open the merge again behind the
 * last row; when objects of the view are gone, try the same state in the newest manifest, if nothing newer was merged
 * into it, or in that of a checkpoint that is kept, or give up with ISLE_EXPIRED.
 *
 * Invariants: every row of the state is given once, whatever failed between; the cursor of the last row points behind
 * the state, so that it outlives it: to know which row is the last, one row is always kept back.
 */
import { compareBytes } from '../bytes/compare.ts'
import { IsleError, isIsleError } from '../errors.ts'
import { sleep } from '../host/clock.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { manifestAt } from '../manifest/past-manifest.ts'
import { type KeyRange, successor } from '../reader/key-range.ts'
import { holdsView, type ReadView } from '../reader/read-view.ts'
import type { ScanMerge } from '../reader/scan-merge.ts'
import type { Change, ChangeSlice, LargeValues } from './change.ts'
import { BATCH_ROWS, type ChangeBatch } from './change-batch.ts'
import type { CommitFeed } from './commit-feed.ts'
import { encodeCursor, rowCursorStem } from './cursor.ts'
import { endlessPauseMs, isTransient, retryEndlessly } from './endless-retry.ts'
import type { KeyFilter } from './key-filter.ts'
import { settleLargeValue } from './large-value.ts'

/** What reading a view takes of the reading core. */
export interface StateReads {
	/** The live entries of `range`, newest first of each key. What it starts ends with `signal`. */
	openMerge(
		view: ReadView,
		range: KeyRange,
		remaining: () => number,
		signal: AbortSignal,
	): ScanMerge | Promise<ScanMerge>
}

export interface BootstrapOptions {
	readonly reads: StateReads
	readonly feed: CommitFeed
	readonly batch: ChangeBatch
	readonly largeValues: LargeValues
	readonly filter: KeyFilter
	/** Holds the state at `seq`, and perhaps later commits too. */
	readonly manifest: Manifest
	readonly seq: number
	/** What follows the state. */
	readonly position: LogPosition
	readonly committedAtMs: number
	/** Rows up to this key are known already. */
	readonly afterKey: Uint8Array | undefined
	readonly signal: AbortSignal
}

export class Bootstrap {
	readonly #options: BootstrapOptions
	#manifest: Manifest
	#merge: ScanMerge | undefined
	#lastKey: Uint8Array | undefined
	#kept: Change | undefined
	#isDone = false
	#failures = 0
	#failure: { readonly error: unknown } | undefined

	constructor(options: BootstrapOptions) {
		this.#options = options
		this.#manifest = options.manifest
		this.#lastKey = options.afterKey
	}

	/** At least one row; undefined when all were given. */
	async next(): Promise<ChangeSlice | undefined> {
		if (this.#failure !== undefined) throw this.#failure.error
		while (!this.#isDone) {
			const changes = await this.#nextRows()
			const last = changes.at(-1)
			if (last !== undefined) return { changes, cursor: last.cursor }
		}
		return undefined
	}

	/** The state that is read. */
	get manifest(): Manifest {
		return this.#manifest
	}

	/** The cursor behind the whole state. */
	get end(): string {
		const { seq, position } = this.#options
		return encodeCursor({ kind: 'change', seq, position })
	}

	async #nextRows(): Promise<Change[]> {
		const { batch, committedAtMs, position, seq, signal } = this.#options
		const kept = this.#kept
		this.#kept = undefined
		batch.begin(BATCH_ROWS + (kept === undefined ? 1 : 0))
		batch.enterState(committedAtMs, rowCursorStem(seq, position, committedAtMs))
		try {
			this.#isDone = await this.#fill()
		} catch (error) {
			this.#failure = { error }
			if ((batch.count === 0 && kept === undefined) || signal.aborted) throw error
		}
		this.#lastKey = batch.lastKey() ?? this.#lastKey
		const changes = batch.finish()
		if (kept !== undefined) changes.unshift(kept)
		if (this.#isDone) {
			const last = changes.pop()
			if (last !== undefined) changes.push({ ...last, cursor: this.end })
		} else if (this.#failure === undefined) this.#kept = changes.pop()
		return changes
	}

	/** True when the last row is in the batch, false when the batch is full. */
	async #fill(): Promise<boolean> {
		const { batch, largeValues, signal } = this.#options
		for (;;) {
			signal.throwIfAborted()
			try {
				this.#merge ??= await this.#open()
				if (this.#merge === undefined) return true
				const outcome = this.#merge.run(batch)
				if (outcome instanceof Promise) await outcome
				this.#failures = 0
				if (batch.pending !== undefined) await this.#settle(largeValues)
				else if (outcome === 'done') return true
				if (batch.isFull) return false
			} catch (error) {
				signal.throwIfAborted()
				await this.#recover(error)
			}
		}
	}

	async #settle(largeValues: LargeValues): Promise<void> {
		const { batch } = this.#options
		try {
			await settleLargeValue(batch, largeValues, this.#options)
		} catch (error) {
			batch.dropPending()
			throw error
		}
	}

	/** Undefined: no key can follow the last one. */
	#open(): ScanMerge | Promise<ScanMerge> | undefined {
		const { batch, filter, reads, seq, signal } = this.#options
		const lastKey = batch.lastKey() ?? this.#lastKey
		const lower = lastKey === undefined ? filter.lower : successor(lastKey)
		const { upper } = filter
		if (filter.isEmpty || (lower !== undefined && upper !== undefined && compareBytes(lower, upper) >= 0))
			return undefined
		const range: KeyRange = { lower, upper, reverse: false, limit: Number.POSITIVE_INFINITY, isEmpty: false }
		const view: ReadView = { manifest: this.#manifest, memtables: [], maxSeq: seq }
		return reads.openMerge(view, range, () => Number.POSITIVE_INFINITY, signal)
	}

	/** Returns when the merge is worth opening again. */
	async #recover(error: unknown): Promise<void> {
		const { feed, seq, signal } = this.#options
		this.#merge = undefined
		if (isTransient(error)) {
			await sleep(feed.host.clock, endlessPauseMs(++this.#failures, feed.host), signal)
			return
		}
		if (!isIsleError(error, 'ISLE_NOT_FOUND')) throw error
		const newest = await feed.refreshed(signal)
		const view = { manifest: this.#manifest, memtables: [], maxSeq: seq }
		const other = holdsView(newest, view) ? newest : await this.#past(newest)
		// A state whose tables stand as they did would miss the same object again.
		if (other !== undefined && comparePositions(other.maintenancePosition, this.#manifest.maintenancePosition) !== 0) {
			this.#manifest = other
			return
		}
		throw new IsleError('ISLE_EXPIRED', `the state that the tail began with is no longer retained: seq=\`${seq}\``, {
			cause: error,
		})
	}

	/** The same state in other tables, from a checkpoint that is kept. */
	async #past(newest: Manifest): Promise<Manifest | undefined> {
		const { feed, position, signal } = this.#options
		try {
			return await retryEndlessly(feed.host, signal, () => manifestAt(feed.log.store, position, newest, { signal }))
		} catch (error) {
			if (isIsleError(error, 'ISLE_EXPIRED')) return undefined
			throw error
		}
	}
}
