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

/** A point of the writer log and its time: where the past can be found again. */
export interface CommitMark {
	/** The slot behind the commit. */
	readonly position: LogPosition
	/** Of that commit: its last sequence number and when it was made. */
	readonly lastSeq: number
	readonly committedAtMs: number
}

/** An object that nothing in the state refers to any more and that has not been deleted yet. */
export interface RemovedObject {
	readonly objectKey: string
	readonly bytes: number
	/** The maintenance record that removed it: deletable only below an announced checkpoint that covers this. */
	readonly removedAt: LogPosition
	/** By the clock of the maintainer that removed it. */
	readonly removedAtMs: number
}

/** A merge that is not finished: its outputs so far are kept, so that whoever goes on need not begin again. */
export interface PendingMerge {
	/** Of this merge alone; also of the run that it becomes, unless its outputs join another one. */
	readonly runId: string
	/** Ids of the tables that it merges; once one of them is gone for another reason the merge is void. */
	readonly inputs: readonly string[]
	/** In key order; not part of what is read. */
	readonly outputs: readonly TableRef[]
	/** Keys below this are in `outputs`, keys from it on are not yet merged. */
	readonly resumeKey: Uint8Array
}

/** What the owner of the maintenance log said when it took over. */
export interface MaintainerNote {
	/** What it does: `merge`, `age`, `time-window`. Always also blobs, checkpoints and garbage. */
	readonly policies: readonly string[]
	/** Epoch of the writer in whose process it runs; 0 when it runs alone. */
	readonly writerEpoch: number
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
	/** Newest first: disjoint in sequence numbers, all below those of L0. */
	readonly runs: readonly SortedRun[]
	/** Each is used by a table: `meta.blobUses` of all tables say by which, and how much of it is live. */
	readonly blobPacks: readonly BlobPackRef[]
	/** Commits before it may have been deleted: no tail begins before it. */
	readonly changeFloor: LogPosition
	/** Ascending; at each announced checkpoint back to `changeFloor`. */
	readonly marks: readonly CommitMark[]
	readonly pendingMerges: readonly PendingMerge[]
	/** In the order in which they were removed. */
	readonly removed: readonly RemovedObject[]
	/** The newest checkpoint whose announcement is committed; `undefined` before the first. */
	readonly announced: CheckpointPositions | undefined
	/** Epochs of each log up to which uploads that nobody refers to have been looked for; 0 before the first. */
	readonly sweptWriterEpoch: number
	readonly sweptMaintenanceEpoch: number
	/** Behind the last edit that took away entries that nothing hid, for their age or expiry; the start before the first. */
	readonly droppedAt: LogPosition
	/** Of the last owner of the maintenance log that said so. */
	readonly maintainer: MaintainerNote | undefined
}

/** What the name of a checkpoint says. */
export interface CheckpointPositions {
	readonly maintenancePosition: LogPosition
	readonly writerPosition: LogPosition
}
