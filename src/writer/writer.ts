/**
 * The one writer of a prefix.
 *
 * A mutation goes into the active memtable and is accepted: ordered, and seen by this process. A memtable is frozen when
 * it is full, at `flush`, for a durable write, or after `flushIntervalMs`; the committer makes a commit of it.
 *
 * Invariants:
 * - Sequence numbers follow the order of calls; a refused write uses none.
 * - A memtable is read until its commit is published: nothing accepted is ever out of sight.
 * - Memory is bounded: from half of `writeBufferMaxBytes` on mutations wait, at the whole they are refused.
 * - The first failure is final: every later call rejects with its code, and it as the cause.
 */

import type { BlobRef } from '../blob/blob-ref.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { IsleError } from '../errors.ts'
import { abortable } from '../host/abortable.ts'
import { Ending } from '../host/ending.ts'
import { claimLog } from '../log/claim.ts'
import type { LogOwner } from '../log/log-owner.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import { DatabaseLogs } from '../manifest/database-logs.ts'
import type { EditRecord } from '../manifest/edit.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ManifestReplay } from '../manifest/manifest-replay.ts'
import { assertPrefixIsFree } from '../manifest/prefix-check.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import { probeStore } from '../object-store/store-probe.ts'
import { KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../sst/entry.ts'
import { insertBatch } from './batch-insertion.ts'
import { BlobPacker } from './blob-packer.ts'
import { Committer } from './committer.ts'
import { FlushTimer } from './flush-timer.ts'
import { GroupCommit } from './group-commit.ts'
import { type CommitReason, L0Pressure } from './l0-pressure.ts'
import { Liveness } from './liveness.ts'
import { checkWriteOptions, type WriteOptions, type WriterSettings } from './options.ts'
import { stallListener } from './stall.ts'
import { TurnYield } from './turn-yield.ts'
import { checkKey, checkValue, ttlOption, WriteBatch } from './write-batch.ts'
import { WriteBuffer } from './write-buffer.ts'
import type { WriterComponents, WriterView } from './writer-parts.ts'
import { type FollowEditsOptions, WriterState } from './writer-state.ts'
import type { WriterStats } from './writer-stats.ts'

export type { WriteOptions } from './options.ts'
export type { WriterComponents } from './writer-parts.ts'
export type { WriterStats } from './writer-stats.ts'

interface Claimed {
	readonly owner: LogOwner
	readonly manifest: Manifest
}

const ACCEPTED: Promise<void> = Promise.resolve()

export class Writer {
	readonly #components: WriterComponents
	readonly #settings: WriterSettings
	readonly #epoch: number
	readonly #liveness = new Liveness()
	/** Ends with the failure. */
	readonly #failing = new Ending()
	readonly #buffer: WriteBuffer
	readonly #packer: BlobPacker
	readonly #committer: Committer
	readonly #groupCommit: GroupCommit
	readonly #flushTimer: FlushTimer
	readonly #turnYield: TurnYield
	readonly #l0: L0Pressure
	/** Whether a merge runs that belongs to this process. */
	isMerging: () => boolean = () => false
	readonly #listeners = new Set<(loaded: LoadedCommit) => void>()
	readonly #state: WriterState
	#closing: Promise<void> | undefined
	#commits = 0

	private constructor(components: WriterComponents, settings: WriterSettings, claimed: Claimed) {
		const { store, host } = components
		const { owner, manifest } = claimed
		const failing = this.#failing
		this.#components = components
		this.#settings = settings
		this.#epoch = owner.epoch
		this.#state = new WriterState(store, owner.epoch, manifest, fenced => this.#fail(fenced))
		this.#buffer = new WriteBuffer(settings, manifest.lastSeq)
		this.#committer = new Committer(
			{ ...components, arenas: this.#buffer.arenas, owner, failing },
			settings,
			manifest.lastCommitMs,
			loaded => this.#publish(loaded),
		)
		const { writeBufferMaxBytes } = settings
		this.#packer = new BlobPacker({ store, epoch: owner.epoch, writeBufferMaxBytes, failing })
		this.#groupCommit = new GroupCommit({
			...settings,
			clock: host.clock,
			inFlight: () => this.#buffer.frozenCount,
			oldestCommit: () => this.#buffer.oldestCommit,
			flush: () => this.#freezeAndFlush('written'),
		})
		this.#flushTimer = new FlushTimer(host.clock, settings.flushIntervalMs, () => {
			if (this.#buffer.active.entryCount > 0) this.#freeze('timer')
		})
		this.#turnYield = new TurnYield(host.clock)
		const onStall = stallListener(host.clock, { look: () => this.followEdits(), isMerging: () => this.isMerging() })
		this.#l0 = new L0Pressure(host.clock, settings, manifest.l0, onStall)
	}

	/**
	 * Claims the prefix: whoever wrote it before is fenced. A prefix without a database gets one, once the store has shown
	 * that it refuses a second create (`ISLE_STORE_UNSAFE`) and that nothing else lies there (`ISLE_FOREIGN_PREFIX`).
	 * `onLoaded` sees the commits that are read on the way, with the tables that came in them.
	 */
	static async open(
		components: WriterComponents,
		settings: WriterSettings,
		options: RequestOptions & { onLoaded?(loaded: LoadedCommit): void } = {},
	): Promise<Writer> {
		const { store, host } = components
		const { signal } = options
		const logs = new DatabaseLogs(store)
		const replay = new ManifestReplay(logs, 'writer', loaded => options.onLoaded?.(loaded))
		const beforeFirstUse = async (): Promise<void> => {
			await assertPrefixIsFree(store, { signal })
			await probeStore(store, { host, signal })
		}
		const owner = await claimLog({ log: logs.writer, host, replay, signal, beforeFirstUse })
		const manifest = replay.manifestAt(owner.nextPosition)
		return new Writer(components, settings, { owner, manifest })
	}

	/** Everything that is committed. */
	get manifest(): Manifest {
		return this.#state.manifest
	}

	/** Folds in what a maintainer has committed. False: records before these are missing here; `followEdits` finds them. */
	applyEdits(records: readonly EditRecord[]): boolean {
		const isComplete = this.#state.applyEdits(records)
		this.#l0.changed(this.manifest.l0)
		return isComplete
	}

	/** Reads and folds in every edit that was committed before this call: 1 GET and 1 LIST at least. ISLE_FENCED is final. */
	async followEdits(options?: FollowEditsOptions): Promise<void> {
		try {
			await this.#state.followEdits(options)
		} finally {
			this.#l0.changed(this.manifest.l0)
		}
	}

	/** What a read that begins now sees. Valid as long as the memtables in it are held, or within this tick. */
	get view(): WriterView {
		return { manifest: this.manifest, memtables: this.#buffer.memtables, maxSeq: this.#buffer.active.lastSeq }
	}

	get failure(): IsleError | undefined {
		return this.#liveness.failure
	}

	/** Calls `listener` with each commit, in order, once it is durable and part of `manifest`. Answers how to stop. */
	onCommit(listener: (loaded: LoadedCommit) => void): () => void {
		this.#listeners.add(listener)
		return () => this.#listeners.delete(listener)
	}

	/** Calls `listener` once, when the writer fails. */
	onFailure(listener: (failure: IsleError) => void): void {
		this.#liveness.onFailure(listener)
	}

	/** A value of this process that waits in a blob pack, or `undefined` once it is on the store. */
	pendingBlob(ref: BlobRef): Uint8Array | undefined {
		return this.#packer.pending(ref)
	}

	/** @throws RangeError, TypeError for what cannot be stored; nothing is changed. Codes: as `flush`, and `ISLE_BACKPRESSURE`. */
	put(key: string | Uint8Array, value: string | Uint8Array, options?: WriteOptions): Promise<void> {
		let isLarge: boolean
		try {
			this.#begin(options, true)
			isLarge = this.#insert(key, value, options?.ttlMs)
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#accepted(options, isLarge)
	}

	delete(key: string | Uint8Array, options?: WriteOptions): Promise<void> {
		try {
			this.#begin(options, false)
			this.#insertTombstone(key)
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#accepted(options, false)
	}

	/** All of the batch becomes one commit, with sequence numbers that follow one another, or none of it. */
	write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
		const { lastSeq } = this.#buffer.active
		try {
			this.#begin(options, false)
			if (!(batch instanceof WriteBatch)) throw new TypeError('Expected `batch` to be a batch of this package')
			// What is in a batch was checked when it was added.
			const { blobThresholdBytes } = this.#settings
			const nowMs = this.#components.host.clock.nowMs()
			insertBatch(batch, this.#buffer.active, this.#packer, { blobThresholdBytes, nowMs })
		} catch (error) {
			// Not even a bug, or memory that runs out, makes a commit of half a batch.
			return Promise.reject(this.#buffer.active.lastSeq === lastSeq ? error : this.#fail(error))
		}
		return batch.length === 0 ? ACCEPTED : this.#accepted(options, true)
	}

	/**
	 * Stores a value of any length without ever holding it whole. It is ordered, and seen, when the last piece has been
	 * stored. If `source` fails nothing is written and the call rejects with its error. Pieces are not to be changed after
	 * they were handed over.
	 */
	async putStream(key: string | Uint8Array, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<void> {
		this.#begin(options, true)
		checkKey(key)
		if (typeof source !== 'object' || source === null || !(Symbol.asyncIterator in source)) {
			throw new TypeError('Expected `source` to be an AsyncIterable of Uint8Arrays')
		}
		const ownKey = typeof key === 'string' ? key : new Uint8Array(key)
		const stored = await this.#packer.store(source, options?.signal)
		// It has waited long enough not to be refused for what others wrote meanwhile.
		for (let wait = this.#room(); wait !== undefined; wait = this.#room()) await abortable(wait, options?.signal)
		this.#begin(options, true)
		this.#buffer.active.put(ownKey, stored.encodedRef, KIND_BLOB, this.#expiresAtMs(options?.ttlMs))
		this.#packer.attach(stored.pack)
		await this.#accepted(options, false)
	}

	/**
	 * Resolves when all that was accepted before this call is durable, with the position of the commit that holds the last
	 * of it. Rejects with the writer's failure: `ISLE_FENCED`, `ISLE_INDETERMINATE`, `ISLE_UNAVAILABLE`, `ISLE_DENIED`,
	 * `ISLE_FULL`, `ISLE_CLOSED`. Nothing accepted: no request.
	 */
	async flush(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<LogPosition> {
		this.#liveness.assertUsable()
		options.signal?.throwIfAborted()
		return await abortable(this.#freezeAndFlush('demanded'), options.signal)
	}

	/**
	 * Flushes and ends the writer; streams on their way are refused. Rejects, after everything has ended and is freed, when
	 * accepted writes could not be committed.
	 */
	close(): Promise<void> {
		this.#liveness.beginClosing()
		this.#closing ??= this.#close()
		return this.#closing
	}

	stats(): WriterStats {
		return {
			epoch: this.#epoch,
			lastSeq: this.#buffer.active.lastSeq,
			committedSeq: this.manifest.lastSeq,
			memtableBytes: this.#buffer.bytes,
			idleBytes: this.#committer.idleBytes,
			frozenMemtables: this.#buffer.frozenCount,
			pendingBlobBytes: this.#packer.pendingBytes,
			commits: this.#commits,
			...this.#l0.depth,
			stall: this.#l0.stalled ?? (this.#buffer.room === undefined ? undefined : { cause: 'memory', isStopped: true }),
			failure: this.#liveness.failure?.code,
		}
	}

	/** What is refused is refused here, or by the checks of key, value and ttl, before anything is changed. */
	#begin(options: WriteOptions | undefined, takesTtl: boolean): void {
		if (!this.#liveness.isUsable) this.#liveness.assertUsable()
		if (options !== undefined) checkWriteOptions(options, takesTtl)
		if (this.#buffer.room !== undefined) this.#buffer.assertBelowHardLimit(this.#packer.openBytes)
	}

	/** True when the value was large enough to take as long as many small ones. */
	#insert(key: string | Uint8Array, value: string | Uint8Array, ttlMs: number | undefined): boolean {
		const expiresAtMs = this.#expiresAtMs(ttlMs)
		checkValue(value)
		const { blobThresholdBytes } = this.#settings
		const mayBeLarge = value.length >= blobThresholdBytes / 3
		if (mayBeLarge && (typeof value === 'string' ? Buffer.byteLength(value) : value.length) >= blobThresholdBytes) {
			checkKey(key)
			const own = typeof value === 'string' ? Buffer.from(value) : new Uint8Array(value)
			this.#buffer.active.put(key, this.#packer.add(own), KIND_BLOB, expiresAtMs)
		} else {
			checkKey(key)
			this.#buffer.active.put(key, value, KIND_VALUE, expiresAtMs)
		}
		return mayBeLarge
	}

	#insertTombstone(key: string | Uint8Array): void {
		checkKey(key)
		this.#buffer.active.put(key, NO_BYTES, KIND_TOMBSTONE, 0)
	}

	#expiresAtMs(ttlMs: number | undefined): number {
		return ttlMs === undefined ? 0 : this.#components.host.clock.nowMs() + ttlOption(ttlMs)
	}

	/** What follows an accepted mutation: rotation, the flush timer, waiting. */
	#accepted(options: WriteOptions | undefined, isLong: boolean): Promise<void> {
		if (!this.#flushTimer.isRunning) this.#flushTimer.start()
		const buffer = this.#buffer
		const isL0Deep = this.#l0.stall !== 'none'
		if (isL0Deep) this.#l0.charge(buffer.active.entryBytes)
		if (!buffer.active.hasRoom(1) || this.#packer.isFull) this.#freeze('written')
		if (options?.durable ?? this.#settings.durability === 'committed') {
			const joined = this.#groupCommit.join()
			return abortable(isL0Deep ? joined.then(() => this.#l0.wait()) : joined, options?.signal)
		}
		const wait = isL0Deep || buffer.room !== undefined ? this.#room() : undefined
		if (wait !== undefined) return abortable(wait, options?.signal)
		return this.#turnYield.afterMutation(isLong) ?? ACCEPTED
	}

	/** What keeps callers from writing on: memory first, for it has the harder limit. */
	#room(): Promise<void> | undefined {
		return this.#buffer.room ?? this.#l0.wait()
	}

	async #freezeAndFlush(reason: CommitReason): Promise<LogPosition> {
		if (this.#liveness.failure !== undefined) throw this.#liveness.failure
		if (reason === 'demanded') this.#l0.release()
		if (this.#buffer.active.entryCount > 0) this.#freeze(reason)
		return (await this.#buffer.newestCommit) ?? this.manifest.writerPosition
	}

	/** The active memtable goes to the committer; an empty one takes its place. */
	#freeze(reason: CommitReason): void {
		const firstWriteMs = this.#flushTimer.startedMs
		this.#flushTimer.stop()
		const packs = this.#packer.close()
		this.#buffer.freeze(packs.bytes, memtable => {
			const frozenMs = Math.max(firstWriteMs, this.#components.host.clock.nowMs())
			const frozen = { memtable, firstWriteMs, frozenMs, uploadPacks: () => packs.upload() }
			const committed = this.#l0.admit(reason, () => this.#committer.commit(frozen))
			const done = committed.catch((error: unknown) => {
				throw this.#fail(error)
			})
			// Told to whoever waits, and to every later call.
			done.catch(() => undefined)
			return done
		})
	}

	/** One commit stands: reads find it in the manifest, and its memtable is no longer needed. */
	#publish(loaded: LoadedCommit): LogPosition {
		this.#state.publish(loaded.commit)
		this.#l0.changed(this.manifest.l0)
		const memtable = this.#buffer.retire(loaded.commit.lastSeq)
		this.#commits++
		for (const listener of this.#listeners) listener(loaded)
		memtable.recycle()
		const { epoch, slot } = loaded.commit.position
		return { epoch, slot: slot + 1 }
	}

	/** Final: what is not committed stays readable here and is told to every later call. Answers the first failure. */
	#fail(error: unknown): IsleError {
		const isFirst = this.#liveness.failure === undefined
		const failure = this.#liveness.fail(error)
		if (isFirst) {
			this.#flushTimer.stop()
			this.#failing.end(failure)
			this.#buffer.fail(failure)
			this.#l0.fail(failure)
			void this.#packer.endStreams(failure)
			void this.#groupCommit.end()
		}
		return failure
	}

	async #close(): Promise<void> {
		const ended = [
			this.#packer.endStreams(new IsleError('ISLE_CLOSED', 'the writer is closed')),
			this.#groupCommit.end(),
		]
		this.#l0.end()
		try {
			// The failure, if there is one, is told below.
			await this.#freezeAndFlush('demanded').catch(() => undefined)
			await Promise.all([...ended, this.#committer.settled()])
		} finally {
			this.#flushTimer.stop()
			this.#listeners.clear()
			this.#buffer.arenas.clear()
		}
		this.#liveness.throwIfFailed()
	}
}
