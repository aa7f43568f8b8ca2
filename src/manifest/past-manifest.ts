/**
 * The state of the past: the manifest as it was at a position of the writer log, while changes are retained back to there.
 *
 * Steps: list the checkpoints; take the newest that does not reach beyond the position; fold the commits between. What
 * maintenance did to the tables since that checkpoint is left out: their objects are kept as long as changes are. Where nothing was
 * committed for a while merges may have dropped what expired meanwhile, or `retention` what became too old, before that
 * checkpoint was made: then an older one is taken.
 *
 * Any checkpoint on the store will do: each is a true state of both logs. Records below the floor may be missing, or seals
 * in their slots be void: nothing below it is read.
 */
import { IsleError, isIsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { type ListedCheckpoint, listCheckpoints, readCheckpoint } from './checkpoint.ts'
import { type Commit, decodeCommit } from './commit.ts'
import { openWriterLog } from './database-logs.ts'
import { EXPIRY_MARGIN_MS } from './expiry-margin.ts'
import { applyCommits, EMPTY_MANIFEST } from './fold.ts'
import type { CommitMark, Manifest } from './manifest.ts'

/** A checkpoint may be deleted between list and read; each attempt sees those that are left. */
const MAX_ATTEMPTS = 5
const WINDOW_SLOTS = 8

export interface PastOptions extends RequestOptions {
	/** Large checkpoints are decoded in slices. Without it the newest state stands for its position, whatever was dropped of it since. */
	readonly clock?: Clock | undefined
	/** The time of which it is the state. Default: that of the newest commit before `position`. */
	readonly asOfMs?: number | undefined
}

/**
 * The state at `position`, which lies at or before the end of `current`. One LIST, one GET, and the log between; nothing for the
 * newest position while nothing that was visible then can have been dropped since; one GET more where such has been dropped
 * behind the last commit before `position`.
 * @throws ISLE_EXPIRED when it is not retained any more.
 */
export async function manifestAt(
	store: ObjectStore,
	position: LogPosition,
	current: Manifest,
	options: PastOptions = {},
): Promise<Manifest> {
	const { clock, asOfMs, ...request } = options
	const isNewest = comparePositions(position, current.writerPosition) === 0
	if (isNewest && (clock === undefined || isWhole(current, asOfMs, clock.nowMs()))) return current
	if (comparePositions(position, current.changeFloor) < 0) throw expired(position)
	for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		const bases = await basesOf(store, position, current.changeFloor, request)
		const newest = isNewest ? current : await stateFrom(store, bases.at(-1), position, current, request, clock)
		if (newest === undefined) continue
		const madeMs = isNewest ? Number.POSITIVE_INFINITY : madeAt(bases.at(-1), position)
		if (isWhole(newest, asOfMs, madeMs)) return newest
		// Of those that were made at this position, one in which nothing was dropped too late; else one before it.
		const older = bases.findLast(base => isWhole(newest, asOfMs, madeAt(base, position)))
		// Retention has passed: nothing older can be followed up to here.
		if (older === undefined && comparePositions(current.changeFloor, LOG_START) !== 0) return newest
		const whole = await stateFrom(store, older, position, current, request, clock)
		if (whole !== undefined) return whole
	}
	throw expired(position)
}

/** Whether nothing that was visible at `asOfMs` can be missing in `manifest`, if what was dropped in it was dropped before `madeMs`. */
function isWhole(manifest: Manifest, asOfMs: number | undefined, madeMs: number): boolean {
	if (comparePositions(manifest.droppedAt, LOG_START) === 0) return true
	const byAge = manifest.maintainer?.policies.some(policy => policy !== 'merge') ?? true
	return madeMs <= (asOfMs ?? manifest.lastCommitMs) + (byAge ? 0 : EXPIRY_MARGIN_MS)
}

/** When `base` was made; long ago for one that later commits stand behind: they were made later than it was. */
function madeAt(base: ListedCheckpoint | undefined, position: LogPosition): number {
	const isEarlier = base === undefined || comparePositions(base.writerPosition, position) < 0
	return isEarlier ? Number.NEGATIVE_INFINITY : base.lastModifiedMs
}

/** The mark from which everything that is retained can be followed; `undefined` while nothing was given up. */
export function earliestMark(manifest: Manifest): CommitMark | undefined {
	if (comparePositions(manifest.changeFloor, LOG_START) === 0) return undefined
	return manifest.marks.find(mark => comparePositions(mark.position, manifest.changeFloor) === 0)
}

/** The checkpoints from which `position` can be reached, the oldest first; objects of those before the one at the floor may be deleted. */
async function basesOf(
	store: ObjectStore,
	position: LogPosition,
	floor: LogPosition,
	options: RequestOptions,
): Promise<ListedCheckpoint[]> {
	const all = await listCheckpoints(store, options)
	const first = all.findLastIndex(({ writerPosition }) => comparePositions(writerPosition, floor) <= 0)
	return all
		.slice(Math.max(0, first))
		.filter(
			({ writerPosition }) =>
				comparePositions(writerPosition, floor) >= 0 && comparePositions(writerPosition, position) <= 0,
		)
}

/** The state at `position`, from `base` on or, without one, from the start of the log. `undefined`: it was deleted meanwhile. */
async function stateFrom(
	store: ObjectStore,
	base: ListedCheckpoint | undefined,
	position: LogPosition,
	{ changeFloor }: Manifest,
	options: RequestOptions,
	clock: Clock | undefined,
): Promise<Manifest | undefined> {
	if (base === undefined && comparePositions(changeFloor, LOG_START) !== 0) throw expired(position)
	const state = base === undefined ? EMPTY_MANIFEST : await readCheckpoint(store, base, { ...options, clock })
	return state === undefined ? undefined : await foldUpTo(store, state, position, options)
}

async function foldUpTo(
	store: ObjectStore,
	base: Manifest,
	position: LogPosition,
	options: RequestOptions,
): Promise<Manifest> {
	const log = openWriterLog(store)
	const commits: Commit[] = []
	const end = await log.readForward(base.writerPosition, {
		...options,
		windowSlots: WINDOW_SLOTS,
		until: position,
		onCommit: record => commits.push(decodeCommit(record, log.key(record.position)).commit),
	})
	if (end.isForeign || comparePositions(end.position, position) !== 0) throw expired(position)
	try {
		return { ...applyCommits(base, commits), writerPosition: position }
	} catch (error) {
		// Records that were collected while they were read leave a gap in sequence numbers.
		throw isIsleError(error, 'ISLE_CORRUPT') ? expired(position, error) : error
	}
}

function expired({ epoch, slot }: LogPosition, cause?: unknown): IsleError {
	return new IsleError('ISLE_EXPIRED', `the state is no longer retained: epoch=\`${epoch}\` slot=\`${slot}\``, {
		cause,
	})
}
