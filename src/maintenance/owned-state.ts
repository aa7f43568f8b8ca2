/** Who owns the maintenance log, as those who work for him see it. `MaintenanceOwner` is the real one. */
import type { Edit, EditRecord } from '../manifest/edit.ts'
import type { CheckpointPositions, Manifest } from '../manifest/manifest.ts'
import type { RequestOptions } from '../object-store/object-store.ts'

export interface OwnedState {
	/** Both logs folded, as far as this owner has read and written them. */
	readonly manifest: Manifest
	readonly epoch: number
	/** What ended it: nothing can be committed any more. */
	readonly failure: Error | undefined
	/** Folds in what is new in the writer log. */
	follow(options?: RequestOptions): Promise<void>
	/** Commits one record and folds it in. One at a time, in order of calls. */
	append(edits: readonly Edit[]): Promise<EditRecord>
	/** Writes and announces a checkpoint; resolves when that is acknowledged. */
	checkpoint(): Promise<CheckpointPositions>
	/** `m<epoch>-<n>`, never the same twice. For tables and for packs. */
	nextTableId(): string
}
