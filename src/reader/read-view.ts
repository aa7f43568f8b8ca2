/** What a read sees: immutable, made anew for each state of the database. */
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { sumsOf } from '../manifest/run-parts.ts'
import type { Memtable } from '../memtable/memtable.ts'

export interface ReadView {
	readonly manifest: Manifest
	/** Newest first: the active one, then the frozen ones that are not in `manifest` yet. Empty but in the writer's process. */
	readonly memtables: readonly Memtable[]
	/** Entries with a greater sequence number are not seen. */
	readonly maxSeq: number
}

/** The view of a process that only reads: all that `manifest` holds. */
export function viewOf(manifest: Manifest): ReadView {
	return { manifest, memtables: [], maxSeq: manifest.lastSeq }
}

/**
 * Whether `manifest` shows all that `view` shows, though its objects are others: nothing newer was merged, and nothing was
 * dropped since for its age, because it had expired, or with the tombstone that deleted it.
 */
export function holdsView(manifest: Manifest, view: ReadView): boolean {
	return (
		holdsStateAt(manifest, view.maxSeq) && comparePositions(manifest.droppedAt, view.manifest.maintenancePosition) <= 0
	)
}

/**
 * The same of a state of which nothing is known but its number: it is the newest, or nothing has ever been dropped. A merge that drops
 * a tombstone with what it hides leaves no table that tells how new it was.
 */
export function surelyHoldsStateAt(manifest: Manifest, seq: number): boolean {
	const isIntact = manifest.lastSeq === seq || comparePositions(manifest.droppedAt, LOG_START) === 0
	return isIntact && holdsStateAt(manifest, seq)
}

/**
 * Whether the state at `seq` can be read from `manifest`, if nothing was dropped since: nothing newer was merged into a run, where
 * the versions that newer ones hide are dropped.
 */
export function holdsStateAt(manifest: Manifest, seq: number): boolean {
	return manifest.lastSeq >= seq && manifest.runs.every(run => sumsOf(run).maxSeq <= seq)
}
