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
