/**
 * One tail: one subscriber's way through the history of a database, in batches, as fast as it asks for them.
 *
 * Steps: find where to begin; if that is 'start' (or a row's cursor), give the rows of the pinned state; then follow the
 * commits from the position where that state ends. State and position come from one manifest, so that there is neither
 * a gap nor a duplicate between the two.
 *
 * Invariants: nothing is fetched while a batch is not asked for, but a few records ahead; a transient error is waited out;
 * a terminal one carries `details.cursor`, from which another tail goes on exactly; `close` frees everything at once.
 */
import type { Transcoder } from '../bytes/encoding.ts'
import { IsleError, isIsleError } from '../errors.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { earliestMark, manifestAt } from '../manifest/past-manifest.ts'
import { surelyHoldsStateAt } from '../reader/read-view.ts'
import { Bootstrap, type StateReads } from './bootstrap.ts'
import type { ChangeSlice, LargeValues } from './change.ts'
import { ChangeBatch } from './change-batch.ts'
import { ChangeReader } from './change-reader.ts'
import { type CommitFeed, type FeedSource, floorCursor } from './commit-feed.ts'
import { type Cursor, decodeCursor, encodeCursor, type RowCursor } from './cursor.ts'
import { retryEndlessly } from './endless-retry.ts'
import { findByTime } from './log-search.ts'
import type { OrderedTables } from './ordered-tables.ts'
import type { TailPlan } from './tail-options.ts'

/** A subscriber that asks again at once, for ever, lets other events happen this often. */
const YIELD_AFTER_MS = 2

/** What all tails of one owner share. */
export interface TailContext {
	readonly feed: CommitFeed
	readonly source: FeedSource
	readonly tables: OrderedTables
	readonly reads: StateReads
	readonly largeValues: LargeValues
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
	/** Tails that are asked for a batch right now: who must be told when the owner closes. */
	readonly busy: Set<Tail>
	/** Tails that give the rows of a state: what they read must stay. */
	readonly atState: Map<Tail, Bootstrap>
	/** Why the owner serves no tail any more. */
	failure(): Error | undefined
}

export class Tail {
	readonly #context: TailContext
	readonly #plan: TailPlan
	readonly #batch: ChangeBatch
	readonly #controller = new AbortController()
	readonly #begun: Promise<void>
	readonly #onAbort = (): void => this.close(this.#plan.signal?.reason)
	#bootstrap: Bootstrap | undefined
	#reader: ChangeReader | undefined
	#cursor: string | undefined
	#yieldedMs: number

	/** Begins at once: 'now' is the moment of this call. */
	constructor(context: TailContext, plan: TailPlan) {
		this.#context = context
		this.#plan = plan
		const { keys, values, largeValues, feed } = context
		this.#batch = new ChangeBatch({ keys, values, largeValues })
		this.#yieldedMs = feed.host.clock.monotonicMs()
		const { origin, signal } = plan
		if (origin.kind === 'cursor') this.#cursor = encodeCursor(origin.cursor)
		if (signal?.aborted) this.#controller.abort(signal.reason)
		else signal?.addEventListener('abort', this.#onAbort, { once: true })
		this.#begun = this.#begin()
		// Told by the next call.
		this.#begun.catch(() => undefined)
	}

	/**
	 * What to resume from, so that nothing of what was given comes again. While a call waits, it moves on with what the
	 * filter passes over. Undefined while nothing is known yet.
	 */
	get cursor(): string | undefined {
		if (this.#bootstrap !== undefined || this.#batch.count > 0) return this.#cursor
		return this.#reader?.cursor ?? this.#cursor
	}

	/**
	 * At least one change, as soon as there is one. Not to be called while a call is under way.
	 * @throws ISLE_EXPIRED, ISLE_CONFLICT (a cursor that this database has not given out), ISLE_CORRUPT, ISLE_UNSUPPORTED,
	 * ISLE_DENIED, ISLE_CLOSED, each with `details.cursor` where there is one; the signal's reason.
	 */
	async next(): Promise<ChangeSlice> {
		const { busy, feed } = this.#context
		const { signal } = this.#controller
		const { clock } = feed.host
		busy.add(this)
		try {
			signal.throwIfAborted()
			if (clock.monotonicMs() - this.#yieldedMs >= YIELD_AFTER_MS) {
				await clock.yieldToIo()
				this.#yieldedMs = clock.monotonicMs()
			}
			const slice = await this.#nextSlice()
			signal.throwIfAborted()
			this.#cursor = slice.cursor
			return slice
		} catch (error) {
			this.#cursor = this.cursor
			throw signal.aborted ? signal.reason : this.#terminal(await this.#withEarliest(error, signal))
		} finally {
			busy.delete(this)
		}
	}

	/** Frees everything at once; a call that waits rejects with `reason`. Idempotent. */
	close(reason: unknown = new IsleError('ISLE_CLOSED', 'the tail was closed')): void {
		this.#plan.signal?.removeEventListener('abort', this.#onAbort)
		this.#controller.abort(reason)
		this.#leaveState()
		this.#reader = undefined
	}

	/** The owner closes, or has failed: ends with its error and the cursor of this tail. */
	end(error: Error): void {
		this.#cursor = this.cursor
		this.close(this.#terminal(error))
	}

	async #nextSlice(): Promise<ChangeSlice> {
		const failure = this.#context.failure()
		if (failure !== undefined) throw failure
		if (this.#reader === undefined && this.#bootstrap === undefined) await this.#begun
		if (this.#bootstrap !== undefined) {
			const rows = await this.#bootstrap.next()
			if (rows !== undefined) return rows
			this.#cursor = this.#bootstrap?.end
			this.#leaveState()
		}
		this.#controller.signal.throwIfAborted()
		if (this.#reader === undefined) throw new IsleError('ISLE_CLOSED', 'the tail was closed')
		return await this.#reader.next()
	}

	async #begin(): Promise<void> {
		const { origin } = this.#plan
		const { signal } = this.#controller
		if (origin.kind === 'cursor') return await this.#beginAt(origin.cursor)
		const manifest = await this.#newest(signal)
		const { writerPosition, lastSeq } = manifest
		if (origin.kind === 'time') {
			const { log, host, end } = this.#context.feed
			const search = { log, host, end, floor: earliestMark(manifest), signal }
			const position = await findByTime(search, origin.timeMs)
			const isAtEnd = comparePositions(position, writerPosition) === 0
			this.#follow(position, isAtEnd ? lastSeq : undefined, origin.timeMs)
			return
		}
		this.#follow(writerPosition, lastSeq)
		const end = encodeCursor({ kind: 'change', seq: lastSeq, position: writerPosition })
		if (origin.kind === 'now' || lastSeq === 0) {
			this.#cursor = end
			return
		}
		this.#startState(manifest, lastSeq, writerPosition, manifest.lastCommitMs, undefined)
	}

	async #beginAt(cursor: Cursor): Promise<void> {
		const { source, feed } = this.#context
		const { signal } = this.#controller
		let { manifest } = source
		if (isOdd(manifest, cursor)) manifest = await feed.refreshed(signal)
		if (isOdd(manifest, cursor)) {
			throw new IsleError(
				'ISLE_CONFLICT',
				`the cursor is of the future of this database, or of another one: seq=\`${cursor.seq}\` lastSeq=\`${manifest.lastSeq}\``,
				{ details: { seq: cursor.seq, lastSeq: manifest.lastSeq } },
			)
		}
		const floor = earliestMark(manifest)
		if (floor !== undefined && comparePositions(cursor.position, floor.position) < 0) {
			// Where nothing but seals lies between, nothing is missed.
			if (cursor.kind === 'row' || cursor.seq !== floor.lastSeq) throw belowFloor(cursor, floorCursor(floor))
			return this.#follow(floor.position, cursor.seq)
		}
		if (cursor.kind === 'row') await this.#resumeState(manifest, cursor)
		signal.throwIfAborted()
		this.#follow(cursor.position, cursor.seq)
	}

	/** The newest state still holds that of the cursor, or an older one that is kept does. */
	async #resumeState(newest: Manifest, { seq, position, committedAtMs, key }: RowCursor): Promise<void> {
		const { log, host } = this.#context.feed
		const { signal } = this.#controller
		const manifest = surelyHoldsStateAt(newest, seq)
			? newest
			: await retryEndlessly(host, signal, () => manifestAt(log.store, position, newest, { signal }))
		signal.throwIfAborted()
		this.#startState(manifest, seq, position, committedAtMs, key)
	}

	#follow(position: LogPosition, afterSeq: number | undefined, fromMs: number = Number.NEGATIVE_INFINITY): void {
		const { feed, tables, largeValues } = this.#context
		const { filter, pollIntervalMs } = this.#plan
		this.#reader = new ChangeReader({
			feed,
			tables,
			largeValues,
			batch: this.#batch,
			filter,
			position,
			afterSeq,
			fromMs,
			pollIntervalMs,
			signal: this.#controller.signal,
		})
	}

	#startState(
		manifest: Manifest,
		seq: number,
		position: LogPosition,
		committedAtMs: number,
		afterKey: Uint8Array | undefined,
	): void {
		const { reads, feed, largeValues } = this.#context
		const bootstrap = new Bootstrap({
			reads,
			feed,
			batch: this.#batch,
			largeValues,
			filter: this.#plan.filter,
			manifest,
			seq,
			position,
			committedAtMs,
			afterKey,
			signal: this.#controller.signal,
		})
		this.#bootstrap = bootstrap
		if (!this.#controller.signal.aborted) this.#context.atState.set(this, bootstrap)
	}

	#leaveState(): void {
		this.#bootstrap = undefined
		this.#context.atState.delete(this)
	}

	/** Where commits are pushed the state is taken in this very tick, so that 'now' misses nothing that follows the call. */
	#newest(signal: AbortSignal): Manifest | Promise<Manifest> {
		const { source, feed } = this.#context
		return source.refresh === undefined ? source.manifest : feed.refreshed(signal)
	}

	/** Says where to begin instead, if that is not said yet. */
	async #withEarliest(error: unknown, signal: AbortSignal): Promise<unknown> {
		if (!isIsleError(error, 'ISLE_EXPIRED') || error.details.earliest !== undefined || this.#cursor === undefined) {
			return error
		}
		const { position } = decodeCursor(this.#cursor)
		const earliest = await this.#context.feed.earliestBehind(position, signal)
		if (earliest === undefined) return error
		return new IsleError(error.code, error.message, { cause: error, details: { ...error.details, earliest } })
	}

	#terminal(error: unknown): IsleError {
		const details = this.#cursor === undefined ? {} : { cursor: this.#cursor }
		if (isIsleError(error)) {
			return new IsleError(error.code, error.message, { cause: error, details: { ...error.details, ...details } })
		}
		const message = error instanceof Error ? error.message : String(error)
		return new IsleError('ISLE_CLOSED', `the tail ended: ${message}`, { cause: error, details })
	}
}

function belowFloor({ seq }: Cursor, earliest: string): IsleError {
	return new IsleError('ISLE_EXPIRED', `changes behind the cursor are no longer retained: seq=\`${seq}\``, {
		details: { seq, earliest },
	})
}

/** Whether `manifest` does not reach as far as `cursor`, or contradicts it. */
function isOdd(manifest: Manifest, cursor: Cursor): boolean {
	const order = comparePositions(cursor.position, manifest.writerPosition)
	return cursor.seq > manifest.lastSeq || order > 0 || (order === 0 && cursor.seq !== manifest.lastSeq)
}
