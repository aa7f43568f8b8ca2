/**
 * Retention, and what has expired whole: which tables go without a rewrite.
 *
 * Invariant: a table goes only if every older table that overlaps it goes with it. What it holds hides what they hold, so
 * nothing that was deleted or overwritten comes back.
 *
 * The meanings are those of the retention compactors of the Go project IsleDB: by age the newest `retentionCount` tables are
 * kept, by time window the newest `retentionCount / 10` segments; age is strictly more than the period. Other than there, age
 * is of the newest entry and not of the object, so that no merge makes data young again.
 */
import { EXPIRY_MARGIN_MS } from '../manifest/expiry-margin.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { DropChoice } from './choice.ts'
import type { RetentionSettings } from './options.ts'
import type { Scene } from './policy-scene.ts'
import { factsOf, firstBehind, overlap } from './run-facts.ts'

export function chooseDrop(scene: Scene): DropChoice | undefined {
	if (!scene.isClockTrusted || !mayHoldOld(scene)) return undefined
	const { manifest, settings, nowMs } = scene
	const { retention } = settings
	const isTooOld = retention === undefined ? () => false : ageJudge(scene, retention)
	const isGone = (table: TableRef): boolean =>
		!scene.reserved.has(table.id) && (isExpired(table, nowMs) || isTooOld(table))
	const survivors: Survivors[] = []
	const dropped: TableRef[] = []
	// Oldest first: whoever is asked about has only survivors below it.
	for (const run of manifest.runs.toReversed()) survivors.push(sift(run.tables, isGone, survivors, dropped))
	const l0: TableRef[] = []
	survivors.push({ tables: l0, isSorted: false })
	for (const table of manifest.l0) if (sift([table], isGone, survivors, dropped).tables.length > 0) l0.push(table)
	if (dropped.length === 0) return undefined
	const bytes = dropped.reduce((sum, table) => sum + table.meta.storedBytes, 0)
	const expiredCount = dropped.filter(table => isExpired(table, nowMs)).length
	const aged =
		retention === undefined ? '' : `older than retention (${retention.mode}) keeps: ${dropped.length - expiredCount}`
	return { kind: 'drop', tables: dropped, bytes, why: `expired tables: ${expiredCount}; ${aged}`.replace(/; $/, '') }
}

/** When a table that is not old enough yet will be: what time alone brings. */
export function nextDropMs(scene: Scene): number | undefined {
	const { manifest, nowMs, settings } = scene
	const { retention } = settings
	let dueMs = Infinity
	const look = (oldestMaxWriteMs: number, ...expiriesMs: readonly number[]): boolean => {
		const times = expiriesMs.map(expiryMs => expiryMs + EXPIRY_MARGIN_MS)
		if (retention !== undefined) times.push(oldFromMs(oldestMaxWriteMs, retention))
		for (const timeMs of times) if (timeMs > nowMs) dueMs = Math.min(dueMs, timeMs)
		return times.every(timeMs => timeMs > nowMs)
	}
	for (const run of manifest.runs) {
		const { oldestMaxWriteMs, firstExpiryMs, firstHalfExpiryMs } = factsOf(run)
		if (look(oldestMaxWriteMs, firstExpiryMs, firstHalfExpiryMs)) continue
		// Its first table is due already and still there: the others have times of their own.
		for (const { meta } of run.tables) {
			look(meta.maxWriteMs, meta.maxExpiresAtMs || Infinity, meta.halfExpiresAtMs || Infinity)
		}
	}
	for (const { meta } of manifest.l0) look(meta.maxWriteMs, meta.maxExpiresAtMs || Infinity)
	return dueMs === Infinity ? undefined : dueMs
}

/** True when every entry of `table` has expired, whatever clock one asks. */
function isExpired(table: TableRef, nowMs: number): boolean {
	const { maxExpiresAtMs } = table.meta
	return maxExpiresAtMs > 0 && maxExpiresAtMs + EXPIRY_MARGIN_MS <= nowMs
}

/** True when about half of the entries of `table` have. */
export function isHalfExpired(table: TableRef, nowMs: number): boolean {
	const { halfExpiresAtMs } = table.meta
	return halfExpiresAtMs > 0 && halfExpiresAtMs + EXPIRY_MARGIN_MS <= nowMs
}

/** The first moment at which a table whose newest entry is of `maxWriteMs` is too old. */
function oldFromMs(maxWriteMs: number, { mode, retentionPeriodMs, bucketMs }: RetentionSettings): number {
	const endMs = mode === 'age' ? maxWriteMs : (Math.floor(maxWriteMs / bucketMs) + 1) * bucketMs
	return endMs + retentionPeriodMs + 1
}

/** A look at sums, so that most decisions need not look at tables. */
function mayHoldOld({ manifest, nowMs, settings: { retention } }: Scene): boolean {
	const isDue = (maxWriteMs: number, expiryMs: number): boolean =>
		expiryMs + EXPIRY_MARGIN_MS <= nowMs || (retention !== undefined && oldFromMs(maxWriteMs, retention) <= nowMs)
	return (
		manifest.runs.some(run => isDue(factsOf(run).oldestMaxWriteMs, factsOf(run).firstExpiryMs)) ||
		manifest.l0.some(({ meta }) => isDue(meta.maxWriteMs, meta.maxExpiresAtMs || Infinity))
	)
}

/** Says of a table whether it is too old and not among the newest that are kept. */
function ageJudge({ manifest, nowMs }: Scene, retention: RetentionSettings): (table: TableRef) => boolean {
	const tables = [...manifest.runs.toReversed().flatMap(run => run.tables), ...manifest.l0]
	const isOld = ({ meta }: TableRef): boolean => oldFromMs(meta.maxWriteMs, retention) <= nowMs
	if (retention.keepCount === 0) return isOld
	if (retention.mode === 'age') {
		const newest = tables.sort((a, b) => a.meta.maxWriteMs - b.meta.maxWriteMs).slice(-retention.keepCount)
		const kept = new Set(newest)
		return table => isOld(table) && !kept.has(table)
	}
	const segmentOf = ({ meta }: TableRef): number => Math.floor(meta.maxWriteMs / retention.bucketMs)
	const segments = [...new Set(tables.map(segmentOf))].sort((a, b) => a - b)
	const kept = new Set(segments.slice(-retention.keepCount))
	return table => isOld(table) && !kept.has(segmentOf(table))
}

interface Survivors {
	readonly tables: readonly TableRef[]
	readonly isSorted: boolean
}

/** Those of `tables` that stay; the others are added to `dropped`. `below` holds all that stays and is older. */
function sift(
	tables: readonly TableRef[],
	isGone: (table: TableRef) => boolean,
	below: readonly Survivors[],
	dropped: TableRef[],
): Survivors {
	const staying: TableRef[] = []
	for (const table of tables) {
		if (isGone(table) && !below.some(survivors => overlapsAny(survivors, table))) dropped.push(table)
		else staying.push(table)
	}
	return { tables: staying, isSorted: true }
}

function overlapsAny({ tables, isSorted }: Survivors, table: TableRef): boolean {
	if (!isSorted) return tables.some(other => overlap(other, table))
	const next = tables[firstBehind(tables, table)]
	return next !== undefined && overlap(next, table)
}
