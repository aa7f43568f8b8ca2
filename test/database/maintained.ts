/** A database whose maintenance a test does by hand: merges everything, checkpoints, collects, takes over, whenever it says so. */
import {
	createInlinePool,
	type Database,
	type DatabaseReader,
	type OpenOptions,
	open,
	openReader,
} from '../../src/index.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { everything, executing, Rig, type RigSettings, settleStore } from '../maintenance/rig.ts'

/** As `maxTtlMs` says, what expired at least five minutes ago is dropped by merges. */
const EXPIRY_MARGIN_MS = 300_000

export class Maintained {
	readonly rig: Rig
	readonly pool: ReturnType<typeof createInlinePool>

	constructor(settings: Partial<RigSettings> = {}) {
		this.rig = new Rig(settings)
		this.pool = createInlinePool(this.rig.host)
	}

	/** A writer that neither flushes nor maintains by itself; tables are objects of their own unless `options` say else. */
	open(options: OpenOptions = {}, store: ObjectStore = this.rig.store): Promise<Database> {
		const { host } = this.rig
		const { pool } = this
		return open(store, { host, pool, maintenance: false, flushIntervalMs: 0, inlineMaxBytes: 0, ...options })
	}

	/** A reader that does nothing by itself, in a process of its own as far as `store` tells. */
	openReader(
		store: ObjectStore = this.rig.store,
		options: Parameters<typeof openReader>[1] = {},
	): Promise<DatabaseReader> {
		const { host } = this.rig
		const { gracePeriodMs } = this.rig.settings
		return openReader(store, {
			host,
			pool: this.pool,
			refreshIntervalMs: 0,
			gracePeriodMs,
			...options,
		}) as Promise<DatabaseReader>
	}

	/** A maintainer takes over, merges all there is, and collects until nothing is left to do. */
	async mergeAndCollect(): Promise<void> {
		const crew = await this.rig.hire()
		await crew.owner.follow()
		const choice = everything(crew)
		const expireBeforeMs = this.rig.host.clock.nowMs() - EXPIRY_MARGIN_MS
		if (choice.inputs.length > 0) await crew.executor.execute(choice, executing({ expireBeforeMs }))
		await settleStore(crew)
	}

	/** The objects of tables and packs, and of the writer log. */
	async objects(prefix: string): Promise<number> {
		return (await this.rig.keys(prefix)).length
	}
}
