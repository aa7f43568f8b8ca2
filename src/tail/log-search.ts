/**
 * Finding a place in the writer log other than by position: by time, and the first record that is left behind a gap.
 *
 * Commit times never go back in commit order, so the first commit at or after a time is found by two binary searches:
 * over epochs by their first record, then over the slots of one epoch. Cost: log2(epochs) + log2(slots) GETs of whole
 * records in sequence (17 for 100,000 commits of one writer); when the place lies in an epoch that is sealed, also its
 * seal must be found: 2 LISTs for an epoch of up to 1,000 records, 2 × log2(records / 1,000) and up to 8 more for longer ones.
 *
 * Everything below the floor of changes is as old as the floor's mark, or older: nothing there is asked for.
 *
 * Collected records count as older than any time. That may lead astray only past a gap, and the record before the one
 * that was found then is missing: `ISLE_EXPIRED`, never a silent skip.
 */
import { corrupt, IsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import { isBarrier } from '../log/record.ts'
import { type Commit, decodeCommit } from '../manifest/commit.ts'
import type { CommitMark } from '../manifest/manifest.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import { encodeCursor } from './cursor.ts'
import { retryEndlessly } from './endless-retry.ts'

/** A writer has at the most 64 commits in flight: behind its seal no more of them can have arrived. Twice that. */
const BEHIND_SEAL_MAX_RECORDS = 128
/** Barriers stand at most 4,096 slots ahead of the end. */
const BARRIER_MAX_SLOTS = 8_192
/** Records that are looked at for the first commit behind a gap. */
const BEHIND_GAP_MAX_RECORDS = 16
const LIST_PAGE_MAX = 1000
const KEY = /^[^/]+\/(\d{16})\/(\d{16})$/

type Found = Commit | 'seal' | 'barrier' | undefined

/** The cursor before the first commit that is left behind `position` and before `end`; `undefined` when none is. */
export async function firstCommitBehind(
	log: FencedLog,
	position: LogPosition,
	end: LogPosition,
	signal: AbortSignal | undefined,
): Promise<string | undefined> {
	const request: RequestOptions = { signal }
	const folder = folderOf(log.key(position))
	const logFolder = folder.slice(0, folder.indexOf('/') + 1)
	const page = await log.store.list({ ...request, prefix: logFolder, startAfter: log.key(position) })
	for (const { key } of page.objects.slice(0, BEHIND_GAP_MAX_RECORDS)) {
		const at = parseKey(key)
		if (comparePositions(at, end) >= 0) return undefined
		const found = await readRecord(log, at, request)
		if (typeof found === 'object') return encodeCursor({ kind: 'change', seq: found.firstSeq - 1, position: at })
	}
	return undefined
}

export interface TimeSearch {
	readonly log: FencedLog
	/** Where it is given, what the store does not answer is asked again, for ever. */
	readonly host?: Host | undefined
	/** Everything before it is committed. */
	readonly end: LogPosition
	/** Commits before it may have been collected. Undefined: none was, on purpose. */
	readonly floor: CommitMark | undefined
	readonly signal?: AbortSignal | undefined
}

/**
 * Where the first commit with `committedAtMs` ≥ `timeMs` stands, or `end` when there is none yet.
 * @throws ISLE_EXPIRED when records of that time or later were collected.
 */
export async function findByTime(search: TimeSearch, timeMs: number): Promise<LogPosition> {
	const { end, floor } = search
	if (end.epoch === 0) return end
	if (floor !== undefined && timeMs <= floor.committedAtMs) {
		throw notRetained(timeMs, encodeCursor({ kind: 'change', seq: floor.lastSeq, position: floor.position }))
	}
	// Invariant: an epoch below `low` begins before the time, one from `high` on does not.
	let low = 1
	let high = end.epoch + 1
	while (low < high) {
		const middle = Math.floor((low + high) / 2)
		if (await beginsBefore(search, middle, timeMs)) low = middle + 1
		else high = middle
	}
	const epoch = low - 1
	// The log begins with epoch 1: epoch 0 is one seal.
	if (epoch === 0) return { epoch: 1, slot: 0 }
	return await findInEpoch(search, epoch, timeMs)
}

/** Whether the first record of `epoch`, or of the next epoch that has one, is older than the time or gone. */
async function beginsBefore(search: TimeSearch, epoch: number, timeMs: number): Promise<boolean> {
	for (let at = epoch; comparePositions({ epoch: at, slot: 0 }, search.end) < 0; at++) {
		if (isBelowFloor(search, { epoch: at, slot: 0 })) return true
		const found = await read(search, { epoch: at, slot: 0 })
		if (found !== 'seal' && found !== 'barrier') return isBefore(found, timeMs)
	}
	return false
}

async function findInEpoch(search: TimeSearch, epoch: number, timeMs: number): Promise<LogPosition> {
	const slots = epoch === search.end.epoch ? search.end.slot : await sealSlot(search, epoch)
	let low = 0
	let high = slots
	// Invariant: slot `low` is before the time, `high` is not (or is the end of the epoch).
	while (high - low > 1) {
		const middle = Math.floor((low + high) / 2)
		const at = { epoch, slot: middle }
		if (isBelowFloor(search, at) || isBefore(await read(search, at), timeMs)) low = middle
		else high = middle
	}
	const position = { epoch, slot: high }
	if (isBelowFloor(search, { epoch, slot: low })) return position
	const before = await read(search, { epoch, slot: low })
	if (typeof before === 'object') return position
	const { log, end, signal } = search
	const earliest = await firstCommitBehind(log, { epoch, slot: low }, end, signal).catch(() => undefined)
	throw notRetained(timeMs, earliest)
}

function notRetained(timeMs: number, earliest: string | undefined): IsleError {
	return new IsleError('ISLE_EXPIRED', `the log is no longer retained from that time on: timeMs=\`${timeMs}\``, {
		details: earliest === undefined ? { timeMs } : { timeMs, earliest },
	})
}

function isBelowFloor({ floor }: TimeSearch, position: LogPosition): boolean {
	return floor !== undefined && comparePositions(position, floor.position) < 0
}

/** What was collected is older than what is left. A seal below the end of an epoch is a void one, where a commit was. */
function isBefore(found: Found, timeMs: number): boolean {
	return typeof found !== 'object' || found.committedAtMs < timeMs
}

/**
 * The slot that closes an earlier epoch: its last seal. Commits behind it came too late and belong to nobody; so does a
 * barrier, unless no seal of an owner is there: then the lowest barrier was reached.
 */
async function sealSlot(search: TimeSearch, epoch: number): Promise<number> {
	let barrier: number | undefined
	let commits = 0
	for (const slot of await lastSlots(search, epoch)) {
		const found = await read(search, { epoch, slot })
		if (found === 'seal') return slot
		if (found === 'barrier') barrier = slot
		else if (++commits > BEHIND_SEAL_MAX_RECORDS) break
	}
	if (barrier !== undefined) return barrier
	throw corrupt(folderOf(search.log.key({ epoch, slot: 0 })), 'no seal at the end of an epoch that has a successor')
}

/** The slots that hold records at the end of `epoch`, the greatest first: as many as barriers and late commits can fill. */
async function lastSlots(search: TimeSearch, epoch: number): Promise<number[]> {
	const last = await lastSlot(search, epoch)
	const slots: number[] = []
	for (let from = Math.max(-1, last - BARRIER_MAX_SLOTS); from < last; ) {
		const { keys } = await listBehind(search, epoch, from)
		if (keys.length === 0) break
		for (const key of keys) slots.push(parseKey(key).slot)
		from = slots.at(-1) ?? last
	}
	return slots.reverse()
}

/** The greatest slot of `epoch` that holds a record: a page that is not full ends with it. */
async function lastSlot(search: TimeSearch, epoch: number): Promise<number> {
	// Invariant: slot `known` holds a record (or is −1), no slot from `bound` on does.
	let known = -1
	let bound = Number.POSITIVE_INFINITY
	let step = 0
	for (;;) {
		const isNear = bound - known <= LIST_PAGE_MAX
		const from = isNear ? known : bound < Number.POSITIVE_INFINITY ? Math.floor((known + bound) / 2) : known + step
		const page = await listBehind(search, epoch, from)
		const last = page.keys.at(-1)
		if (last !== undefined) known = parseKey(last).slot
		else bound = from + 1
		if ((last !== undefined && !page.isTruncated) || isNear) return known
		step = Math.max(LIST_PAGE_MAX, step * 2)
	}
}

async function listBehind(
	search: TimeSearch,
	epoch: number,
	slot: number,
): Promise<{ readonly keys: readonly string[]; readonly isTruncated: boolean }> {
	const { log, signal } = search
	const prefix = folderOf(log.key({ epoch, slot: 0 }))
	const startAfter = slot < 0 ? undefined : log.key({ epoch, slot })
	const page = await retry(search, () => log.store.list({ signal, prefix, startAfter }))
	return { keys: page.objects.map(object => object.key), isTruncated: page.isTruncated }
}

function read(search: TimeSearch, position: LogPosition): Promise<Found> {
	const { log, signal } = search
	return retry(search, () => readRecord(log, position, { signal }))
}

function retry<Value>({ host, signal }: TimeSearch, attempt: () => Promise<Value>): Promise<Value> {
	return host === undefined ? attempt() : retryEndlessly(host, signal, attempt)
}

async function readRecord(log: FencedLog, position: LogPosition, request: RequestOptions): Promise<Found> {
	const record = await log.readSlot(position, request)
	if (record === undefined) return undefined
	if (record.kind === 'commit') return decodeCommit(record, log.key(position)).commit
	return isBarrier(record) ? 'barrier' : 'seal'
}

/** `log/<epoch>/` of `log/<epoch>/<slot>`. */
function folderOf(key: string): string {
	return key.slice(0, key.lastIndexOf('/') + 1)
}

function parseKey(key: string): LogPosition {
	const match = KEY.exec(key)
	if (match === null) throw corrupt(key, 'not the name of a log record:')
	return { epoch: Number(match[1]), slot: Number(match[2]) }
}
