/** What a writer works with, and what it shows to reads of its process. */
import type { Host } from '../host/host.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'

export interface WriterComponents {
	/** Of the database (its prefix taken off), with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
	/** Whether somebody reads new tables as soon as they are committed, so that they should be in memory. Default: nobody. */
	wantsTables?(): boolean
}

/** What a read of this process sees; `release` it when a scan or snapshot is done. */
export interface WriterView {
	readonly manifest: Manifest
	/** Newest first. */
	readonly memtables: readonly Memtable[]
	readonly maxSeq: number
}
