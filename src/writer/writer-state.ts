/**
 * The manifest of the one writer: its own commits, and the edits that a maintainer makes, in this process or elsewhere.
 *
 * - Commits are folded in as they are published.
 * - Edits come from whoever maintains in this process (`applyEdits`), or are read from the maintenance log (`followEdits`).
 *   One that names commits which are not published here yet is held until they are. One that names commits of a later epoch says that
 *   this writer is fenced.
 * - Where records of the maintenance log were deleted before they were read, the whole state is read anew; what happened
 *   meanwhile is folded in behind it.
 *
 * Invariant: no record is skipped, and none is folded in twice.
 */
import { IsleError, invariant } from '../errors.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { Commit } from '../manifest/commit.ts'
import { DatabaseLogs } from '../manifest/database-logs.ts'
import type { EditRecord } from '../manifest/edit.ts'
import { applyCommits } from '../manifest/fold.ts'
import { applyEdits } from '../manifest/fold-edits.ts'
import { MaintenanceWatcher } from '../manifest/maintenance-watcher.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { loadManifest } from '../manifest/manifest-replay.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'

/** What was folded in while the state is read anew. */
interface Meanwhile {
	readonly commits: Commit[]
	readonly records: EditRecord[]
}

export interface FollowEditsOptions extends RequestOptions {
	/** Default false. */
	readonly isWhole?: boolean | undefined
}

export class WriterState {
	readonly #logs: DatabaseLogs
	readonly #epoch: number
	readonly #watcher: MaintenanceWatcher
	readonly #onFenced: (error: IsleError) => void
	#manifest: Manifest
	/** The record of the maintenance log that follows those that are folded in or held. */
	#nextEdit: LogPosition
	/** In order; the first one names commits that are not published yet. */
	#held: EditRecord[] = []
	#meanwhile: Meanwhile | undefined
	#following: Promise<void> = Promise.resolve()

	/** `epoch` is the writer's; `onFenced` is told once another writer is known to have taken over. */
	constructor(store: ObjectStore, epoch: number, manifest: Manifest, onFenced: (error: IsleError) => void) {
		this.#onFenced = onFenced
		this.#logs = new DatabaseLogs(store)
		this.#epoch = epoch
		this.#manifest = manifest
		this.#nextEdit = manifest.maintenancePosition
		this.#watcher = new MaintenanceWatcher(this.#logs, manifest)
	}

	get manifest(): Manifest {
		return this.#manifest
	}

	/** Folds in a commit of this writer. */
	publish(commit: Commit): void {
		this.#meanwhile?.commits.push(commit)
		this.#foldCommit(commit)
		this.#release()
	}

	/**
	 * Takes records of the maintenance log in their order; those that are known already are passed over. False: records
	 * before one of them were never seen here, and it was not taken; `followEdits` finds them.
	 */
	applyEdits(records: readonly EditRecord[]): boolean {
		for (const record of records) {
			const order = comparePositions(record.position, this.#nextEdit)
			if (order > 0) return false
			if (order === 0) this.#take(record)
		}
		return true
	}

	/**
	 * Folds in every edit that was committed before this call. One GET and one LIST when there is none. `isWhole`: both logs are
	 * read anew, as opening does, with commits that stand and of which this writer was not told yet; who was fenced without
	 * knowing it finds out.
	 * @throws ISLE_UNAVAILABLE, ISLE_CORRUPT, ISLE_FENCED, the signal's reason; what was folded in stays.
	 */
	followEdits(options: FollowEditsOptions = {}): Promise<void> {
		const { isWhole = false } = options
		const following = this.#following.then(() => (isWhole ? this.#reload(options) : this.#follow(options)))
		this.#following = following.catch(() => undefined)
		return following
	}

	async #follow(options: RequestOptions): Promise<void> {
		options.signal?.throwIfAborted()
		this.#watcher.restart({ maintenancePosition: this.#nextEdit, maintainer: this.#manifest.maintainer })
		const records = await this.#watcher.poll(options)
		if (records === undefined) return await this.#reload(options)
		// They follow one another, whatever came by `applyEdits` meanwhile: it can only have been the first of them.
		for (const record of records) if (comparePositions(record.position, this.#nextEdit) >= 0) this.#take(record)
		if (comparePositions(this.#watcher.position, this.#nextEdit) > 0) this.#nextEdit = this.#watcher.position
	}

	async #reload(options: RequestOptions): Promise<void> {
		const meanwhile: Meanwhile = { commits: [], records: [] }
		this.#meanwhile = meanwhile
		try {
			const loaded = await loadManifest(this.#logs, undefined, options)
			if (loaded.writerPosition.epoch > this.#epoch) throw this.#fenced()
			this.#manifest = loaded
			this.#nextEdit = loaded.maintenancePosition
			this.#held = []
		} finally {
			this.#meanwhile = undefined
		}
		for (const commit of meanwhile.commits) this.#foldCommit(commit)
		invariant(this.applyEdits(meanwhile.records), 'the state that was loaded reaches what was read before')
	}

	#take(record: EditRecord): void {
		this.#meanwhile?.records.push(record)
		this.#held.push(record)
		this.#nextEdit = { epoch: record.position.epoch, slot: record.position.slot + 1 }
		// Whoever made it has read the log beyond the seal that ends this epoch. A writer that waits appends nothing, and would never know.
		if (record.writerPosition.epoch > this.#epoch) this.#fenced()
		this.#release()
	}

	/** Tells that another writer has taken over. */
	#fenced(): IsleError {
		const what = `another writer has taken the log over: epoch=\`${this.#epoch}\``
		const fenced = new IsleError('ISLE_FENCED', what, { details: { epoch: this.#epoch } })
		this.#onFenced(fenced)
		return fenced
	}

	#foldCommit(commit: Commit): void {
		// A state that was read anew may hold a commit of which this writer has not yet been told that it stands.
		if (comparePositions(commit.position, this.#manifest.writerPosition) < 0) return
		this.#manifest = applyCommits(this.#manifest, [commit])
	}

	#release(): void {
		const { writerPosition } = this.#manifest
		const waiting = this.#held.findIndex(record => comparePositions(record.writerPosition, writerPosition) > 0)
		const ready = waiting === -1 ? this.#held : this.#held.slice(0, waiting)
		if (ready.length === 0) return
		this.#held = waiting === -1 ? [] : this.#held.slice(waiting)
		this.#manifest = applyEdits(this.#manifest, ready)
	}
}
