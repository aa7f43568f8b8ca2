/** The set of live objects, as immutable values: a change returns a new manifest. */
import type { LogPosition } from '../log/log-position.ts'
import type { SstMeta } from '../sst/sst-meta.ts'

/** Where a table lies: inside a log record (`offset` > 0) or alone in an object (`offset` 0). */
export interface TableRef {
	/** `w<epoch>-<n>` of a writer, `m<epoch>-<n>` of maintenance; unique in a database, for ever. */
	readonly id: string
	/** Key of the object under the prefix of the database. */
	readonly objectKey: string
	/** Where the table begins in that object; it is `meta.storedBytes` long. */
	readonly offset: number
	readonly meta: SstMeta
}

/** A pack of large values. */
export interface BlobPackRef {
	readonly id: string
	readonly objectKey: string
	/** The whole object. */
	readonly bytes: number
	readonly valueCount: number
}

/** Tables of one run do not overlap and stand in ascending key order. */
export interface SortedRun {
	readonly id: string
	readonly tables: readonly TableRef[]
}

export interface Manifest {
	/** The next writer-log slot that this state has not folded in. */
	readonly writerPosition: LogPosition
	readonly maintenancePosition: LogPosition
	/** High-water mark of sequence numbers: of every commit ever folded in, not of live tables. */
	readonly lastSeq: number
	/** When the newest commit that was folded in was made; 0 before the first. */
	readonly lastCommitMs: number
	/** In commit order, oldest first: ascending and disjoint in sequence numbers, overlapping in keys. */
	readonly l0: readonly TableRef[]
	/** Newest first. */
	readonly runs: readonly SortedRun[]
	readonly blobPacks: readonly BlobPackRef[]
}

/** Every table of `manifest`, L0 first. */
function tablesOf(manifest: Manifest): TableRef[] {
	return [...manifest.l0, ...manifest.runs.flatMap(run => run.tables)]
}

/** Bytes of all tables of `manifest`, as stored. */
export function storedBytesOf(manifest: Manifest): number {
	return tablesOf(manifest).reduce((sum, table) => sum + table.meta.storedBytes, 0)
}
