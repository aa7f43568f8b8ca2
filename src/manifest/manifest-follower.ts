/**
 * Keeps a manifest up to date with logs that others write: the one poller of a process that only reads.
 *
 * - `poll` costs one GET when there is nothing new: the next slot of the writer log. The maintenance log is read along
 *   every `maintenancePollMs`, and when somebody says that it has moved on (`expectEdits`).
 * - Commits that keep coming are read in one round trip: as many slots are asked for at once as the last two reads make likely.
 *   A poll publishes what a window has found before it asks for the next one: it need not know where the log ends.
 * - A 404 is trusted for half the grace period after the last look at the checkpoints; past that (always, at grace 0), and
 *   after a seal, both logs are read and one LIST confirms both.
 * - `refresh` is strong: it sees every commit and edit that was acknowledged before it was called. A GET of each log at the
 *   same time, then one LIST.
 * - Both run one after another; calls that come while one runs share the next. A failure leaves the manifest that was published last.
 *
 * The maintenance log is folded as far as it was read, the writer log at least to the positions that its edits name.
 */
import { corrupt } from '../errors.ts'
import { abortable } from '../host/abortable.ts'
import type { Host } from '../host/host.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import type { LoadedCommit } from './commit.ts'
import { DatabaseLogs } from './database-logs.ts'
import { applyCommits } from './fold.ts'
import { applyEdits } from './fold-edits.ts'
import { LogsReading } from './logs-reading.ts'
import type { Manifest } from './manifest.ts'
import { loadManifest } from './manifest-replay.ts'
import { assertPrefixIsFree } from './prefix-check.ts'

/** Removed objects are kept at least this long: 15 minutes. */
const DEFAULT_GRACE_PERIOD_MS = 900_000
/** A view that lags behind maintenance is right, and only slower to read: 10 seconds. */
const DEFAULT_MAINTENANCE_POLL_MS = 10_000

export interface ManifestFollowerOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly host: Host
	/** How long the collector keeps what was removed, in milliseconds. Default 900,000. */
	readonly gracePeriodMs?: number | undefined
	/** How often a poll reads the maintenance log along, in milliseconds. Default 10,000. */
	readonly maintenancePollMs?: number | undefined
	/** Sees each commit as it is read, with the tables that came in it: a chance to keep their bytes. */
	onLoaded?(loaded: LoadedCommit): void
}

/** A moment by both clocks of a host. */
export interface CaughtUp {
	readonly monotonicMs: number
	readonly wallMs: number
}

export type ManifestListener = (manifest: Manifest) => void

export class ManifestFollower {
	readonly #logs: DatabaseLogs
	readonly #host: Host
	readonly #gracePeriodMs: number
	readonly #maintenancePollMs: number
	readonly #onLoaded: (loaded: LoadedCommit) => void
	readonly #listeners = new Set<ManifestListener>()
	#manifest: Manifest
	/** Who owns the epochs that the manifest ends in, as far as that is known. */
	#owners: { readonly writer: Uint8Array | undefined; readonly maintenance: Uint8Array | undefined }
	/** A time not later than the last look at the checkpoints: its answer may have been long under way. */
	#confirmedMs: number
	/** When the maintenance log was read last. */
	#maintenanceMs: number
	#caughtUp: CaughtUp
	/** Commits that the last two reads have found: the fewer of them are expected of the next one. */
	#found: readonly [number, number] = [0, 0]
	#expectsEdits = false
	#running: Promise<void> | undefined
	#next: Promise<void> | undefined

	private constructor(logs: DatabaseLogs, options: ManifestFollowerOptions, manifest: Manifest, opened: CaughtUp) {
		this.#logs = logs
		this.#host = options.host
		this.#gracePeriodMs = options.gracePeriodMs ?? DEFAULT_GRACE_PERIOD_MS
		this.#maintenancePollMs = options.maintenancePollMs ?? DEFAULT_MAINTENANCE_POLL_MS
		// Named before it is assigned: D-098.
		const onLoaded = (loaded: LoadedCommit): void => options.onLoaded?.(loaded)
		this.#onLoaded = onLoaded
		this.#manifest = manifest
		this.#owners = { writer: undefined, maintenance: undefined }
		this.#confirmedMs = opened.monotonicMs
		this.#maintenanceMs = opened.monotonicMs
		this.#caughtUp = opened
	}

	/** Opens the newest checkpoint and reads the logs behind it. A prefix without a database is an empty manifest. */
	static async open(options: ManifestFollowerOptions, request: RequestOptions = {}): Promise<ManifestFollower> {
		const logs = new DatabaseLogs(options.store, options.host.clock)
		const began = momentOf(options.host)
		const manifest = await loadManifest(logs, loaded => options.onLoaded?.(loaded), request)
		if (comparePositions(manifest.writerPosition, LOG_START) === 0) await assertPrefixIsFree(options.store, request)
		return new ManifestFollower(logs, options, manifest, began)
	}

	get manifest(): Manifest {
		return this.#manifest
	}

	/** When the last read of the log that succeeded began: all that was acknowledged before then is in `manifest`. */
	get caughtUp(): CaughtUp {
		return this.#caughtUp
	}

	/** The writer log. */
	get log(): FencedLog {
		return this.#logs.writer
	}

	/** Calls `listener` after each change, in order of subscription; it must not throw. Answers a function that ends that. */
	onChange(listener: ManifestListener): () => void {
		this.#listeners.add(listener)
		return () => this.#listeners.delete(listener)
	}

	/** The maintenance log has moved on: the next poll reads it along. */
	expectEdits(): void {
		this.#expectsEdits = true
	}

	/** Reads what is new, if anything. An abort leaves the wait; the read goes on for others. */
	poll(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
		if (options.signal?.aborted) return Promise.reject(options.signal.reason)
		// A refresh that waits for its turn is not put off by polls: they ride with it.
		return abortable(this.#running ?? this.#next ?? this.#start(false), options.signal)
	}

	/** Reads at least to where both logs stood when this was called. */
	refresh(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
		if (options.signal?.aborted) return Promise.reject(options.signal.reason)
		if (this.#running === undefined && this.#next === undefined) return abortable(this.#start(true), options.signal)
		// What runs now may have passed the end of the log already: only one that starts later counts.
		this.#next ??= this.#startAfterRunning()
		return abortable(this.#next, options.signal)
	}

	async #startAfterRunning(): Promise<void> {
		while (this.#running !== undefined) await this.#running.catch(() => undefined)
		this.#next = undefined
		return await this.#start(true)
	}

	#start(isStrong: boolean): Promise<void> {
		const running = this.#advance(isStrong).finally(() => {
			this.#running = undefined
		})
		this.#running = running
		return running
	}

	async #advance(isStrong: boolean): Promise<void> {
		const reading = new LogsReading(this.#logs, this.#manifest, this.#owners, {
			expectedCommits: Math.min(...this.#found),
			onLoaded: this.#onLoaded,
			onWindow: () => {
				// Where a look is to come, everything waits for it.
				if (isStrong || this.#isStale(this.#host.clock.monotonicMs())) return
				this.#publish(applyCommits(this.#manifest, reading.takeCommits()))
			},
		})
		const began = momentOf(this.#host)
		const beganMs = began.monotonicMs
		const isDue = beganMs - this.#maintenanceMs >= this.#maintenancePollMs
		await reading.read(isStrong || isDue || this.#expectsEdits || this.#isStale(beganMs))
		const nowMs = this.#host.clock.monotonicMs()
		if (isStrong || reading.needsLook || this.#isStale(nowMs)) {
			// One look confirms both logs, so both must have been read before it.
			if (!reading.hasMaintenance) await reading.read(true)
			if (!(await this.#confirm(reading))) return
		}
		this.#owners = reading.owners
		this.#found = [this.#found[1], reading.found]
		this.#caughtUp = began
		if (reading.hasMaintenance) {
			this.#maintenanceMs = beganMs
			this.#expectsEdits = false
		}
		if (!reading.hasMovedBeyond(this.#manifest)) return
		const committed = {
			...applyCommits(this.#manifest, reading.takeCommits()),
			writerPosition: reading.writer.position,
		}
		this.#publish({ ...applyEdits(committed, reading.edits), maintenancePosition: reading.maintenance.position })
	}

	/** False: another manifest has taken the place of all that was read. */
	async #confirm(reading: LogsReading): Promise<boolean> {
		// Nothing was ever written here, and so nothing was deleted.
		if (reading.isUnused) return true
		const nowMs = this.#host.clock.monotonicMs()
		const newest = await this.#logs.look()
		if (!reading.isConfirmedBy(newest)) {
			await this.#reopen()
			return false
		}
		if (reading.isShort) {
			throw corrupt(this.#logs.writer.key(reading.writer.position), 'a commit is missing that maintenance refers to:')
		}
		this.#confirmedMs = nowMs
		return true
	}

	#isStale(nowMs: number): boolean {
		return nowMs - this.#confirmedMs >= this.#gracePeriodMs / 2
	}

	/** What was read is older than a checkpoint: start from that one. */
	async #reopen(): Promise<void> {
		const began = momentOf(this.#host)
		const manifest = await loadManifest(this.#logs, this.#onLoaded)
		this.#confirmedMs = began.monotonicMs
		this.#maintenanceMs = began.monotonicMs
		this.#caughtUp = began
		this.#owners = { writer: undefined, maintenance: undefined }
		this.#publish(manifest)
	}

	#publish(manifest: Manifest): void {
		this.#manifest = manifest
		for (const listener of this.#listeners) listener(manifest)
	}
}

function momentOf({ clock }: Host): CaughtUp {
	return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() }
}
