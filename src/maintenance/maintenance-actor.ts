/**
 * A maintainer with what it stands on: the same whether it lives in a thread of its own, with its own connection to the
 * store and its own pool, or on the thread of its writer, with the writer's.
 *
 * Everything that crosses a thread is plain data. What it has to say comes as notices, in order.
 */
import { type Host, systemHost } from '../host/host.ts'
import type { EditRecord } from '../manifest/edit.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { countingStore } from '../object-store/counting-store.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { openStore } from '../object-store/open-store.ts'
import { retryingStore } from '../object-store/retrying-store.ts'
import type { ThreadActor } from '../runtime/actor-thread.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { acquireWorkerPool } from '../runtime/worker-pool.ts'
import { Maintainer } from './maintainer.ts'
import type { MaintainerTiming, MaintenanceHint } from './maintainer-status.ts'
import type { MaintenanceEvent } from './maintenance-event.ts'
import type { MaintenanceSettings } from './options.ts'
import { largeMergeBytes } from './policy-scene.ts'
import type { MaintenanceNotice, MaintenanceReport, ResidentDoor } from './resident-maintenance.ts'
import { createTrade } from './trade.ts'

/** What a maintainer needs to know; plain data. */
export interface MaintenancePlan extends MaintainerTiming {
	readonly settings: MaintenanceSettings
}

/** For one that lives in a thread: what it opens by itself. */
export interface ThreadSetup {
	readonly url: string
	readonly prefix: string | undefined
	readonly plan: MaintenancePlan
}

/** What a maintainer stands on; whoever opened it closes it. */
export interface MaintenanceGround {
	/** Of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
	/** See `TradeOptions`. Not told of what is made in another thread: its bytes would pass through this one's event loop. */
	readonly onTable?: ((ref: TableRef, bytes: Uint8Array) => void) | undefined
}

/** Places when nothing is merged: for drops. */
const PLACES_MIN = 2

export function createMaintainer(
	ground: MaintenanceGround,
	plan: MaintenancePlan,
	tell: { onEvent(event: MaintenanceEvent): void; onEdited(record: EditRecord): void },
): Maintainer {
	const { settings, ...timing } = plan
	const { compaction } = settings
	return new Maintainer({
		...timing,
		host: ground.host,
		trade: createTrade({
			...ground,
			settings,
			writerEpoch: plan.writerEpoch,
			onEdited: record => tell.onEdited(record),
		}),
		places: compaction?.concurrentMerges ?? PLACES_MIN,
		largeBytes: compaction === undefined ? Number.POSITIVE_INFINITY : largeMergeBytes(compaction),
		onEvent: event => tell.onEvent(event),
	})
}

/** On the thread of the writer, with the writer's store and pool. */
export function openResidentHere(
	ground: MaintenanceGround,
	plan: MaintenancePlan,
	notify: (notice: MaintenanceNotice) => void,
): ResidentDoor {
	const maintainer: Maintainer = createMaintainer(ground, plan, {
		onEvent: event =>
			notify({ kind: 'event', event, report: { ...maintainer.status(), requests: undefined, pool: undefined } }),
		onEdited: record => notify({ kind: 'edited', record }),
	})
	return {
		async hint(hint) {
			maintainer.hint(hint)
		},
		close: () => maintainer.close(),
	}
}

/** In a thread: opens the store and a pool, and sends notices through `notify`. */
export class MaintenanceActor implements ThreadActor, ResidentDoor {
	readonly #maintainer: Maintainer
	readonly #end: () => Promise<void>

	private constructor(maintainer: Maintainer, end: () => Promise<void>) {
		this.#maintainer = maintainer
		this.#end = end
	}

	/** @throws what opening the store throws. */
	static async open(setup: ThreadSetup, notify: (notice: MaintenanceNotice) => void): Promise<MaintenanceActor> {
		const host = systemHost
		const counts = countingStore(await openStore(setup.url, { prefix: setup.prefix, host }))
		const store = retryingStore(counts, { host })
		const pool = acquireWorkerPool(host)
		const report = (): MaintenanceReport => ({
			...maintainer.status(),
			requests: counts.snapshot(),
			pool: pool.stats(),
		})
		const maintainer: Maintainer = createMaintainer({ store, pool, host }, setup.plan, {
			onEvent: event => notify({ kind: 'event', event, report: report() }),
			onEdited: record => notify({ kind: 'edited', record }),
		})
		return new MaintenanceActor(maintainer, async () => {
			await pool.close()
			await store.close()
		})
	}

	async hint(hint: MaintenanceHint): Promise<void> {
		this.#maintainer.hint(hint)
	}

	async close(): Promise<void> {
		await this.#maintainer.close()
		await this.#end()
	}
}
