/**
 * The desk of one owner of the maintenance log: what the policies choose in its state, and the housekeeping.
 *
 * Invariants: nothing is dropped because of the time before this host's clock was compared with the store's; while the two
 * differ nothing is chosen because of it, all else goes on, and they are compared again every ten minutes.
 */
import type { Host } from '../host/host.ts'
import { EXPIRY_MARGIN_MS } from '../manifest/expiry-margin.ts'
import type { MaintenanceOwner } from '../manifest/maintenance-owner.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { CodecName } from '../sst/sst-meta.ts'
import { CheckpointKeeper } from './checkpoint-keeper.ts'
import { type Choice, tablesOfChoice } from './choice.ts'
import { Collector } from './collector.ts'
import { Executor, type ExecutorOptions } from './executor.ts'
import type {
	MaintenanceMemory,
	PlanContext,
	PlannedWork,
	TendContext,
	TendOutcome,
	WorkDesk,
	WorkOutcome,
	WorkRun,
} from './maintainer-parts.ts'
import type { MaintenanceSettings } from './options.ts'
import { choose, nextDueMs } from './policy.ts'
import { StoreClock } from './store-clock.ts'
import { Uploads } from './uploads.ts'

export interface OwnerDeskOptions extends Pick<ExecutorOptions, 'offered' | 'onTable'> {
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
	readonly settings: MaintenanceSettings
	readonly owner: MaintenanceOwner
	/** Of tables that are `offered`. */
	offeredBytes?(): number
}

/** For packs that are rewritten where nothing is merged. */
const DEFAULT_TABLE_BYTES = 32 * 1024 * 1024
const DEFAULT_MERGE_MEMORY_BYTES = 256 * 1024 * 1024
/** Rounds of the collector in one go; it goes on at the next. */
const ROUNDS_MAX = 100
/** What is due and cannot be done is looked at again after a second, then twice as long each time, up to ten minutes. */
const LOOK_AGAIN_MIN_MS = 1000
const LOOK_AGAIN_MAX_MS = 600_000

export class OwnerDesk implements WorkDesk {
	readonly #options: OwnerDeskOptions
	readonly #clock: StoreClock
	readonly #executor: Executor
	readonly #collector: Collector
	readonly #checkpoints: CheckpointKeeper
	#pauseMs = LOOK_AGAIN_MIN_MS

	constructor(options: OwnerDeskOptions) {
		const { store, pool, host, settings, owner } = options
		const { compaction, gracePeriodMs, changeRetentionMs } = settings
		this.#options = options
		this.#clock = new StoreClock(store, host, owner)
		const uploads = new Uploads(store, owner)
		this.#executor = new Executor({
			store,
			pool,
			state: owner,
			uploads,
			offered: ref => options.offered?.(ref),
			onTable: (ref, bytes) => options.onTable?.(ref, bytes),
			mergeMemoryBytes: compaction?.mergeMemoryBytes ?? DEFAULT_MERGE_MEMORY_BYTES,
			output: {
				codec: newestCodec(owner.manifest),
				targetBytes: compaction?.targetTableBytes ?? DEFAULT_TABLE_BYTES,
			},
		})
		this.#collector = new Collector({
			store,
			host,
			state: owner,
			uploads,
			gracePeriodMs,
			changeRetentionMs,
			storeClock: this.#clock,
		})
		this.#checkpoints = new CheckpointKeeper({ state: owner, host, settings })
	}

	get memory(): MaintenanceMemory {
		return { mergeBytes: this.#executor.memory.heldBytes, tableBytes: this.#options.offeredBytes?.() ?? 0 }
	}

	plan({ nowMs, ...context }: PlanContext): PlannedWork | undefined {
		const { owner, settings } = this.#options
		const choice = choose(owner.manifest, nowMs, settings, { ...context, isClockTrusted: this.#clock.doubtMs === 0 })
		if (choice === undefined) return undefined
		const tables = tablesOfChoice(choice)
		return {
			kind: choice.kind,
			why: choice.why,
			tables: choice.kind === 'abandon' ? choice.merge.inputs : tables.map(table => table.id),
			reads: readsOf(choice),
			bytes: tables.reduce((sum, table) => sum + table.meta.storedBytes, 0),
			run: run => this.#run(choice, run),
		}
	}

	nextDueMs(nowMs: number): number | undefined {
		const { owner, settings } = this.#options
		return nextDueMs(owner.manifest, nowMs, settings)
	}

	async tend({ signal, protectedPosition, isLast }: TendContext): Promise<TendOutcome> {
		const { host } = this.#options
		const checkpoint = await this.#checkpoints.keep(isLast)
		let [objectsDeleted, bytesDeleted, nextInMs, hasMore] = [0, 0, Number.POSITIVE_INFINITY, true]
		let unreadablePins: TendOutcome['unreadablePins'] = []
		// Whoever leaves collects what a checkpoint of this moment lets go, if any.
		if (isLast && checkpoint === undefined) hasMore = false
		for (let round = 0; round < ROUNDS_MAX && hasMore; round++) {
			const collection = await this.#collector.collect({ signal, protectedPosition })
			objectsDeleted += collection.objectsDeleted
			bytesDeleted += collection.bytesDeleted
			nextInMs = collection.nextInMs ?? Number.POSITIVE_INFINITY
			hasMore = collection.hasMore
			unreadablePins = collection.unreadablePins
		}
		const nowMs = host.clock.nowMs()
		const dueMs = [this.#checkpoints.nextDueMs() ?? Number.POSITIVE_INFINITY, nowMs + nextInMs]
		const isStuck = checkpoint === undefined && objectsDeleted === 0 && dueMs.some(time => time <= nowMs)
		this.#pauseMs = isStuck ? Math.min(LOOK_AGAIN_MAX_MS, this.#pauseMs * 2) : LOOK_AGAIN_MIN_MS
		const nextMs = Math.min(...dueMs.map(time => (time <= nowMs ? nowMs + this.#pauseMs : time)))
		const nextDueMs = nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs
		const checkpoints = checkpoint === undefined ? 0 : 1
		return { checkpoints, objectsDeleted, bytesDeleted, unreadablePins, nextDueMs }
	}

	async #run(choice: Choice, { signal, isOver, onProgress }: WorkRun): Promise<WorkOutcome> {
		const { host } = this.#options
		// A table does not say whether some of its entries expire, only when all of them have.
		const isTimed = choice.kind === 'drop' || choice.kind === 'merge'
		const isClockTrusted = isTimed && (await this.#clock.isTrusted({ signal }))
		// What has expired would be written as it was, and chosen again.
		const isPointless = choice.kind === 'drop' || (choice.kind === 'merge' && choice.trigger === 'expired')
		if (isPointless && !isClockTrusted) return { kind: 'postponed', bytesRead: 0, bytesWritten: 0, tablesDropped: 0 }
		const expireBeforeMs = isClockTrusted ? host.clock.nowMs() - EXPIRY_MARGIN_MS : 0
		const { kind, bytesRead, bytesWritten, tablesDropped } = await this.#executor.execute(choice, {
			signal,
			expireBeforeMs,
			isOver,
			onProgress: ({ doneBytes }) => onProgress(doneBytes),
		})
		return { kind, bytesRead, bytesWritten, tablesDropped }
	}
}

/** Moves and drops read nothing. */
function readsOf(choice: Choice): string[] {
	switch (choice.kind) {
		case 'merge':
			return choice.inputs.map(table => table.id)
		case 'rewrite-packs':
			return [...choice.tables.map(table => table.id), ...choice.packs.map(pack => pack.objectKey)]
		default:
			return []
	}
}

/** Merges write as the writer does: with the codec of the newest table. */
function newestCodec({ l0, runs }: Manifest): CodecName {
	return l0.at(-1)?.meta.codec ?? runs[0]?.tables[0]?.meta.codec ?? 'lz4'
}
