/** What a read sees: immutable, made anew for each state of the database. */
import type { Manifest } from '../manifest/manifest.ts'
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
 * Whether the state at `seq` can be read from `manifest`: nothing newer was merged into a run, where the versions that
 * newer ones hide are dropped.
 */
export function holdsStateAt(manifest: Manifest, seq: number): boolean {
	return manifest.lastSeq >= seq && manifest.runs.every(run => run.tables.every(table => table.meta.maxSeq <= seq))
}
