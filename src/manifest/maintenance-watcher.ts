/**
 * Reads the maintenance log without owning it: for a writer, whose manifest is its own, and which must see what a maintainer
 * elsewhere does to its tables.
 *
 * Each `poll` is strong: one GET and one LIST when there is nothing new.
 */
import type { ReadForwardResult } from '../log/fenced-log.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import type { DatabaseLogs } from './database-logs.ts'
import type { EditRecord } from './edit.ts'
import { decodeEditRecord } from './edit-codec.ts'
import type { MaintainerNote, Manifest } from './manifest.ts'

/** A watcher that comes now and then finds several records. */
const WINDOW_SLOTS = 1

export class MaintenanceWatcher {
	readonly #logs: DatabaseLogs
	#position: LogPosition = LOG_START
	#note: MaintainerNote | undefined
	#owner: Uint8Array | undefined

	constructor(logs: DatabaseLogs, from: Manifest) {
		this.#logs = logs
		this.restart(from)
	}

	/** All before it was given. */
	get position(): LogPosition {
		return this.#position
	}

	/** Of the last owner that said who it is. */
	get note(): MaintainerNote | undefined {
		return this.#note
	}

	/** Goes on behind `from`. */
	restart(from: Pick<Manifest, 'maintenancePosition' | 'maintainer'>): void {
		this.#position = from.maintenancePosition
		this.#note = from.maintainer
		this.#owner = undefined
	}

	/**
	 * Every record that was committed before this call and not given yet, in order, none missing. `undefined`: some were
	 * deleted below a checkpoint; load the state anew and `restart`. Not to be called while a call is under way.
	 */
	async poll(options: RequestOptions = {}): Promise<readonly EditRecord[] | undefined> {
		const log = this.#logs.maintenance
		const records: EditRecord[] = []
		const end: ReadForwardResult = await log.readForward(this.#position, {
			...options,
			windowSlots: WINDOW_SLOTS,
			owner: this.#owner,
			onCommit: record => records.push(decodeEditRecord(record, log.key(record.position))),
		})
		if (comparePositions(end.position, LOG_START) === 0) return []
		const newest = await this.#logs.look(options)
		if (!log.isConfirmedBy(end, newest?.maintenancePosition)) return undefined
		this.#position = end.position
		this.#owner = end.owner
		for (const { edits } of records) for (const edit of edits) if (edit.kind === 'maintainer') this.#note = edit.note
		return records
	}
}
