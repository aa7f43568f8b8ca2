/**
 * Follows the commits and makes batches of changes of them, in the order of their sequence numbers.
 *
 * Steps: take the next commit of the feed (waiting for it only while the batch is empty); put each of its tables that
 * may hold wanted keys in order; add its entries until the batch is full; go on there next time.
 *
 * Invariants: every sequence number follows the one before: a gap is ISLE_EXPIRED and never skipped; at the most one
 * table is held, and while that is given the first of the next commit is prepared; what was read before an error is given
 * before the error is.
 */
import { IsleError } from '../errors.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { Commit, LoadedCommit } from '../manifest/commit.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { ChangeSlice, LargeValues } from './change.ts'
import type { ChangeBatch } from './change-batch.ts'
import type { CommitFeed } from './commit-feed.ts'
import { CursorMaker, encodeCursor } from './cursor.ts'
import type { KeyFilter } from './key-filter.ts'
import { settleLargeValue } from './large-value.ts'
import { type OrderedTable, seqAtPlace } from './ordered-table.ts'
import type { OrderedTables } from './ordered-tables.ts'

export interface ChangeReaderOptions {
	readonly feed: CommitFeed
	readonly tables: OrderedTables
	readonly largeValues: LargeValues
	readonly batch: ChangeBatch
	readonly filter: KeyFilter
	/** The first commit to read, or the seal or free slot where it will stand. */
	readonly position: LogPosition
	/** Changes up to this number are known already; undefined: whatever the first commit holds is new. */
	readonly afterSeq: number | undefined
	/** Commits before this time are passed over, in milliseconds since the Unix epoch. */
	readonly fromMs: number
	readonly pollIntervalMs: number
	readonly signal: AbortSignal
}

/** Smaller ones are ready as soon as they are wanted. */
const PREPARE_MIN_RAW_BYTES = 1_048_576

export class ChangeReader {
	readonly #options: ChangeReaderOptions
	#position: LogPosition
	/** Everything up to here was given or passed over. */
	#lastSeq: number | undefined
	#isFirst = true
	#loaded: LoadedCommit | undefined
	#tableIndex = 0
	#table: OrderedTable | undefined
	#place = 0
	/** The table that is wanted next, if its commit is here already. */
	#upcoming: { readonly id: string; readonly table: Promise<OrderedTable> } | undefined
	#failure: { readonly error: unknown } | undefined

	constructor(options: ChangeReaderOptions) {
		this.#options = options
		this.#position = options.position
		this.#lastSeq = options.afterSeq
	}

	/** What to resume from; undefined before the first commit of a tail that began at a time. */
	get cursor(): string | undefined {
		if (this.#lastSeq === undefined) return undefined
		return encodeCursor({ kind: 'change', seq: this.#lastSeq, position: this.#position })
	}

	/** At least one change, as soon as there is one. Not to be called while a call is under way. */
	async next(): Promise<ChangeSlice> {
		if (this.#failure !== undefined) throw this.#failure.error
		const { batch, signal } = this.#options
		batch.begin()
		try {
			await this.#fill()
		} catch (error) {
			this.#failure = { error }
			if (batch.count === 0 || signal.aborted) throw error
		}
		const changes = batch.finish()
		return { changes, cursor: this.cursor ?? '' }
	}

	async #fill(): Promise<void> {
		const { batch, feed, signal } = this.#options
		for (;;) {
			if (this.#loaded === undefined) {
				const taken = feed.take(this.#position, signal)
				if (taken === undefined && batch.count > 0) return
				this.#enter(taken ?? (await feed.next(this.#position, this.#options)))
			}
			await this.#drain()
			if (batch.isFull) return
		}
	}

	#enter(loaded: LoadedCommit): void {
		const { commit } = loaded
		const expected = this.#lastSeq === undefined ? commit.firstSeq : this.#lastSeq + 1
		// Only a cursor may point into the middle of a commit.
		const isWithin = this.#isFirst && commit.firstSeq < expected && expected <= commit.lastSeq + 1
		if (commit.firstSeq !== expected && !isWithin) throw this.#gap(loaded, expected)
		this.#isFirst = false
		this.#loaded = loaded
		this.#position = commit.position
		this.#lastSeq = expected - 1
		this.#tableIndex = 0
		this.#table = undefined
		this.#options.batch.enterCommit(commit.committedAtMs, new CursorMaker(commit.position, commit.lastSeq))
	}

	#gap({ commit }: LoadedCommit, expected: number): IsleError {
		const { epoch, slot } = commit.position
		const facts = `epoch=\`${epoch}\` slot=\`${slot}\` seq=\`${commit.firstSeq}\` expected=\`${expected}\``
		if (this.#isFirst && comparePositions(commit.position, this.#options.position) === 0) {
			return new IsleError('ISLE_CONFLICT', `the cursor is of another history than this database's: ${facts}`)
		}
		return new IsleError('ISLE_EXPIRED', `commits between the last one and this one were collected: ${facts}`)
	}

	/** Adds what is left of the commit at hand, until the batch is full. */
	async #drain(): Promise<void> {
		const loaded = this.#loaded
		if (loaded === undefined) return
		const { batch, filter, fromMs } = this.#options
		const { commit } = loaded
		const isWanted = commit.committedAtMs >= fromMs
		while (isWanted && this.#tableIndex < commit.tables.length) {
			const ref = commit.tables[this.#tableIndex]
			if (ref !== undefined && ref.meta.maxSeq > (this.#lastSeq ?? 0) && filter.touchesTable(ref)) {
				if (this.#table === undefined) {
					this.#table = await this.#takeTable(loaded, ref)
					this.#place = firstPlaceAfter(this.#table, this.#lastSeq ?? 0)
					this.#prepareNext(commit)
				}
				await this.#addEntries(this.#table)
				if (this.#place < this.#table.count) return
			}
			this.#table = undefined
			this.#tableIndex++
			if (batch.isFull && this.#tableIndex < commit.tables.length) return
		}
		this.#loaded = undefined
		this.#lastSeq = commit.lastSeq
		this.#position = { epoch: commit.position.epoch, slot: commit.position.slot + 1 }
	}

	#takeTable(loaded: LoadedCommit, ref: TableRef): Promise<OrderedTable> {
		const { tables, filter, signal } = this.#options
		const upcoming = this.#upcoming
		this.#upcoming = undefined
		return upcoming?.id === ref.id ? upcoming.table : tables.get(loaded, ref, filter, signal)
	}

	/** While a large table is given, threads of the pool and requests work on the next one. What goes wrong is told when it is wanted. */
	#prepareNext({ position, tables: ofCommit }: Commit): void {
		const { feed, tables, filter, signal } = this.#options
		if (this.#tableIndex + 1 < ofCommit.length) return
		const next = feed.peek({ epoch: position.epoch, slot: position.slot + 1 })
		const ref = next?.commit.tables[0]
		if (
			next === undefined ||
			ref === undefined ||
			ref.meta.rawBytes < PREPARE_MIN_RAW_BYTES ||
			!filter.touchesTable(ref)
		)
			return
		const table = tables.get(next, ref, filter, signal)
		table.catch(() => undefined)
		this.#upcoming = { id: ref.id, table }
	}

	async #addEntries(table: OrderedTable): Promise<void> {
		const { batch } = this.#options
		while (!batch.isFull && this.#place < table.count) {
			try {
				this.#place = batch.addPlaces(table, this.#place)
				if (batch.pending !== undefined) await settleLargeValue(batch, this.#options.largeValues, this.#options)
			} catch (error) {
				// The entry at hand was not added, or is taken back.
				this.#place = batch.dropPending() ? this.#place - 1 : batch.nextPlace
				throw error
			} finally {
				if (this.#place > 0) this.#lastSeq = Math.max(this.#lastSeq ?? 0, seqAtPlace(table, this.#place - 1))
			}
		}
	}
}

/** By binary search: places ascend with sequence numbers. */
function firstPlaceAfter(table: OrderedTable, seq: number): number {
	let low = 0
	let high = table.count
	while (low < high) {
		const middle = (low + high) >>> 1
		if (seqAtPlace(table, middle) <= seq) low = middle + 1
		else high = middle
	}
	return low
}
