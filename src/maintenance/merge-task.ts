/** What a merge is given, and what it tells: plain data and the parts that it works with. */
import type { MergeOutputOptions } from '../../workers/merge-job.ts'
import type { PendingMerge, TableRef } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { MergeMemory } from './merge-memory.ts'
import type { Chain } from './merge-ranges.ts'
import type { OwnedState } from './owned-state.ts'
import type { Uploads } from './uploads.ts'

export interface MergeComponents {
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly state: OwnedState
	readonly uploads: Uploads
	readonly memory: MergeMemory
	offered?(ref: TableRef): Uint8Array | undefined
	/** A table that was just made, before its edit. Not to be kept: its memory is used again. */
	onTable?(ref: TableRef, bytes: Uint8Array): void
}

export interface MergeTask {
	/** Runs, and single tables of L0; their order does not matter. */
	readonly chains: readonly Chain[]
	/** Of this merge alone: several may join one run. */
	readonly runId: string
	/** The run that the outputs join, or `runId`: the one that they become. */
	readonly targetRunId: string
	readonly resume: PendingMerge | undefined
	readonly output: MergeOutputOptions
	/** Entries that expired at or before this are gone; 0: none are. */
	readonly expireBeforeMs: number
}

export interface MergeProgress {
	readonly runId: string
	/** Of all inputs, as stored. */
	readonly inputBytes: number
	readonly doneBytes: number
	/** Tables so far. */
	readonly outputs: number
}

export interface MergeRunOptions {
	readonly signal: AbortSignal
	/** Answers true when no further range is to be begun: what is under way is finished and recorded. */
	isOver?(): boolean
	onProgress?(progress: MergeProgress): void
}

export interface MergeSummary {
	/** `paused`: recorded, to be resumed. `void`: inputs were removed meanwhile, by retention or by another owner. */
	readonly kind: 'merged' | 'paused' | 'void'
	readonly bytesRead: number
	readonly bytesWritten: number
	readonly tablesPassed: number
	readonly tablesWritten: number
	readonly entriesRead: number
	readonly entriesWritten: number
	readonly tombstonesDropped: number
	readonly expiredDropped: number
}

export const NOTHING_MERGED: MergeSummary = {
	kind: 'merged',
	bytesRead: 0,
	bytesWritten: 0,
	tablesPassed: 0,
	tablesWritten: 0,
	entriesRead: 0,
	entriesWritten: 0,
	tombstonesDropped: 0,
	expiredDropped: 0,
}

/** Entries went that nothing which is left hides. */
export function hasDropped({ expiredDropped, tombstonesDropped }: MergeSummary): boolean {
	return expiredDropped + tombstonesDropped > 0
}
