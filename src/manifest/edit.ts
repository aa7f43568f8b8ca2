/**
 * Edits: what one record of the maintenance log says. Set-based: tables are removed and added by id, never by place in a
 * list, and an edit refers only to writer records below the position that its record names. So the two logs commute:
 * whoever has folded the writer log at least to that position may apply the edit.
 */
import type { LogPosition } from '../log/log-position.ts'
import type {
	BlobPackRef,
	CheckpointPositions,
	CommitMark,
	MaintainerNote,
	PendingMerge,
	TableRef,
} from './manifest.ts'

/** Where an added table goes: a run (made when it is not there yet), or `null`: L0, in the place of one that was rewritten. */
export interface AddedTable {
	readonly runId: string | null
	readonly table: TableRef
}

export type Edit =
	/** The first of each owner. */
	| { readonly kind: 'maintainer'; readonly note: MaintainerNote }
	/**
	 * Removes and adds tables at once: a merge, a trivial move, retention, rewritten blob references. A pending merge whose
	 * run is added, or that lost an input, ends. Objects and packs that nothing refers to any more become `removed`.
	 */
	| {
			readonly kind: 'replace'
			readonly remove: readonly string[]
			readonly add: readonly AddedTable[]
			readonly addPacks: readonly BlobPackRef[]
	  }
	/** Progress of a merge; replaces an earlier one of the same run. */
	| { readonly kind: 'pending'; readonly merge: PendingMerge }
	/** Gives a pending merge up: its outputs become `removed`. */
	| { readonly kind: 'abandon'; readonly runId: string }
	/** A checkpoint is on the store. From here on what it covers may be deleted, after the grace period. */
	| { readonly kind: 'announce'; readonly checkpoint: CheckpointPositions; readonly mark: CommitMark }
	/** Commits before `position` may be deleted. Never goes back. */
	| { readonly kind: 'floor'; readonly position: LogPosition }
	/** These of `removed` are deleted. */
	| { readonly kind: 'deleted'; readonly objectKeys: readonly string[] }
	| { readonly kind: 'swept'; readonly writerEpoch: number; readonly maintenanceEpoch: number }
	/** Beside a `replace`: it took away entries that nothing hid, for their age or because they had expired. */
	| { readonly kind: 'dropped' }

export interface EditRecord {
	/** The slot of the maintenance log that it stands in. */
	readonly position: LogPosition
	/** Tables that it names were committed below this position of the writer log. */
	readonly writerPosition: LogPosition
	/** By the maintainer's clock. */
	readonly committedAtMs: number
	readonly edits: readonly Edit[]
}
