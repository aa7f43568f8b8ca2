/**
 * Maintenance in a process of its own: with a live writer or without, all the time or for one run.
 *
 * Any number may be opened on one database. One of them owns the maintenance log; the others are standbys (`Compactor.status`).
 */
import { choiceOption, describe, integerOption, refuseUnknownOptions } from './arguments.ts'
import { invariant } from './errors.ts'
import { type Host, systemHost } from './host/host.ts'
import type { Maintainer } from './maintenance/maintainer.ts'
import type { MaintainerStatus, MaintainerTiming } from './maintenance/maintainer-status.ts'
import { createMaintainer } from './maintenance/maintenance-actor.ts'
import { publishEvent } from './maintenance/maintenance-event.ts'
import {
	type AgeRetention,
	type CompactionOptions,
	MAINTENANCE_OPTION_NAMES,
	type MaintenanceOptions,
	type MaintenanceSettings,
	maintenanceSettings,
	type TimeWindowRetention,
} from './maintenance/options.ts'
import type { RunOnceOptions, RunReport } from './maintenance/run-demand.ts'
import { type StateShape, shapeOf } from './maintenance/shape.ts'
import { EMPTY_MANIFEST } from './manifest/fold.ts'
import { storedBytesOf } from './manifest/run-parts.ts'
import { type CountingStore, countingStore, type RequestSnapshot } from './object-store/counting-store.ts'
import type { ObjectStore } from './object-store/object-store.ts'
import { openStore } from './object-store/open-store.ts'
import { retryingStore } from './object-store/retrying-store.ts'
import { borrowedPool } from './runtime/borrowed-pool.ts'
import type { JobPool, JobPoolStats } from './runtime/job-pool.ts'
import { acquireWorkerPool } from './runtime/worker-pool.ts'

export interface CompactorOptions extends Omit<MaintenanceOptions, 'maintenance'> {
	/** Where in the store the database lies: key segments, like `db1` or `team/db1`. Default: the whole store. */
	readonly prefix?: string | undefined
	/**
	 * Default true: it works, or stands by, until it is closed, and keeps the process alive for that. False: it works only
	 * within `runOnce`.
	 */
	readonly background?: boolean | undefined
	/** How often it looks for commits, one GET each, in milliseconds. Default 5000; 10 to 86,400,000. */
	readonly pollIntervalMs?: number | undefined
	/**
	 * How long work of the owner may stay undone, without a sign of him, before a standby takes over, in milliseconds. Default
	 * 60,000; 1000 to 86,400,000. Twice as long each time that it was fenced itself, up to 64 times.
	 */
	readonly takeoverAfterMs?: number | undefined
	/** What becomes of it when another one takes over. Default 'standby'; 'stop': it does nothing any more. */
	readonly onFenced?: 'standby' | 'stop' | undefined
	/** Ends opening. */
	readonly signal?: AbortSignal | undefined
	/** Clock and randomness. Default: those of the system. */
	readonly host?: Host | undefined
	/** Where tables are merged. Default: the worker threads of the process. Whoever opened it closes it. */
	readonly pool?: JobPool | undefined
}

export interface RetentionCompactorOptions extends CompactorOptions {
	/** What is kept. */
	readonly retention: AgeRetention | TimeWindowRetention
	/** Default false: nothing is merged, tables go as they were written. */
	readonly compaction?: false | CompactionOptions | undefined
}

export interface CompactorStats extends StateShape {
	readonly l0Tables: number
	/** Tables on the store, as stored. */
	readonly storedBytes: number
	readonly status: MaintainerStatus
	readonly pool: JobPoolStats
}

const OPTION_NAMES: readonly string[] = [
	...MAINTENANCE_OPTION_NAMES.filter(name => name !== 'maintenance'),
	'prefix',
	'background',
	'pollIntervalMs',
	'takeoverAfterMs',
	'onFenced',
	'signal',
	'host',
	'pool',
]
const DAY_MS = 86_400_000

/**
 * Opens a maintainer that merges tables (and retains, when told so), rewrites packs of large values, writes checkpoints and
 * deletes what nothing needs any more. Writes nothing before there is work.
 *
 * @throws TypeError and RangeError for options; what `openStore` throws; the signal's reason.
 */
export async function openCompactor(
	location: string | URL | ObjectStore,
	options: CompactorOptions = {},
): Promise<Compactor> {
	refuseUnknownOptions('options of openCompactor', options, OPTION_NAMES)
	return await openWith(location, options)
}

/**
 * The same for data that is dropped by age, whole tables or segments at a time, without a rewrite. It merges nothing unless
 * `compaction` says so.
 *
 * @throws as `openCompactor`.
 */
export async function openRetentionCompactor(
	location: string | URL | ObjectStore,
	options: RetentionCompactorOptions,
): Promise<Compactor> {
	refuseUnknownOptions('options of openRetentionCompactor', options, OPTION_NAMES)
	if (options.retention === undefined) throw new TypeError('Expected `retention` to be given, got undefined')
	return await openWith(location, { ...options, compaction: options.compaction ?? false })
}

async function openWith(location: string | URL | ObjectStore, options: CompactorOptions): Promise<Compactor> {
	const { compaction, retention, changeRetentionMs, gracePeriodMs, prefix, host = systemHost, signal } = options
	const settings = maintenanceSettings({ compaction, retention, changeRetentionMs, gracePeriodMs })
	invariant(settings !== undefined, 'maintenance is on unless it is turned off')
	const timing = timingOf(options)
	signal?.throwIfAborted()
	const counts = countingStore(await openStore(location, { prefix, host }))
	const store = retryingStore(counts, { host })
	try {
		signal?.throwIfAborted()
		const pool = options.pool === undefined ? acquireWorkerPool(host) : borrowedPool(options.pool)
		const onEvent = (event: Parameters<typeof publishEvent>[0]): void => publishEvent(event, store.url)
		const plan = { settings, ...timing }
		const maintainer = createMaintainer({ store, pool, host }, plan, { onEvent, onEdited: () => undefined })
		return new Compactor({ maintainer, settings, counts, store, pool, host })
	} catch (error) {
		await store.close()
		throw error
	}
}

function timingOf(options: CompactorOptions): MaintainerTiming {
	const { background = true } = options
	if (typeof background !== 'boolean') {
		throw new TypeError(`Expected \`background\` to be a boolean, got ${describe(background)}`)
	}
	return {
		writerEpoch: 0,
		pollIntervalMs: integerOption('pollIntervalMs', options.pollIntervalMs, 5000, 10, DAY_MS),
		takeoverAfterMs: integerOption('takeoverAfterMs', options.takeoverAfterMs, 60_000, 1000, DAY_MS),
		onFenced: choiceOption('onFenced', options.onFenced, 'standby', ['standby', 'stop']),
		isContinuous: background,
		keepsAlive: background,
		claimAtOnce: false,
	}
}

interface CompactorParts {
	readonly maintainer: Maintainer
	readonly settings: MaintenanceSettings
	readonly counts: CountingStore
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
}

/** A maintainer in a process of its own. */
export class Compactor implements AsyncDisposable {
	readonly #parts: CompactorParts
	#closed: Promise<void> | undefined

	/** Takes over `parts`: it closes them. Use `openCompactor`. @internal */
	constructor(parts: CompactorParts) {
		this.#parts = parts
	}

	/** Whether it owns the maintenance log, what it does, and what nobody does. Says what it knows, and asks nothing. */
	status(): MaintainerStatus {
		return this.#parts.maintainer.status()
	}

	/** The shape of the database, as this process has seen it last: nothing before it has looked. */
	stats(): CompactorStats {
		const { maintainer, settings, pool, host } = this.#parts
		const manifest = maintainer.manifest ?? EMPTY_MANIFEST
		return {
			...shapeOf(manifest, host.clock.nowMs(), settings),
			l0Tables: manifest.l0.length,
			storedBytes: storedBytesOf(manifest),
			status: this.status(),
			pool: pool.stats(),
		}
	}

	/** Requests, bytes and estimated cost so far, by kind. */
	requests(): RequestSnapshot {
		return this.#parts.counts.snapshot()
	}

	/**
	 * Takes over, works until nothing is due or the time is up, and leaves a checkpoint; for cron jobs and serverless. What it did
	 * not finish is gone on with by whoever comes next. Calls run one after another.
	 *
	 * @throws TypeError and RangeError for options; ISLE_FENCED when it was taken over meanwhile; ISLE_CLOSED; ISLE_UNAVAILABLE
	 * and what else the store throws; the signal's reason, after what ran has saved how far it came.
	 */
	async runOnce(options: RunOnceOptions = {}): Promise<RunReport> {
		refuseUnknownOptions('options of runOnce', options, ['deadlineMs', 'signal', 'takeover'])
		return await this.#parts.maintainer.runOnce(options)
	}

	/** Ends what runs, which saves how far it came, and leaves the log to others. Idempotent. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #close(): Promise<void> {
		const { maintainer, pool, store } = this.#parts
		await maintainer.close()
		await pool.close()
		await store.close()
	}
}
