/** The two logs of one database, and the look at the checkpoints that confirms reads of both: one LIST tells both positions. */
import type { Clock } from '../host/clock.ts'
import { FencedLog } from '../log/fenced-log.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { type CheckpointName, newestCheckpoint } from './checkpoint.ts'

const WRITER_LOG_FOLDER = 'log'
const MAINTENANCE_LOG_FOLDER = 'maintenance'

export class DatabaseLogs {
	readonly store: ObjectStore
	/** Where there is one, large checkpoints are decoded a little at a time. */
	readonly clock: Clock | undefined
	readonly writer: FencedLog
	readonly maintenance: FencedLog
	#looks = 0
	#newest: CheckpointName | undefined

	/** `store` is the database's (its prefix taken off), with retries for what is idempotent. */
	constructor(store: ObjectStore, clock?: Clock) {
		this.store = store
		this.clock = clock
		this.writer = new FencedLog({
			store,
			folder: WRITER_LOG_FOLDER,
			newestCheckpoint: async options => (await this.look(options))?.writerPosition,
		})
		this.maintenance = new FencedLog({
			store,
			folder: MAINTENANCE_LOG_FOLDER,
			newestCheckpoint: async options => (await this.look(options))?.maintenancePosition,
		})
	}

	/** Looks made so far: whoever has read something since the last one needs another. */
	get looks(): number {
		return this.#looks
	}

	/** What the last look found. */
	get newest(): CheckpointName | undefined {
		return this.#newest
	}

	/** The newest checkpoint, freshly listed. One LIST. */
	async look(options: RequestOptions = {}): Promise<CheckpointName | undefined> {
		const newest = await newestCheckpoint(this.store, options)
		this.#newest = newest
		this.#looks++
		return newest
	}
}

/** The writer log of the database whose prefix `store` stands for. */
export function openWriterLog(store: ObjectStore): FencedLog {
	return new DatabaseLogs(store).writer
}

/** Its maintenance log. */
export function openMaintenanceLog(store: ObjectStore): FencedLog {
	return new DatabaseLogs(store).maintenance
}
