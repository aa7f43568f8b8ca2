/**
 * The one owner of the maintenance log: whoever merges, retains, checkpoints and deletes does it through this.
 *
 * Steps of a claim: seal the maintenance log, having read it and the writer log to their confirmed ends; say who came, by a
 * `maintainer` edit. From then on the state changes by `append`, and by `follow`, which folds in what the writer has
 * committed.
 *
 * Invariants:
 * - Maintenance never begins a prefix: where the writer log has no first record, `ISLE_NOT_FOUND`, and nothing is written.
 * - Edits are checked against the state before they are sent: what others could not fold is never committed.
 * - One record at a time, in the order of calls. The first failure of an append is final: a maintainer that does not
 *   know what stands in the log claims it again.
 * - `follow` never takes a void seal for a true one. A 404 needs no look: it may only be late, and so is a state.
 */
import { corrupt, IsleError, isIsleError } from '../errors.ts'
import { DEFAULT_RETRY_BUDGET, Retry, type RetryBudget } from '../host/backoff.ts'
import type { Host } from '../host/host.ts'
import { claimLog, replayLog } from '../log/claim.ts'
import type { LogOwner } from '../log/log-owner.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { checkpointKey, encodeCheckpoint } from './checkpoint.ts'
import type { LoadedCommit } from './commit.ts'
import { DatabaseLogs } from './database-logs.ts'
import type { Edit, EditRecord } from './edit.ts'
import { encodeEdits } from './edit-codec.ts'
import { applyCommits } from './fold.ts'
import { applyEdits } from './fold-edits.ts'
import { type EpochOwners, LogsReading } from './logs-reading.ts'
import type { CheckpointPositions, MaintainerNote, Manifest } from './manifest.ts'
import { ManifestReplay } from './manifest-replay.ts'
import { plainTable } from './packed-table.ts'

export interface MaintenanceOwnerOptions {
	/** Of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly host: Host
	/** Of appends and of the checkpoint object. */
	readonly retryBudget?: RetryBudget | undefined
	/** What this maintainer does, for others to read. */
	readonly note: MaintainerNote
	/** Sees each commit of the writer log that is read, with the tables that came in it. */
	onLoaded?(loaded: LoadedCommit): void
	/** Sees each record that this owner has committed, once it is part of `manifest`; must not throw. */
	onRecord?(record: EditRecord): void
}

/** A checkpoint whose announcement is committed. */
export interface AnnouncedCheckpoint extends CheckpointPositions {
	/** The record that announces it. */
	readonly record: EditRecord
}

export class MaintenanceOwner {
	readonly #options: MaintenanceOwnerOptions
	readonly #logs: DatabaseLogs
	readonly #owner: LogOwner
	#manifest: Manifest
	#owners: EpochOwners = { writer: undefined, maintenance: undefined }
	#failure: Error | undefined
	#minted = 0
	#lastRecordMs = 0
	/** Ends with everything that was asked of the maintenance log. */
	#appending: Promise<unknown> = Promise.resolve()
	#following: Promise<unknown> = Promise.resolve()

	private constructor(options: MaintenanceOwnerOptions, logs: DatabaseLogs, owner: LogOwner, manifest: Manifest) {
		this.#options = options
		this.#logs = logs
		this.#owner = owner
		this.#manifest = manifest
	}

	/**
	 * Takes the maintenance log over: whoever owned it is fenced. An abort may leave a seal: the next claimer follows it.
	 * @throws ISLE_NOT_FOUND where there is no database yet; ISLE_FENCED when another claimer came right behind this one;
	 * ISLE_UNAVAILABLE, ISLE_CORRUPT, ISLE_DENIED; the signal's reason.
	 */
	static async claim(
		options: MaintenanceOwnerOptions & { readonly signal?: AbortSignal | undefined },
	): Promise<MaintenanceOwner> {
		const { store, host, retryBudget, note, signal } = options
		const logs = new DatabaseLogs(store)
		const replay = new ManifestReplay(logs, 'maintenance', loaded => options.onLoaded?.(loaded))
		const beforeFirstUse = async (): Promise<void> => {
			if ((await logs.writer.readSlot(LOG_START, { signal })) !== undefined) return
			const key = logs.writer.key(LOG_START)
			throw new IsleError('ISLE_NOT_FOUND', `there is no database here yet: key=\`${key}\``, { details: { key } })
		}
		const owner = await claimLog({ log: logs.maintenance, host, replay, retryBudget, signal, beforeFirstUse })
		const claimed = new MaintenanceOwner(options, logs, owner, replay.manifestAt(owner.nextPosition))
		await claimed.append([{ kind: 'maintainer', note }])
		return claimed
	}

	/** Both logs folded, as far as this owner has read and written them. */
	get manifest(): Manifest {
		return this.#manifest
	}

	get epoch(): number {
		return this.#owner.epoch
	}

	/** What ended this owner: nothing can be committed any more. */
	get failure(): Error | undefined {
		return this.#failure
	}

	/** `m<epoch>-<n>`, never the same twice: for tables, runs and packs. */
	nextTableId(): string {
		return `m${this.#owner.epoch}-${this.#minted++}`
	}

	/**
	 * Folds in what is new in the writer log. One GET when there is nothing; one more and a LIST behind a seal.
	 * @throws ISLE_FENCED, ISLE_UNAVAILABLE, ISLE_CORRUPT, the signal's reason; only the first is final.
	 */
	follow(options: RequestOptions = {}): Promise<void> {
		const following = this.#following.then(() => this.#follow(options))
		this.#following = following.catch(() => undefined)
		return following
	}

	/**
	 * Commits one record and folds it in. Resolves in the order of calls.
	 * @throws ISLE_CONFLICT when the edits do not fit the state that they meet: nothing was sent, and the owner lives on;
	 * ISLE_FENCED, ISLE_INDETERMINATE, ISLE_DENIED, ISLE_FULL, ISLE_CORRUPT, each final.
	 */
	append(edits: readonly Edit[]): Promise<EditRecord> {
		return this.#enqueue(() => this.#append(edits))
	}

	/** Writes a checkpoint of `manifest` and announces it. Resolves when the announcement is committed. @throws as `append`. */
	checkpoint(): Promise<AnnouncedCheckpoint> {
		return this.#enqueue(async () => {
			if (this.#failure !== undefined) throw this.#failure
			const manifest = this.#manifest
			const { maintenancePosition, writerPosition, lastSeq, lastCommitMs } = manifest
			await this.#createCheckpoint(manifest)
			const mark = { position: writerPosition, lastSeq, committedAtMs: lastCommitMs }
			const checkpoint = { maintenancePosition, writerPosition }
			const record = await this.#append([{ kind: 'announce', checkpoint, mark }])
			return { ...checkpoint, record }
		})
	}

	/** Resolves when nothing that was asked for is under way any more. */
	async settled(): Promise<void> {
		await Promise.all([this.#appending, this.#following])
		await this.#owner.settled()
	}

	#enqueue<Value>(work: () => Promise<Value>): Promise<Value> {
		const done = this.#appending.then(work)
		this.#appending = done.catch(() => undefined)
		return done
	}

	async #append(edits: readonly Edit[]): Promise<EditRecord> {
		if (this.#failure !== undefined) throw this.#failure
		const before = this.#manifest
		// Times never go back within an epoch, whatever the clock does.
		const committedAtMs = Math.max(this.#lastRecordMs, Math.trunc(this.#options.host.clock.nowMs()))
		const record: EditRecord = {
			position: this.#owner.nextPosition,
			writerPosition: before.writerPosition,
			committedAtMs,
			edits: edits.map(plainEdit),
		}
		const after = applied(before, record)
		try {
			await this.#owner.append(encodeEdits(record), []).committed
		} catch (error) {
			throw this.#fail(error)
		}
		this.#lastRecordMs = committedAtMs
		// Commits may have been folded in meanwhile.
		this.#manifest = this.#manifest === before ? after : applyEdits(this.#manifest, [record])
		this.#options.onRecord?.(record)
		return record
	}

	/** A checkpoint of this position is nobody's but this owner's: the same bytes again until they stand there. */
	async #createCheckpoint(manifest: Manifest): Promise<void> {
		const { host, retryBudget, store } = this.#options
		const key = checkpointKey(manifest)
		const bytes = encodeCheckpoint(manifest)
		const retry = new Retry(host, retryBudget ?? DEFAULT_RETRY_BUDGET)
		for (;;) {
			const outcome = await createOnce(store, key, bytes)
			if (outcome.kind === 'created') return
			const found = await store.get(key).catch(unavailableAsAbsent)
			if (found !== undefined) {
				if (Buffer.compare(found, bytes) === 0) return
				throw corrupt(key, 'a checkpoint of another state')
			}
			if (!(await retry.pause())) {
				throw new IsleError('ISLE_UNAVAILABLE', `a checkpoint cannot be written: key=\`${key}\``, {
					cause: outcome.kind === 'unknown' ? outcome.cause : undefined,
				})
			}
		}
	}

	async #follow({ signal }: RequestOptions): Promise<void> {
		if (this.#failure !== undefined) throw this.#failure
		signal?.throwIfAborted()
		const reading = new LogsReading(this.#logs, this.#manifest, this.#owners, {
			onLoaded: loaded => this.#options.onLoaded?.(loaded),
		})
		await reading.read(false, { signal })
		if (reading.needsLook && !reading.isConfirmedBy(await this.#logs.look({ signal }))) {
			// A checkpoint that a fenced maintainer wrote may cover more of the writer log; or this one is fenced, too.
			return await this.#enqueue(() => this.#reload(signal))
		}
		this.#owners = reading.owners
		if (!reading.hasMovedBeyond(this.#manifest)) return
		this.#manifest = { ...applyCommits(this.#manifest, reading.takeCommits()), writerPosition: reading.writer.position }
	}

	/** Reads both logs again from the newest checkpoint. Nothing is appended meanwhile. */
	async #reload(signal: AbortSignal | undefined): Promise<void> {
		const replay = new ManifestReplay(this.#logs, 'maintenance', loaded => this.#options.onLoaded?.(loaded))
		const position = await replayLog(this.#logs.maintenance, replay, { signal })
		if (comparePositions(position, this.#owner.nextPosition) !== 0) {
			throw this.#fail(
				new IsleError('ISLE_FENCED', `another maintainer has taken over: epoch=\`${this.epoch}\``, {
					details: { epoch: this.epoch },
				}),
			)
		}
		this.#owners = { writer: undefined, maintenance: undefined }
		this.#manifest = replay.manifestAt(position)
	}

	#fail(error: unknown): Error {
		this.#failure ??= error instanceof Error ? error : new Error(String(error))
		return this.#failure
	}
}

/** Records are told to other threads: a table that moves may be a packed one of the state. */
function plainEdit(edit: Edit): Edit {
	if (edit.kind === 'pending') return { ...edit, merge: { ...edit.merge, outputs: edit.merge.outputs.map(plainTable) } }
	if (edit.kind !== 'replace') return edit
	return { ...edit, add: edit.add.map(({ runId, table }) => ({ runId, table: plainTable(table) })) }
}

function applied(before: Manifest, record: EditRecord): Manifest {
	try {
		return applyEdits(before, [record])
	} catch (cause) {
		if (!isIsleError(cause, 'ISLE_CORRUPT')) throw cause
		throw new IsleError('ISLE_CONFLICT', `edits do not fit the state that they meet: ${cause.message}`, { cause })
	}
}

async function createOnce(
	store: ObjectStore,
	key: string,
	bytes: Uint8Array,
): ReturnType<ObjectStore['createIfAbsent']> {
	try {
		return await store.createIfAbsent(key, bytes)
	} catch (cause) {
		if (isIsleError(cause, 'ISLE_UNAVAILABLE')) return { kind: 'unknown', cause }
		throw cause
	}
}

function unavailableAsAbsent(error: unknown): undefined {
	if (!isIsleError(error, 'ISLE_UNAVAILABLE')) throw error
}
