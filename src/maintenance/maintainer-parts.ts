/**
 * What a maintainer is made of, as its loop sees it: somebody who owns the maintenance log, somebody who follows both logs,
 * and a desk that knows what is to be done. Narrow on purpose: the loop decides when, never what or how.
 */
import type { LogPosition } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import type { OwnedState } from './owned-state.ts'

/** The owner of an epoch of the maintenance log. */
export type OwnedLog = Pick<OwnedState, 'manifest' | 'epoch' | 'failure' | 'follow' | 'append'>

/** Both logs, read and not owned. */
export interface FollowedLogs {
	readonly manifest: Manifest
	/** Reads what is new in both: one GET each when there is nothing. */
	poll(options?: RequestOptions): Promise<void>
}

export type WorkKind = 'merge' | 'move' | 'drop' | 'rewrite-packs' | 'abandon'

/** What a policy has chosen, ready to be carried out. */
export interface PlannedWork {
	readonly kind: WorkKind
	readonly why: string
	/** Ids of what nothing else may touch meanwhile. */
	readonly tables: readonly string[]
	/** What it reads: ids of tables, object keys of packs. */
	readonly reads: readonly string[]
	/** Of its inputs, as stored. */
	readonly bytes: number
	/** @throws the signal's reason, what cannot be read (with `details.table`), what the store and the log throw. */
	run(options: WorkRun): Promise<WorkOutcome>
}

export interface WorkRun {
	/** Aborted: it ends at once, and what it made since it last saved how far it came is lost. */
	readonly signal: AbortSignal
	/** True: it saves how far it came, and ends. */
	readonly isOver: () => boolean
	/** Bytes of inputs that are done. */
	readonly onProgress: (bytesDone: number) => void
}

export interface WorkOutcome {
	/** `paused`: saved, for whoever goes on; `postponed`: the time decides it, and no clock is trusted; `void`: its tables were gone. */
	readonly kind: 'done' | 'paused' | 'postponed' | 'void'
	readonly bytesRead: number
	readonly bytesWritten: number
	/** Tables that went without a rewrite. */
	readonly tablesDropped: number
}

export interface UnreadablePin {
	readonly key: string
	readonly error: unknown
}

/** What the housekeeping did: checkpoints, the floor of changes, the deletion of garbage. */
export interface TendOutcome {
	readonly checkpoints: number
	readonly objectsDeleted: number
	readonly bytesDeleted: number
	/** Pins that cannot be read: nothing is deleted while they are there. */
	readonly unreadablePins: readonly UnreadablePin[]
	/** When there may be more to do, by the wall clock; undefined: only after an edit or a commit. */
	readonly nextDueMs: number | undefined
}

export interface TendContext {
	readonly nowMs: number
	readonly signal: AbortSignal
	/** What was removed from here on may still be read by whoever said so. */
	readonly protectedPosition: LogPosition | undefined
	/** Nobody comes after this one soon: a checkpoint of whatever there is. */
	readonly isLast: boolean
}

export interface PlanContext {
	readonly nowMs: number
	readonly busy: ReadonlySet<string>
	readonly quarantined: ReadonlySet<string>
	/** False: large work runs already, and the place that is left is for small work. */
	readonly isLargeAllowed: boolean
}

/** What maintenance keeps in memory, in bytes. */
export interface MaintenanceMemory {
	/** Of `mergeMemoryBytes`: inputs and outputs of merges, small tables that they have read whole, buffers for the next range. */
	readonly mergeBytes: number
	/** Small tables that came in log records or were made here, kept for the next merges: 16 MiB at the most. */
	readonly tableBytes: number
}

export const NO_MEMORY: MaintenanceMemory = { mergeBytes: 0, tableBytes: 0 }

/** The work of one owner. */
export interface WorkDesk {
	readonly memory: MaintenanceMemory
	/** The most urgent work that touches nothing that is busy. */
	plan(context: PlanContext): PlannedWork | undefined
	/** When time alone makes work for `plan`, by the wall clock. */
	nextDueMs(nowMs: number): number | undefined
	/** Whatever housekeeping is due; not called twice at once. */
	tend(context: TendContext): Promise<TendOutcome>
}

export interface ClaimedWork {
	readonly owner: OwnedLog
	readonly desk: WorkDesk
}

/** Policies and what carries them out. */
export interface MaintenanceTrade {
	/** Names for `MaintainerNote.policies`. */
	readonly policies: readonly string[]
	/** Whether `manifest` holds work, for one that nobody else does it for. Pure. */
	hasWork(manifest: Manifest, nowMs: number): boolean
	/** Whether `manifest` holds work that an owner of these policies does at once. Pure. */
	isUndone(manifest: Manifest, nowMs: number, policies: readonly string[]): boolean
	/** When time alone makes such work, by the wall clock. Pure. */
	nextDueMs(manifest: Manifest, nowMs: number): number | undefined
	/** Takes the maintenance log over: whoever owned it is fenced. */
	claim(options: RequestOptions): Promise<ClaimedWork>
	openFollower(options: RequestOptions): Promise<FollowedLogs>
}
