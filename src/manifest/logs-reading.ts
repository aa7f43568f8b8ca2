/**
 * One read of what is new in both logs, from where a manifest ends: commits and edits that count once they are confirmed.
 *
 * Steps: read the writer log and, when it is wanted, the maintenance log at the same time; where edits name more of the
 * writer log than was read, read that on.
 */
import type { ReadForwardResult } from '../log/fenced-log.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import { type Commit, decodeCommit, type LoadedCommit } from './commit.ts'
import type { DatabaseLogs } from './database-logs.ts'
import type { EditRecord } from './edit.ts'
import { decodeEditRecord } from './edit-codec.ts'
import { neededWriterPosition } from './fold-edits.ts'
import type { CheckpointPositions, Manifest } from './manifest.ts'

/** Nothing new is the rule: one slot is asked for. */
const WINDOW_SLOTS = 1
/** Slots of the writer log that are asked for at once because of what came before. */
const EXPECTED_WINDOW_MAX_SLOTS = 64

export interface EpochOwners {
	readonly writer: Uint8Array | undefined
	readonly maintenance: Uint8Array | undefined
}

export class LogsReading {
	readonly commits: Commit[] = []
	readonly edits: EditRecord[] = []
	hasMaintenance = false
	writer: ReadForwardResult
	maintenance: ReadForwardResult
	readonly #logs: DatabaseLogs
	readonly #from: CheckpointPositions
	readonly #onLoaded: (loaded: LoadedCommit) => void
	/** Of the first read of the writer log. */
	readonly #windowSlots: number

	constructor(
		logs: DatabaseLogs,
		from: Pick<Manifest, 'writerPosition' | 'maintenancePosition'>,
		owners: EpochOwners,
		onLoaded: (loaded: LoadedCommit) => void,
		expectedCommits = 0,
	) {
		this.#logs = logs
		this.#from = from
		this.#onLoaded = onLoaded
		this.#windowSlots = windowFor(expectedCommits)
		this.writer = { position: from.writerPosition, firstSeal: undefined, owner: owners.writer }
		this.maintenance = { position: from.maintenancePosition, firstSeal: undefined, owner: owners.maintenance }
	}

	/** Reads on; the maintenance log only when it is wanted. */
	async read(wantsMaintenance: boolean, options: RequestOptions = {}): Promise<void> {
		const reads = [this.#readWriter(this.#windowSlots, options)]
		if (wantsMaintenance) reads.push(this.#readMaintenance(options))
		// Neither is left running when the other one fails.
		for (const read of await Promise.allSettled(reads)) if (read.status === 'rejected') throw read.reason
		if (this.isShort) await this.#readWriter(WINDOW_SLOTS, options)
	}

	/** Whether what was read shows that only a look can tell if it is true. */
	get needsLook(): boolean {
		return [this.writer, this.maintenance].some(end => end.firstSeal !== undefined || end.isForeign) || this.isShort
	}

	/** Edits name commits that were not there. */
	get isShort(): boolean {
		const needed = neededWriterPosition(this.edits)
		return needed !== undefined && comparePositions(this.writer.position, needed) < 0
	}

	/** There is no database yet. */
	get isUnused(): boolean {
		return [this.writer, this.maintenance].every(end => comparePositions(end.position, LOG_START) === 0)
	}

	get hasMoved(): boolean {
		return (
			comparePositions(this.writer.position, this.#from.writerPosition) !== 0 ||
			comparePositions(this.maintenance.position, this.#from.maintenancePosition) !== 0
		)
	}

	get owners(): EpochOwners {
		return { writer: this.writer.owner, maintenance: this.maintenance.owner }
	}

	/** @throws ISLE_CORRUPT for a commit of somebody else. */
	isConfirmedBy(newest: CheckpointPositions | undefined): boolean {
		return (
			this.#logs.writer.isConfirmedBy(this.writer, newest?.writerPosition) &&
			this.#logs.maintenance.isConfirmedBy(this.maintenance, newest?.maintenancePosition)
		)
	}

	async #readWriter(windowSlots: number, options: RequestOptions): Promise<void> {
		const log = this.#logs.writer
		const { position, owner, firstSeal } = this.writer
		const end = await log.readForward(position, {
			...options,
			windowSlots,
			owner,
			onCommit: record => {
				const loaded = decodeCommit(record, log.key(record.position))
				this.commits.push(loaded.commit)
				this.#onLoaded(loaded)
			},
		})
		this.writer = { ...end, firstSeal: firstSeal ?? end.firstSeal }
	}

	async #readMaintenance(options: RequestOptions): Promise<void> {
		const log = this.#logs.maintenance
		const { position, owner, firstSeal } = this.maintenance
		const end = await log.readForward(position, {
			...options,
			windowSlots: WINDOW_SLOTS,
			owner,
			onCommit: record => this.edits.push(decodeEditRecord(record, log.key(record.position))),
		})
		this.maintenance = { ...end, firstSeal: firstSeal ?? end.firstSeal }
		this.hasMaintenance = true
	}
}

/** As many as are expected, half as many more, and the free slot behind them: one round trip, where windows that double need several. */
function windowFor(expectedCommits: number): number {
	return Math.min(expectedCommits + Math.ceil(expectedCommits / 2) + WINDOW_SLOTS, EXPECTED_WINDOW_MAX_SLOTS)
}
