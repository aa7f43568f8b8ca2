/**
 * What a policy looks at: a manifest and the time, and which tables it may not touch. Made for one decision.
 */
import type { Manifest, SortedRun, TableRef } from '../manifest/manifest.ts'
import type { CompactionSettings, MaintenanceSettings } from './options.ts'
import { factsOf } from './run-facts.ts'

export interface PolicyContext {
	/** Ids of tables that something under way is working on. */
	readonly busy: ReadonlySet<string>
	/**
	 * What cannot be read: ids of tables, object keys of packs. They may be moved and dropped, and everything around them goes on.
	 */
	readonly quarantined: ReadonlySet<string>
	/** False while as many large merges run as may: only small work is chosen. Default true. */
	readonly isLargeAllowed?: boolean | undefined
	/** False while the clock is in doubt: nothing is dropped for its age. Default true. */
	readonly isClockTrusted?: boolean | undefined
}

export interface Scene {
	readonly manifest: Manifest
	readonly nowMs: number
	readonly settings: MaintenanceSettings
	readonly isLargeAllowed: boolean
	readonly isClockTrusted: boolean
	readonly quarantined: ReadonlySet<string>
	readonly busy: ReadonlySet<string>
	/** Busy, or an input of a merge that is to be gone on with. */
	readonly reserved: ReadonlySet<string>
}

/** A merge of this many target tables is large: about ten seconds of one core. */
const LARGE_TABLES = 16

export function largeMergeBytes(settings: CompactionSettings): number {
	return LARGE_TABLES * settings.targetTableBytes
}

export function makeScene(
	manifest: Manifest,
	nowMs: number,
	settings: MaintenanceSettings,
	context: PolicyContext,
): Scene {
	const { busy, quarantined, isLargeAllowed = true, isClockTrusted = true } = context
	// Without compaction nobody here goes on with them: what they would merge may be dropped, which ends them.
	const pending = settings.compaction === undefined ? [] : manifest.pendingMerges
	const reserved = pending.length === 0 ? busy : new Set([...busy, ...pending.flatMap(merge => merge.inputs)])
	return { manifest, nowMs, settings, isLargeAllowed, isClockTrusted, quarantined, busy, reserved }
}

/** True when `table` may be read and rewritten. */
export function isUsable(scene: Scene, table: TableRef): boolean {
	return !scene.reserved.has(table.id) && !scene.quarantined.has(table.id)
}

/** True when the whole of `run` may be read and rewritten. */
export function isUsableRun(scene: Scene, run: SortedRun): boolean {
	if (scene.reserved.size === 0 && scene.quarantined.size === 0) return true
	return run.tables.every(table => isUsable(scene, table))
}

/** Which bucket of time a table belongs to, by its newest entry; 0 for all when nothing is dropped by age. */
export function bucketOf(scene: Scene, maxWriteMs: number): number {
	const { retention } = scene.settings
	return retention === undefined ? 0 : Math.floor(maxWriteMs / retention.bucketMs)
}

/** The bucket of all tables of `run`, or `undefined` when they are of several. */
export function bucketOfRun(scene: Scene, run: SortedRun): number | undefined {
	const { oldestMaxWriteMs, maxWriteMs } = factsOf(run)
	const bucket = bucketOf(scene, maxWriteMs)
	return bucketOf(scene, oldestMaxWriteMs) === bucket ? bucket : undefined
}
