/**
 * Builds a manifest from the newest checkpoint and both logs behind it. What it holds counts once it is confirmed.
 *
 * One of the logs is replayed by whoever reads or claims it; the other one is read along, at the same time, and the one
 * look at the checkpoints that confirms the first confirms both. Edits name a position of the writer log: it is read at
 * least to there.
 */
import { corrupt, IsleError } from '../errors.ts'
import { type LogReplay, replayLog } from '../log/claim.ts'
import type { FencedLog, ReadForwardResult } from '../log/fenced-log.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { LogRecord } from '../log/record.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import { newestCheckpoint, readCheckpoint } from './checkpoint.ts'
import { type Commit, decodeCommit, type LoadedCommit } from './commit.ts'
import type { DatabaseLogs } from './database-logs.ts'
import type { EditRecord } from './edit.ts'
import { decodeEditRecord } from './edit-codec.ts'
import { applyCommits, EMPTY_MANIFEST } from './fold.ts'
import { applyEdits, neededWriterPosition } from './fold-edits.ts'
import type { Manifest } from './manifest.ts'

/** A checkpoint is deleted only after a newer one exists; each attempt that misses it sees that one. */
const CHECKPOINT_MAX_ATTEMPTS = 20
/** Slots of the log that is read along which are asked for at once at first. */
const ALONG_WINDOW_SLOTS = 8

export type LogRole = 'writer' | 'maintenance'

export class ManifestReplay implements LogReplay {
	readonly #logs: DatabaseLogs
	readonly #role: LogRole
	readonly #onLoaded: (loaded: LoadedCommit) => void
	#base: Manifest = EMPTY_MANIFEST
	#commits: Commit[] = []
	#edits: EditRecord[] = []
	/** How far the log has come that is read along, and the read that is under way. */
	#along: ReadForwardResult = { position: LOG_START, firstSeal: undefined }
	#reading: Promise<void> | undefined
	#isMissingAlong = false
	#looksBefore = 0

	/**
	 * `role` is the log that is replayed. `onLoaded` sees each commit with the tables that came in it, before it is
	 * confirmed; their bytes are not kept here.
	 */
	constructor(
		logs: DatabaseLogs,
		role: LogRole = 'writer',
		onLoaded: (loaded: LoadedCommit) => void = () => undefined,
	) {
		this.#logs = logs
		this.#role = role
		this.#onLoaded = onLoaded
	}

	async restart(options: RequestOptions): Promise<LogPosition> {
		await this.#reading?.catch(() => undefined)
		this.#commits = []
		this.#edits = []
		this.#base = await loadNewestCheckpoint(this.#logs, options)
		const { writerPosition, maintenancePosition } = this.#base
		const isWriter = this.#role === 'writer'
		this.#along = { position: isWriter ? maintenancePosition : writerPosition, firstSeal: undefined }
		this.#reading = this.#readAlong(options)
		// Told by `beforeLook`.
		this.#reading.catch(() => undefined)
		return isWriter ? writerPosition : maintenancePosition
	}

	apply(record: LogRecord): void {
		if (this.#role === 'writer') this.#applyCommit(record)
		else this.#applyEdits(record)
	}

	async beforeLook(options: RequestOptions): Promise<LogPosition | undefined> {
		await (this.#reading ?? this.#readAlong(options))
		this.#reading = undefined
		const needed = neededWriterPosition(this.#edits)
		if (this.#role === 'maintenance' && this.#isShort) await this.#readAlong(options)
		const { position } = this.#along
		const isUnused = comparePositions(position, LOG_START) === 0
		this.#isMissingAlong = !isUnused && (await this.#alongLog.isMissing(this.#along, options))
		this.#looksBefore = this.#logs.looks
		return this.#role === 'writer' ? needed : undefined
	}

	async isConfirmed(options: RequestOptions): Promise<boolean> {
		const { position } = this.#along
		if (comparePositions(position, LOG_START) !== 0) {
			if (this.#logs.looks === this.#looksBefore) await this.#logs.look(options)
			const { newest } = this.#logs
			const newestAlong = this.#role === 'writer' ? newest?.maintenancePosition : newest?.writerPosition
			if (!this.#alongLog.isConfirmedBy(this.#along, newestAlong)) return false
		}
		if (this.#isMissingAlong || (this.#role === 'maintenance' && this.#isShort)) {
			throw corrupt(this.#alongLog.key(position), 'a record that was acknowledged is missing:')
		}
		return true
	}

	/** The manifest at `position` of the log that was replayed, where reading ended. */
	manifestAt(position: LogPosition): Manifest {
		const isWriter = this.#role === 'writer'
		const writerPosition = isWriter ? position : this.#along.position
		const maintenancePosition = isWriter ? this.#along.position : position
		const committed = { ...applyCommits(this.#base, this.#commits), writerPosition }
		return { ...applyEdits(committed, this.#edits), maintenancePosition }
	}

	get #alongLog(): FencedLog {
		return this.#role === 'writer' ? this.#logs.maintenance : this.#logs.writer
	}

	/** Whether edits name more of the writer log than was read along. */
	get #isShort(): boolean {
		const needed = neededWriterPosition(this.#edits)
		return needed !== undefined && comparePositions(this.#along.position, needed) < 0
	}

	async #readAlong(options: RequestOptions): Promise<void> {
		const before = this.#along
		const end = await this.#alongLog.readForward(before.position, {
			...options,
			windowSlots: ALONG_WINDOW_SLOTS,
			owner: before.owner,
			onCommit: record => {
				if (this.#role === 'writer') this.#applyEdits(record)
				else this.#applyCommit(record)
			},
		})
		this.#along = { ...end, firstSeal: before.firstSeal ?? end.firstSeal }
	}

	#applyCommit(record: LogRecord): void {
		const loaded = decodeCommit(record, this.#logs.writer.key(record.position))
		this.#commits.push(loaded.commit)
		this.#onLoaded(loaded)
	}

	#applyEdits(record: LogRecord): void {
		this.#edits.push(decodeEditRecord(record, this.#logs.maintenance.key(record.position)))
	}
}

/** The confirmed state of both logs. 2 LISTs, 1 GET of the checkpoint, and the logs behind it. */
export async function loadManifest(
	logs: DatabaseLogs,
	onLoaded?: (loaded: LoadedCommit) => void,
	options: RequestOptions = {},
): Promise<Manifest> {
	const replay = new ManifestReplay(logs, 'writer', onLoaded)
	return replay.manifestAt(await replayLog(logs.writer, replay, options))
}

/** One LIST and one GET; `EMPTY_MANIFEST` where there is no checkpoint yet. */
async function loadNewestCheckpoint({ store, clock }: DatabaseLogs, options: RequestOptions): Promise<Manifest> {
	for (let attempt = 0; attempt < CHECKPOINT_MAX_ATTEMPTS; attempt++) {
		const name = await newestCheckpoint(store, options)
		if (name === undefined) return EMPTY_MANIFEST
		const manifest = await readCheckpoint(store, name, { ...options, clock })
		if (manifest !== undefined) return manifest
	}
	throw new IsleError(
		'ISLE_UNAVAILABLE',
		`the newest checkpoint was gone in each of ${CHECKPOINT_MAX_ATTEMPTS} attempts`,
	)
}
