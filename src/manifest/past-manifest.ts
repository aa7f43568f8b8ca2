/**
 * The state of the past: the manifest as it was at a position of the writer log, while changes are retained back to there.
 *
 * Steps: list the checkpoints; take the newest that does not reach beyond the position; fold the commits between. What
 * maintenance did to the tables since that checkpoint is left out: their objects are kept as long as changes are.
 *
 * Any checkpoint on the store will do: each is a true state of both logs. Records below the floor may be missing, or seals
 * in their slots be void: nothing below it is read.
 */
import { IsleError, isIsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { listCheckpoints, readCheckpoint } from './checkpoint.ts'
import { type Commit, decodeCommit } from './commit.ts'
import { openWriterLog } from './database-logs.ts'
import { applyCommits, EMPTY_MANIFEST } from './fold.ts'
import type { CommitMark, Manifest } from './manifest.ts'

/** A checkpoint may be deleted between list and read; each attempt sees those that are left. */
const MAX_ATTEMPTS = 5
const WINDOW_SLOTS = 8

/**
 * The state at `position`, which lies at or before the end of `current`. One LIST, one GET, and the log between. With a `clock`
 * a large checkpoint is decoded in slices.
 * @throws ISLE_EXPIRED when it is not retained any more.
 */
export async function manifestAt(
	store: ObjectStore,
	position: LogPosition,
	current: Manifest,
	options: RequestOptions & { readonly clock?: Clock | undefined } = {},
): Promise<Manifest> {
	const { clock, ...request } = options
	if (comparePositions(position, current.writerPosition) === 0) return current
	if (comparePositions(position, current.changeFloor) < 0) throw expired(position)
	for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		const base = await loadBefore(store, position, current.changeFloor, request, clock)
		if (base === 'gone') continue
		if (base === undefined) throw expired(position)
		return await foldUpTo(store, base, position, request)
	}
	throw expired(position)
}

/** The mark from which everything that is retained can be followed; `undefined` while nothing was given up. */
export function earliestMark(manifest: Manifest): CommitMark | undefined {
	if (comparePositions(manifest.changeFloor, LOG_START) === 0) return undefined
	return manifest.marks.find(mark => comparePositions(mark.position, manifest.changeFloor) === 0)
}

/** `gone`: it was deleted meanwhile. `undefined`: there is none, and the log does not reach back to its start. */
async function loadBefore(
	store: ObjectStore,
	position: LogPosition,
	floor: LogPosition,
	options: RequestOptions,
	clock: Clock | undefined,
): Promise<Manifest | 'gone' | undefined> {
	const name = (await listCheckpoints(store, options)).findLast(
		({ writerPosition }) =>
			comparePositions(writerPosition, position) <= 0 && comparePositions(writerPosition, floor) >= 0,
	)
	if (name !== undefined) return (await readCheckpoint(store, name, { ...options, clock })) ?? 'gone'
	return comparePositions(floor, LOG_START) === 0 ? EMPTY_MANIFEST : undefined
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
