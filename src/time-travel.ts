/**
 * Reading the past: the state of a database at a cursor, a position or a time, as far back as changes are retained.
 *
 * Steps: find the position in the log (a time is searched for, a cursor carries it); take the newest checkpoint below it and
 * fold the commits up to it (`manifest/past-manifest.ts`); of a cursor within a commit, fold that commit too and see only
 * the changes up to the cursor. What is read then is a snapshot like any other.
 *
 * Invariants: what is shown is exactly what was committed up to there, or the call fails with ISLE_EXPIRED and says from
 * where on the past is left; whether an entry has expired is judged at the time of the past, not of the call.
 */
import { describe } from './arguments.ts'
import { IsleError, isIsleError } from './errors.ts'
import type { Host } from './host/host.ts'
import type { FencedLog } from './log/fenced-log.ts'
import { comparePositions, type LogPosition } from './log/log-position.ts'
import { decodePosition } from './log/log-position-codec.ts'
import { type Commit, decodeCommit } from './manifest/commit.ts'
import { applyCommits } from './manifest/fold.ts'
import type { Manifest } from './manifest/manifest.ts'
import { earliestMark, manifestAt } from './manifest/past-manifest.ts'
import type { OpenSnapshots } from './reader/open-snapshots.ts'
import type { ReadOptions } from './reader/read-core.ts'
import { holdsStateAt, type ReadView } from './reader/read-view.ts'
import type { Snapshot } from './reader/snapshot.ts'
import { decodeCursor, encodeCursor } from './tail/cursor.ts'
import { findByTime } from './tail/log-search.ts'

/**
 * A point of the past: a cursor that a tail gave out (the state right after that change), a position that `flush` returned,
 * or a time (everything committed at or before it, by the writers' clocks).
 */
export type PastPoint = string | { readonly timeMs: number }

/** What the past of one database is read from; all of it belongs to the owner. */
export interface TimeTravelGround<Key, Value> {
	/** The writer log, and the store of the database beneath it. */
	readonly log: FencedLog
	readonly host: Host
	readonly snapshots: OpenSnapshots<Key, Value>
	/** The newest state that is known. @throws ISLE_CLOSED. */
	current(): Manifest
	/** The newest state of both logs, read after this was called. */
	refreshed(options: ReadOptions): Promise<Manifest>
}

/** A point as a place in the log. */
interface Place {
	readonly position: LogPosition
	/** Changes up to this one, which may lie within the commit at `position`. Undefined: all before `position`. */
	readonly seq: number | undefined
	/** Judges what has expired. Undefined: the time of the newest commit that is seen. */
	readonly timeMs: number | undefined
}

interface PastState {
	readonly view: ReadView
	readonly nowMs: number
}

export class TimeTravel<Key, Value> {
	readonly #ground: TimeTravelGround<Key, Value>

	constructor(ground: TimeTravelGround<Key, Value>) {
		this.#ground = ground
	}

	async at(point: PastPoint, options: ReadOptions): Promise<Snapshot<Key, Value>> {
		options.signal?.throwIfAborted()
		const parsed = parsePoint(point)
		const { place, state } = await this.#withinRetention(parsed, options, async current => {
			const found = await this.#placeOf(parsed, current, options)
			return { place: found, state: await this.#stateAt(found, current, options) }
		})
		return this.#ground.snapshots.open(state.view, state.nowMs, {
			renew: (gone, cause, signal) => this.#renew(place, gone, cause, { signal }),
		})
	}

	async timeOf(point: string, options: ReadOptions): Promise<number> {
		options.signal?.throwIfAborted()
		const parsed = parsePoint(point)
		if (parsed.kind === 'time') throw new TypeError('Expected `point` to be a cursor or a position, got a time')
		if (parsed.committedAtMs !== undefined) return parsed.committedAtMs
		return await this.#withinRetention(parsed, options, async current => {
			const commit = await this.#commitBefore(parsed, options)
			if (commit !== undefined) return commit.committedAtMs
			const { position, seq } = parsed
			return (await this.#stateAt({ position, seq, timeMs: undefined }, current, options)).nowMs
		})
	}

	/** Runs `find` on a state that reaches the point. What has expired is told with what is left. */
	async #withinRetention<Found>(
		point: ParsedPoint,
		options: ReadOptions,
		find: (current: Manifest) => Promise<Found>,
	): Promise<Found> {
		let current = this.#ground.current()
		if (isBeyond(point, current)) {
			current = await this.#ground.refreshed(options)
			if (point.kind === 'place' && isBeyond(point, current)) throw notThere(point)
		}
		try {
			return await find(current)
		} catch (error) {
			if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
			throw withEarliest(error, await this.#ground.refreshed(options))
		}
	}

	async #placeOf(point: ParsedPoint, current: Manifest, { signal }: ReadOptions): Promise<Place> {
		if (point.kind === 'place') return { position: point.position, seq: point.seq, timeMs: undefined }
		const { log, host } = this.#ground
		const timeMs = Math.min(Math.floor(point.timeMs), host.clock.nowMs())
		const search = { log, end: current.writerPosition, floor: earliestMark(current), signal }
		return { position: await findByTime(search, timeMs + 1), seq: undefined, timeMs }
	}

	async #stateAt(place: Place, current: Manifest, options: ReadOptions): Promise<PastState> {
		const { log, host } = this.#ground
		const { position, seq, timeMs } = place
		const request = { signal: options.signal, clock: host.clock, asOfMs: timeMs }
		let manifest = await manifestAt(log.store, position, current, request)
		if (seq !== undefined && seq > manifest.lastSeq) {
			const commit = await this.#readCommit(position, options)
			if (commit === undefined) throw gone(position)
			manifest = applyCommits(manifest, [commit])
		}
		const maxSeq = seq ?? manifest.lastSeq
		if (!holdsStateAt(manifest, maxSeq)) throw notThere(place)
		return { view: { manifest, memtables: [], maxSeq }, nowMs: timeMs ?? manifest.lastCommitMs }
	}

	/** The commit that the point stands in or right behind, where that takes one round trip. */
	async #commitBefore({ position, seq }: PlacePoint, options: ReadOptions): Promise<Commit | undefined> {
		const { epoch, slot } = position
		const before = slot === 0 ? undefined : this.#readCommit({ epoch, slot: slot - 1 }, options)
		const within = seq === undefined ? undefined : this.#readCommit(position, options)
		const commits = await Promise.all([before, within])
		return commits.find(commit => commit !== undefined && (seq === undefined || isWithin(commit, seq)))
	}

	async #readCommit(position: LogPosition, options: ReadOptions): Promise<Commit | undefined> {
		const { log } = this.#ground
		const record = await log.readSlot(position, options)
		return record?.kind === 'commit' ? decodeCommit(record, log.key(position)).commit : undefined
	}

	/** The same state in other tables, where a checkpoint that is kept has it. */
	async #renew(place: Place, missed: ReadView, cause: unknown, options: ReadOptions): Promise<ReadView> {
		const current = await this.#ground.refreshed(options)
		try {
			const { view } = await this.#stateAt(place, current, options)
			const isOther = comparePositions(view.manifest.maintenancePosition, missed.manifest.maintenancePosition) !== 0
			if (isOther) return view
		} catch (error) {
			if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
			throw withEarliest(error, current)
		}
		throw withEarliest(gone(place.position, cause), current)
	}
}

interface PlacePoint {
	readonly kind: 'place'
	readonly position: LogPosition
	readonly seq: number | undefined
	/** Where the point itself says it. */
	readonly committedAtMs: number | undefined
}
type ParsedPoint = PlacePoint | { readonly kind: 'time'; readonly timeMs: number }

/** @throws TypeError, RangeError. */
function parsePoint(point: unknown): ParsedPoint {
	if (typeof point === 'string') {
		// A cursor has a dot, a position has none.
		if (!point.includes('.')) {
			return { kind: 'place', position: decodePosition(point, 'point'), seq: undefined, committedAtMs: undefined }
		}
		const cursor = decodeCursor(point)
		const committedAtMs = cursor.kind === 'row' ? cursor.committedAtMs : undefined
		return { kind: 'place', position: cursor.position, seq: cursor.seq, committedAtMs }
	}
	if (typeof point !== 'object' || point === null || !('timeMs' in point)) {
		throw new TypeError(`Expected \`point\` to be a cursor, a position or { timeMs }, got ${describe(point)}`)
	}
	const { timeMs } = point
	if (typeof timeMs !== 'number') throw new TypeError(`Expected \`timeMs\` to be a number, got ${describe(timeMs)}`)
	if (!Number.isFinite(timeMs)) throw new RangeError(`Expected \`timeMs\` to be finite, got ${timeMs}`)
	return { kind: 'time', timeMs }
}

/** Whether newer commits than those of `current` may belong to the point. */
function isBeyond(point: ParsedPoint, { writerPosition, lastSeq, lastCommitMs }: Manifest): boolean {
	if (point.kind === 'time') return point.timeMs >= lastCommitMs
	const order = comparePositions(point.position, writerPosition)
	return order > 0 || (order === 0 && point.seq !== undefined && point.seq > lastSeq)
}

function isWithin({ firstSeq, lastSeq }: Commit, seq: number): boolean {
	return firstSeq <= seq && seq <= lastSeq
}

function notThere({ position, seq }: Pick<Place, 'position' | 'seq'>): IsleError {
	const where = `epoch=\`${position.epoch}\` slot=\`${position.slot}\`${seq === undefined ? '' : ` seq=\`${seq}\``}`
	return new IsleError('ISLE_UNAVAILABLE', `the log does not reach the point, or it is of another database: ${where}`)
}

function gone({ epoch, slot }: LogPosition, cause?: unknown): IsleError {
	return new IsleError('ISLE_EXPIRED', `the state is no longer retained: epoch=\`${epoch}\` slot=\`${slot}\``, {
		cause,
	})
}

/** The same error, with the earliest cursor and time that are left. */
function withEarliest(error: IsleError, current: Manifest): IsleError {
	const mark = earliestMark(current)
	if (mark === undefined) return error
	const { position, lastSeq, committedAtMs } = mark
	const earliest = encodeCursor({ kind: 'change', seq: lastSeq, position })
	return new IsleError('ISLE_EXPIRED', error.message, {
		cause: error.cause,
		details: { ...error.details, earliest, earliestMs: committedAtMs },
	})
}
