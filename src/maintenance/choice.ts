/** What a policy decided: data, for whoever carries it out. Every choice says why. */
import type { BlobPackRef, PendingMerge, TableRef } from '../manifest/manifest.ts'

/**
 * Why tables are merged: L0 is due; runs of like size; runs of a time bucket that is over; more runs than are allowed;
 * newer runs are large beside the oldest; deletions are many beside what they delete; entries have expired; neighbours in a
 * run are small; a merge that somebody began.
 */
export type MergeTrigger =
	| 'l0'
	| 'similar-runs'
	| 'closed-bucket'
	| 'too-many-runs'
	| 'space'
	| 'tombstones'
	| 'expired'
	| 'small-tables'
	| 'resume'

export interface MergeChoice {
	readonly kind: 'merge'
	readonly trigger: MergeTrigger
	/**
	 * Newest first: tables of L0, then of runs in key order. They are all of the oldest of L0, and whole runs that follow one
	 * another; or, when `runId` is their own run, neighbours in it.
	 */
	readonly inputs: readonly TableRef[]
	/** The run that the outputs join, nothing of which lies between or below their keys; `undefined`: they become a run. */
	readonly runId: string | undefined
	/** Set when it goes on with this one. */
	readonly resume: PendingMerge | undefined
	/** Of the inputs, as stored. */
	readonly bytes: number
	/** True when nothing at all is older than the inputs. Keys of which nothing is older there may be in any case. */
	readonly isBottom: boolean
	readonly why: string
}

/** An edit without a rewrite: tables change their place by reference. */
export interface MoveChoice {
	readonly kind: 'move'
	readonly tables: readonly TableRef[]
	/** The run that they join; `undefined`: they become a run of their own. */
	readonly runId: string | undefined
	readonly why: string
}

/** An edit without a rewrite: tables go, with all that is in them. */
export interface DropChoice {
	readonly kind: 'drop'
	readonly tables: readonly TableRef[]
	readonly bytes: number
	readonly why: string
}

/** The live values of `packs` go into a new pack, and `tables`, which are all that refer to them, are rewritten in place. */
export interface RewritePacksChoice {
	readonly kind: 'rewrite-packs'
	readonly packs: readonly BlobPackRef[]
	readonly tables: readonly TableRef[]
	/** Of the values that are still referred to. */
	readonly liveBytes: number
	readonly why: string
}

/** A merge that somebody began cannot be finished: its outputs are given up. */
export interface AbandonChoice {
	readonly kind: 'abandon'
	readonly merge: PendingMerge
	readonly why: string
}

export type Choice = MergeChoice | MoveChoice | DropChoice | RewritePacksChoice | AbandonChoice

/** Tables that nothing else may touch while `choice` is carried out. */
export function tablesOfChoice(choice: Choice): readonly TableRef[] {
	switch (choice.kind) {
		case 'merge':
			return choice.inputs
		case 'abandon':
			return []
		default:
			return choice.tables
	}
}
