/**
 * Keeps a manifest up to date with a log that somebody else writes: the one poller of a process that only reads.
 *
 * - `poll` costs one GET when there is nothing new. It trusts a 404 for half the grace period after the last look at the
 *   checkpoints; past that (always, at grace 0) it looks again, with one LIST.
 * - `refresh` is strong: it sees every commit that was acknowledged before it was called. One GET and one LIST at least.
 * - Both run one after another; calls that come while one runs share the next. A failure leaves the manifest as it was.
 */
import { abortable } from '../host/abortable.ts'
import type { Host } from '../host/host.ts'
import { replayLog } from '../log/claim.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { type Commit, decodeCommit, type LoadedCommit } from './commit.ts'
import { applyCommits } from './fold.ts'
import type { Manifest } from './manifest.ts'
import { ManifestReplay, openWriterLog } from './manifest-replay.ts'
import { assertPrefixIsFree } from './prefix-check.ts'

/** Removed objects are kept at least this long: 15 minutes. */
const DEFAULT_GRACE_PERIOD_MS = 900_000

export interface ManifestFollowerOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly host: Host
	/** How long the collector keeps what was removed, in milliseconds. Default 900,000. */
	readonly gracePeriodMs?: number | undefined
	/** Sees each commit as it is read, with the tables that came in it: a chance to keep their bytes. */
	onLoaded?(loaded: LoadedCommit): void
}

export type ManifestListener = (manifest: Manifest) => void

export class ManifestFollower {
	readonly #log: FencedLog
	readonly #host: Host
	readonly #gracePeriodMs: number
	readonly #onLoaded: (loaded: LoadedCommit) => void
	readonly #listeners = new Set<ManifestListener>()
	#manifest: Manifest
	/** A time not later than the last look at the checkpoints: its answer may have been long under way. */
	#confirmedMs: number
	#running: Promise<void> | undefined
	#next: Promise<void> | undefined

	private constructor(log: FencedLog, options: ManifestFollowerOptions, manifest: Manifest, confirmedMs: number) {
		this.#log = log
		this.#host = options.host
		this.#gracePeriodMs = options.gracePeriodMs ?? DEFAULT_GRACE_PERIOD_MS
		this.#onLoaded = loaded => options.onLoaded?.(loaded)
		this.#manifest = manifest
		this.#confirmedMs = confirmedMs
	}

	/** Opens the newest checkpoint and reads the log behind it. A prefix without a database is an empty manifest. */
	static async open(options: ManifestFollowerOptions, request: RequestOptions = {}): Promise<ManifestFollower> {
		const log = openWriterLog(options.store)
		const beganMs = options.host.clock.monotonicMs()
		const replay = new ManifestReplay(log, loaded => options.onLoaded?.(loaded))
		const position = await replayLog(log, replay, request)
		if (comparePositions(position, LOG_START) === 0) await assertPrefixIsFree(options.store, request)
		return new ManifestFollower(log, options, replay.manifestAt(position), beganMs)
	}

	get manifest(): Manifest {
		return this.#manifest
	}

	get log(): FencedLog {
		return this.#log
	}

	/** Calls `listener` after each change, in order of subscription; it must not throw. Answers a function that ends that. */
	onChange(listener: ManifestListener): () => void {
		this.#listeners.add(listener)
		return () => this.#listeners.delete(listener)
	}

	/** Reads what is new, if anything. An abort leaves the wait; the read goes on for others. */
	poll(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
		if (options.signal?.aborted) return Promise.reject(options.signal.reason)
		// A refresh that waits for its turn is not put off by polls: they ride with it.
		return abortable(this.#running ?? this.#next ?? this.#start(false), options.signal)
	}

	/** Reads at least to where the log stood when this was called. */
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
		const before = this.#manifest
		const commits: Commit[] = []
		const end = await this.#log.readForward(before.writerPosition, {
			windowSlots: 1,
			onCommit: record => {
				const loaded = decodeCommit(record, this.#log.key(record.position))
				commits.push(loaded.commit)
				this.#onLoaded(loaded)
			},
		})
		const nowMs = this.#host.clock.monotonicMs()
		const isStale = nowMs - this.#confirmedMs >= this.#gracePeriodMs / 2
		if (isStrong || isStale || end.firstSeal !== undefined) {
			if (!(await this.#log.confirm(end))) return await this.#reopen()
			this.#confirmedMs = nowMs
		}
		if (comparePositions(end.position, before.writerPosition) === 0) return
		this.#publish({ ...applyCommits(before, commits), writerPosition: end.position })
	}

	/** What was read is older than a checkpoint: start from that one. */
	async #reopen(): Promise<void> {
		const beganMs = this.#host.clock.monotonicMs()
		const replay = new ManifestReplay(this.#log, this.#onLoaded)
		const position = await replayLog(this.#log, replay)
		this.#confirmedMs = beganMs
		this.#publish(replay.manifestAt(position))
	}

	#publish(manifest: Manifest): void {
		this.#manifest = manifest
		for (const listener of this.#listeners) listener(manifest)
	}
}
