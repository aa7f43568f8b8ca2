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

export interface LogsReadingOptions {
	/** How many commits are likely to be found: so many are asked for at once. Default 0. */
	readonly expectedCommits?: number
	/** Sees each commit as it is read, with the tables that came in it. */
	onLoaded(loaded: LoadedCommit): void
	/** Called where the writer log is read on behind commits of its epoch, which `takeCommits` gives. */
	onWindow?(): void
}

export class LogsReading {
	readonly #commits: Commit[] = []
	readonly edits: EditRecord[] = []
	hasMaintenance = false
	writer: ReadForwardResult
	maintenance: ReadForwardResult
	readonly #logs: DatabaseLogs
	readonly #options: LogsReadingOptions
	#found = 0

	constructor(
		logs: DatabaseLogs,
		from: Pick<Manifest, 'writerPosition' | 'maintenancePosition'>,
		owners: EpochOwners,
		options: LogsReadingOptions,
	) {
		this.#logs = logs
		this.#options = options
		this.writer = { position: from.writerPosition, firstSeal: undefined, owner: owners.writer }
		this.maintenance = { position: from.maintenancePosition, firstSeal: undefined, owner: owners.maintenance }
	}

	/** Reads on; the maintenance log only when it is wanted. */
	async read(wantsMaintenance: boolean, options: RequestOptions = {}): Promise<void> {
		const reads = [this.#readWriter(windowFor(this.#options.expectedCommits ?? 0), options)]
		if (wantsMaintenance) reads.push(this.#readMaintenance(options))
		// Neither is left running when the other one fails.
		for (const read of await Promise.allSettled(reads)) if (read.status === 'rejected') throw read.reason
		if (this.isShort) await this.#readWriter(WINDOW_SLOTS, options)
	}

	/** Commits that were read, given away or not. */
	get found(): number {
		return this.#found
	}

	/** Those that were not given away before. */
	takeCommits(): Commit[] {
		return this.#commits.splice(0)
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

	hasMovedBeyond({ writerPosition, maintenancePosition }: CheckpointPositions): boolean {
		return (
			comparePositions(this.writer.position, writerPosition) !== 0 ||
			comparePositions(this.maintenance.position, maintenancePosition) !== 0
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
				this.#commits.push(loaded.commit)
				this.#found++
				this.#options.onLoaded(loaded)
			},
			onWindow: () => {
				if (firstSeal === undefined) this.#options.onWindow?.()
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
