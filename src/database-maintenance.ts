/**
 * Maintenance, as the database of the writer's process sees it: the maintainer that lives with it, and the edits that come
 * back from it, or from one elsewhere.
 *
 * - Commits wake the maintainer. Its records are handed over as they are committed and cost no request; where one is missing,
 *   the maintenance log is read.
 * - While somebody else maintains, the log is looked at as often as this process commits, and not more than now and then:
 *   never when nothing is written.
 * - What was removed while it is still read here is protected: the maintainer is told the oldest state that is held.
 */
import { invariant } from './errors.ts'
import { abortable } from './host/abortable.ts'
import type { Host } from './host/host.ts'
import { comparePositions, type LogPosition } from './log/log-position.ts'
import { publishEvent, reportedError } from './maintenance/maintenance-event.ts'
import { type MaintenanceSettings, maintenanceSettings } from './maintenance/options.ts'
import { ResidentMaintenance, type ResidentStatus } from './maintenance/resident-maintenance.ts'
import { type StateShape, shapeOf } from './maintenance/shape.ts'
import { type ResidentHome, residentStarter } from './maintenance/start-resident.ts'
import { createDueJudge } from './maintenance/trade.ts'
import type { LoadedCommit } from './manifest/commit.ts'
import type { EditRecord } from './manifest/edit.ts'
import type { Manifest } from './manifest/manifest.ts'
import type { GoneTables } from './reader/gone-tables.ts'
import type { Writer } from './writer/writer.ts'

/** What `open` was given, of what matters here. */
export interface DatabaseMaintenanceOptions
	extends Pick<ResidentHome, 'location' | 'prefix' | 'isOwnMachine' | 'ground'> {
	/** Undefined: this process maintains nothing. */
	readonly settings: MaintenanceSettings | undefined
	readonly writer: Writer
	readonly gone: GoneTables
	/** Manifests that something open still reads. */
	readonly heldManifests: () => Iterable<Manifest>
}

export interface MaintenanceStats extends StateShape {
	/** Bytes written to tables and packs for each byte that was flushed, since `open`, wherever merges run. 1 before the first. */
	readonly writeAmplification: number
	/** Undefined with `maintenance: false`. */
	readonly maintenance: ResidentStatus | undefined
}

/** Who owns the log looks at it every few seconds too. */
const TAKEOVER_AFTER_MS = 60_000
const POLL_INTERVAL_MS = 10_000
/** While somebody else maintains: one GET and one LIST in ten seconds of writing, each second while writes wait for L0. */
const LOOK_INTERVAL_MS = 10_000
const LOOK_INTERVAL_STALLED_MS = 1000
/** Fewer tables are not worth a look. */
const LOOK_MIN_TABLES = 8
/** For the figures of a database that another process maintains: what is due by default. */
const DEFAULT_SETTINGS = maintenanceSettings({})

export class DatabaseMaintenance {
	readonly #options: DatabaseMaintenanceOptions
	readonly #host: Host
	readonly #writer: Writer
	readonly #resident: ResidentMaintenance | undefined
	#flushedBytes = 0
	#rewrittenBytes = 0
	#looking: Promise<void> | undefined
	/** A record came during a look, and did not follow what was known. */
	#missesRecord = false
	#lookedMs = Number.NEGATIVE_INFINITY
	#closed: Promise<void> | undefined

	constructor(options: DatabaseMaintenanceOptions) {
		const { ground, settings, writer } = options
		this.#options = options
		this.#host = ground.host
		this.#writer = writer
		options.gone.follow(writer.manifest, options.heldManifests)
		this.#resident = settings === undefined ? undefined : this.#makeResident(settings)
		// Named before it is assigned: D-098.
		const isMerging = (): boolean => (this.#resident?.status().running.length ?? 0) > 0
		writer.isMerging = isMerging
		// Whoever took the log of the writer over maintains, too.
		writer.onFailure(() => void this.close())
	}

	/** The writer has committed. */
	noteCommit({ commit }: LoadedCommit): void {
		for (const { meta } of commit.tables) this.#flushedBytes += meta.storedBytes
		for (const { bytes } of commit.blobPacks) this.#flushedBytes += bytes
		// An edit may have waited for this commit.
		this.#see()
		this.#resident?.noteCommit()
		this.#lookElsewhere()
	}

	/** Something that held an older state was closed. */
	noteRelease(): void {
		this.#options.gone.release(this.#options.heldManifests)
		this.#resident?.noteChange()
	}

	/**
	 * Folds in every edit that was committed before this call: 1 GET and 1 LIST at least. Calls that come while one waits share it.
	 * `isWhole`: by reading both logs anew, with commits that stand and of which the writer was not told yet.
	 * @throws ISLE_UNAVAILABLE, ISLE_CORRUPT, ISLE_FENCED; the signal's reason.
	 */
	async followEdits(signal?: AbortSignal, isWhole = false): Promise<void> {
		await abortable(
			this.#writer.followEdits({ isWhole }).finally(() => this.#see()),
			signal,
		)
	}

	stats(): MaintenanceStats {
		const { manifest } = this.#writer
		const settings = this.#options.settings ?? DEFAULT_SETTINGS
		invariant(settings !== undefined, 'the default settings maintain something')
		const flushedBytes = this.#flushedBytes
		return {
			...shapeOf(manifest, this.#host.clock.nowMs(), settings),
			writeAmplification: flushedBytes === 0 ? 1 : (flushedBytes + this.#rewrittenBytes) / flushedBytes,
			maintenance: this.#resident?.status(),
		}
	}

	/** Ends the maintainer in good order. To be called before the writer closes. Idempotent; never rejects. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	async #close(): Promise<void> {
		await this.#resident?.close()
		await this.#looking
	}

	#makeResident(settings: MaintenanceSettings): ResidentMaintenance {
		const { ground, location, prefix, isOwnMachine } = this.#options
		const writerEpoch = this.#writer.stats().epoch
		const plan = {
			settings,
			writerEpoch,
			pollIntervalMs: POLL_INTERVAL_MS,
			takeoverAfterMs: TAKEOVER_AFTER_MS,
			onFenced: 'standby',
			isContinuous: true,
			keepsAlive: false,
		} as const
		return new ResidentMaintenance({
			host: this.#host,
			storeUrl: ground.store.url,
			writerEpoch,
			judge: createDueJudge(settings),
			manifest: () => this.#writer.manifest,
			refresh: () => this.followEdits(),
			protectedPosition: () => this.#protectedPosition(),
			onEdited: record => this.#take(record),
			start: residentStarter({ location, prefix, isOwnMachine, ground, plan }),
		})
	}

	#take(record: EditRecord): void {
		if (this.#closed !== undefined) return
		if (this.#writer.applyEdits([record])) {
			this.#see()
			return
		}
		// A look that is under way may have passed the place of this record before it was there.
		this.#missesRecord = this.#looking !== undefined
		this.#look()
	}

	/** The oldest state that is read in this process. */
	#protectedPosition(): LogPosition {
		let oldest = this.#writer.manifest.maintenancePosition
		for (const { maintenancePosition } of this.#options.heldManifests()) {
			if (comparePositions(maintenancePosition, oldest) < 0) oldest = maintenancePosition
		}
		return oldest
	}

	/** Somebody in another process may have merged what is in L0 here. */
	#lookElsewhere(): void {
		const state = this.#resident?.status().state
		if (state !== undefined && state !== 'standby') return
		if (this.#writer.manifest.l0.length < LOOK_MIN_TABLES) return
		const intervalMs = this.#writer.stats().stall === undefined ? LOOK_INTERVAL_MS : LOOK_INTERVAL_STALLED_MS
		if (this.#host.clock.monotonicMs() - this.#lookedMs >= intervalMs) this.#look()
	}

	/** Reads the maintenance log, once at a time; a failure is told and leaves everything as it is. */
	#look(): void {
		if (this.#closed !== undefined || this.#looking !== undefined) return
		this.#missesRecord = false
		this.#lookedMs = this.#host.clock.monotonicMs()
		this.#looking = this.followEdits()
			.catch((error: unknown) =>
				publishEvent(
					{ channel: 'isledb:maintenance', kind: 'trouble', error: reportedError(error), retryInMs: LOOK_INTERVAL_MS },
					this.#options.ground.store.url,
				),
			)
			.finally(() => {
				this.#looking = undefined
				if (this.#missesRecord) this.#look()
			})
	}

	/** The state may have moved on by edits: caches let removed tables go, and what was rewritten is counted. */
	#see(): void {
		const changed = this.#options.gone.follow(this.#writer.manifest, this.#options.heldManifests)
		if (changed === undefined) return
		for (const { id, meta } of changed.come) if (id.startsWith('m')) this.#rewrittenBytes += meta.storedBytes
		this.#resident?.noteChange()
	}
}
