/**
 * When a checkpoint is written.
 *
 * It shortens opening (one GET for each record behind it) and lets garbage go (only below an announced one); it costs two
 * PUTs and the bytes of the manifest. So: after enough records that both are small beside what the records themselves cost;
 * soon after something was removed; often enough that commits past change retention can be told and deleted; and when whoever
 * would write the next one goes away.
 */
import { comparePositions } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { MaintenanceSettings } from './options.ts'

/** What has happened since the announced checkpoint, as its owner has seen it. */
export interface SinceCheckpoint {
	/** Records of both logs. */
	readonly commits: number
	readonly edits: number
	/** When it was announced, by the owner's clock; when the owner began, if there is none or another one wrote it. */
	readonly sinceMs: number
	/** Size of the manifest as a checkpoint; an estimate will do. */
	readonly manifestBytes: number
}

/**
 * Two PUTs for 224 records: under one for a hundred. Opening reads them in windows of 8, 16, 32, 64 and 128 slots (`fenced-log.ts`), 248 in
 * five round trips: 24 for what comes while the checkpoint is written and for the look behind the end. A sixth window would be 256 more.
 */
const RECORDS_MIN = 224
/** Bytes of checkpoints for each record. With 30,000 tables (6 MB) there is one for 400 records. */
const BYTES_PER_RECORD = 16_384
/** Opening reads so many records at most, whatever the size of the manifest. */
const RECORDS_MAX = 4096
/** What is left behind when the owner closes. */
const RECORDS_MIN_CLOSING = 16
/** Removed objects wait for a checkpoint this long, */
const GARBAGE_WAIT_MS = 60_000
/** or until there is so much of them. */
const GARBAGE_BYTES = 256 * 1_048_576
/** Parts of change retention between checkpoints: commits are kept a quarter longer at most. */
const MARKS_PER_CHANGE_RETENTION = 4

/** Why a checkpoint is due, or `undefined`. */
export function chooseCheckpoint(
	manifest: Manifest,
	nowMs: number,
	settings: MaintenanceSettings,
	since: SinceCheckpoint,
	isClosing: boolean,
): string | undefined {
	const records = since.commits + since.edits
	const limit = isClosing ? RECORDS_MIN_CLOSING : recordsLimit(since)
	if (records >= limit) return `records since the last one: ${records}`
	const garbage = uncoveredGarbage(manifest)
	if (garbage.bytes >= GARBAGE_BYTES) return `garbage that waits for it: bytes=${garbage.bytes}`
	// Whoever comes next may then delete it at once.
	if (isClosing) return garbage.oldestMs === undefined ? undefined : 'garbage that waits for it'
	const dueMs = nextCheckpointMs(manifest, settings, since)
	return dueMs !== undefined && dueMs <= nowMs ? 'time has passed since the last one' : undefined
}

/** When time alone makes a checkpoint due, by the wall clock; it may lie in the past. */
export function nextCheckpointMs(
	manifest: Manifest,
	{ changeRetentionMs }: MaintenanceSettings,
	{ commits, sinceMs }: SinceCheckpoint,
): number | undefined {
	const due: number[] = []
	const { oldestMs } = uncoveredGarbage(manifest)
	if (oldestMs !== undefined) due.push(Math.max(oldestMs, sinceMs) + GARBAGE_WAIT_MS)
	// Each is a mark from which commits can be told old; without new ones there is nothing to tell.
	if (commits > 0) {
		due.push(sinceMs + Math.max(GARBAGE_WAIT_MS, changeRetentionMs / MARKS_PER_CHANGE_RETENTION))
	}
	return due.length === 0 ? undefined : Math.min(...due)
}

function recordsLimit({ manifestBytes }: SinceCheckpoint): number {
	return Math.min(RECORDS_MAX, Math.max(RECORDS_MIN, manifestBytes / BYTES_PER_RECORD))
}

/** Removed objects that no announced checkpoint covers, so that nobody may delete them. */
function uncoveredGarbage({ removed, announced }: Manifest): { bytes: number; oldestMs: number | undefined } {
	let bytes = 0
	let oldestMs: number | undefined
	for (const object of removed) {
		if (announced !== undefined && comparePositions(object.removedAt, announced.maintenancePosition) < 0) continue
		bytes += object.bytes
		oldestMs = Math.min(oldestMs ?? Infinity, object.removedAtMs)
	}
	return { bytes, oldestMs }
}
