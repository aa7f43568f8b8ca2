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
import { describe } from '../arguments.ts'
import type { BlobRef } from '../blob/blob-ref.ts'
import { IsleError, isIsleError } from '../errors.ts'
import { abortable } from '../host/abortable.ts'
import type { Timer } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import { claimLog } from '../log/claim.ts'
import type { LogOwner } from '../log/log-owner.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import { applyCommits } from '../manifest/fold.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ManifestReplay, openWriterLog } from '../manifest/manifest-replay.ts'
import { assertPrefixIsFree } from '../manifest/prefix-check.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { probeStore } from '../object-store/store-probe.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../sst/entry.ts'
import { BlobPacker } from './blob-packer.ts'
import { Committer, type FrozenMemtable } from './committer.ts'
import { GroupCommit } from './group-commit.ts'
import type { WriterSettings } from './options.ts'
import { checkKey, ttlOption, type WriteBatch } from './write-batch.ts'
import { WriteBuffer } from './write-buffer.ts'

export interface WriteOptions {
	/** The entry is gone this long after the call, in milliseconds. Default: it stays. */
	readonly ttlMs?: number | undefined
	/** Resolve once the mutation is on the store. Default: the writer's `durability`. */
	readonly durable?: boolean | undefined
	/** Ends the wait; what was accepted stays accepted. Aborted before the call: nothing is written. */
	readonly signal?: AbortSignal | undefined
}

export interface WriterComponents {
	/** Of the database (its prefix taken off), with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
}

/** What a read of this process sees; `release` it when a scan or snapshot is done. */
export interface WriterView {
	readonly manifest: Manifest
	/** Newest first. */
	readonly memtables: readonly Memtable[]
	readonly maxSeq: number
}

export interface WriterStats {
	readonly epoch: number
	readonly lastSeq: number
	readonly committedSeq: number
	readonly memtableBytes: number
	readonly frozenMemtables: number
	readonly pendingBlobBytes: number
	readonly commits: number
	readonly failure: string | undefined
}

interface Claimed {
	readonly owner: LogOwner
	readonly manifest: Manifest
}

const ACCEPTED: Promise<void> = Promise.resolve()
const EMPTY: Uint8Array = new Uint8Array(0)
/** A loop that only awaits resolved promises starves the worker's replies: it must let go this often. */
const YIELD_INTERVAL_MS = 1.5
/** The clock is read once in this many mutations (30 ns each time). */
const YIELD_CHECK_MASK = 63

export class Writer {
	readonly #components: WriterComponents
	readonly #settings: WriterSettings
	readonly #committer: Committer
	readonly #packer: BlobPacker
	readonly #epoch: number
	readonly #buffer: WriteBuffer
	readonly #groupCommit: GroupCommit
	readonly #listeners = new Set<(loaded: LoadedCommit) => void>()
	readonly #failureListeners = new Set<(failure: IsleError) => void>()
	#manifest: Manifest
	/** Something was accepted since the last freeze. */
	#isDirty = false
	#firstWriteMs = 0
	#flushTimer: Timer | undefined
	#failure: IsleError | undefined
	#closing: Promise<void> | undefined
	#mutations = 0
	#lastYieldMs: number
	#commits = 0

	private constructor(components: WriterComponents, settings: WriterSettings, claimed: Claimed) {
		this.#components = components
		this.#settings = settings
		this.#manifest = claimed.manifest
		this.#epoch = claimed.owner.epoch
		this.#buffer = new WriteBuffer(settings, claimed.manifest.lastSeq)
		this.#committer = new Committer(
			{ ...components, arenas: this.#buffer.arenas, owner: claimed.owner },
			settings,
			claimed.manifest.lastCommitMs,
			loaded => this.#publish(loaded),
		)
		this.#packer = new BlobPacker({ store: components.store, epoch: claimed.owner.epoch })
		this.#groupCommit = new GroupCommit({
			...settings,
			clock: components.host.clock,
			inFlight: () => this.#buffer.frozenCount,
			oldestCommit: () => this.#buffer.oldestCommit,
			flush: () => this.#freezeAndFlush(),
		})
		this.#lastYieldMs = components.host.clock.monotonicMs()
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
		const log = openWriterLog(store)
		const replay = new ManifestReplay(log, loaded => options.onLoaded?.(loaded))
		const owner = await claimLog({
			log,
			host,
			replay,
			signal: options.signal,
			beforeFirstUse: async () => {
				await assertPrefixIsFree(store, { signal: options.signal })
				await probeStore(store, host)
			},
		})
		const manifest = replay.manifestAt(owner.nextPosition)
		return new Writer(components, settings, { owner, manifest })
	}

	/** Everything that is committed. */
	get manifest(): Manifest {
		return this.#manifest
	}

	/** What a read that begins now sees. Valid as long as the memtables in it are held, or within this tick. */
	get view(): WriterView {
		return { manifest: this.#manifest, memtables: this.#buffer.memtables, maxSeq: this.#buffer.active.lastSeq }
	}

	get failure(): IsleError | undefined {
		return this.#failure
	}

	/** Calls `listener` with each commit, in order, once it is durable and part of `manifest`. Answers how to stop. */
	onCommit(listener: (loaded: LoadedCommit) => void): () => void {
		this.#listeners.add(listener)
		return () => this.#listeners.delete(listener)
	}

	/** Calls `listener` once, when the writer fails. */
	onFailure(listener: (failure: IsleError) => void): void {
		this.#failureListeners.add(listener)
	}

	/** A value of this process that waits in a blob pack, or `undefined` once it is on the store. */
	pendingBlob(ref: BlobRef): Uint8Array | undefined {
		return this.#packer.pending(ref)
	}

	/** @throws RangeError, TypeError for what cannot be stored; nothing is changed. Codes: as `flush`, and `ISLE_BACKPRESSURE`. */
	put(key: string | Uint8Array, value: string | Uint8Array, options?: WriteOptions): Promise<void> {
		try {
			const expiresAtMs = this.#begin(options)
			if (!(typeof value === 'string' || value instanceof Uint8Array)) {
				throw new TypeError(`Expected \`value\` to be a string or a Uint8Array, got ${describe(value)}`)
			}
			this.#insert(key, value, expiresAtMs)
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#accepted(options)
	}

	delete(key: string | Uint8Array, options?: WriteOptions): Promise<void> {
		try {
			this.#begin(options)
			this.#insertEntry(key, EMPTY, KIND_TOMBSTONE, 0)
		} catch (error) {
			return Promise.reject(error)
		}
		return this.#accepted(options)
	}

	/** All of the batch becomes one commit, with sequence numbers that follow one another, or none of it. */
	write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
		try {
			this.#begin(options)
			const nowMs = this.#components.host.clock.nowMs()
			for (const { key, value, ttlMs } of batch.operations) {
				const expiresAtMs = ttlMs === undefined ? 0 : nowMs + ttlMs
				if (value === undefined) this.#insertEntry(key, EMPTY, KIND_TOMBSTONE, 0)
				else this.#insert(key, value, expiresAtMs)
			}
		} catch (error) {
			return Promise.reject(error)
		}
		return batch.operations.length === 0 ? ACCEPTED : this.#accepted(options)
	}

	/**
	 * Stores a value of any length without ever holding it whole. It is ordered, and seen, when the last piece has been
	 * stored. If `source` fails nothing is written and the call rejects with its error.
	 */
	async putStream(key: string | Uint8Array, source: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<void> {
		this.#begin(options)
		checkKey(key)
		const stored = await this.#packer.store(source, { signal: options?.signal })
		const expiresAtMs = this.#begin(options)
		this.#packer.attach(stored.pack)
		this.#insertEntry(key, stored.encodedRef, KIND_BLOB, expiresAtMs)
		await this.#accepted(options)
	}

	/**
	 * Resolves when all that was accepted before this call is durable, with the position of the commit that holds the last
	 * of it. Rejects with the writer's failure: `ISLE_FENCED`, `ISLE_INDETERMINATE`, `ISLE_UNAVAILABLE`, `ISLE_DENIED`,
	 * `ISLE_FULL`, `ISLE_CLOSED`. Nothing accepted: no request.
	 */
	async flush(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<LogPosition> {
		this.#assertUsable()
		options.signal?.throwIfAborted()
		return await abortable(this.#freezeAndFlush(), options.signal)
	}

	/** Flushes and ends the writer. Rejects, after everything is freed, when accepted writes could not be committed. */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	stats(): WriterStats {
		return {
			epoch: this.#epoch,
			lastSeq: this.#buffer.active.lastSeq,
			committedSeq: this.#manifest.lastSeq,
			memtableBytes: this.#buffer.bytes,
			frozenMemtables: this.#buffer.frozenCount,
			pendingBlobBytes: this.#packer.pendingBytes,
			commits: this.#commits,
			failure: this.#failure?.code,
		}
	}

	/** Checks before anything is changed; answers when the entry expires. */
	#begin(options: WriteOptions | undefined): number {
		if (this.#failure !== undefined || this.#closing !== undefined) this.#assertUsable()
		if (this.#buffer.room !== undefined) this.#buffer.assertBelowHardLimit(this.#packer.openBytes)
		if (options === undefined) return 0
		options.signal?.throwIfAborted()
		return options.ttlMs === undefined ? 0 : this.#components.host.clock.nowMs() + ttlOption(options.ttlMs)
	}

	#insert(key: string | Uint8Array, value: string | Uint8Array, expiresAtMs: number): void {
		const { blobThresholdBytes } = this.#settings
		if (value.length >= blobThresholdBytes / 3) {
			const bytes = typeof value === 'string' ? Buffer.from(value) : value
			if (bytes.length >= blobThresholdBytes) {
				checkKey(key)
				this.#insertEntry(key, this.#packer.add(bytes), KIND_BLOB, expiresAtMs)
				return
			}
		}
		this.#insertEntry(key, value, KIND_VALUE, expiresAtMs)
	}

	#insertEntry(key: string | Uint8Array, value: string | Uint8Array, kind: EntryKind, expiresAtMs: number): void {
		if (!(typeof key === 'string' || key instanceof Uint8Array)) {
			throw new TypeError(`Expected \`key\` to be a string or a Uint8Array, got ${describe(key)}`)
		}
		this.#buffer.active.put(key, value, kind, expiresAtMs)
	}

	/** What follows an accepted mutation: rotation, the flush timer, waiting. */
	#accepted(options: WriteOptions | undefined): Promise<void> {
		if (!this.#isDirty) this.#becomeDirty()
		if (options?.durable ?? this.#settings.durability === 'committed') {
			return abortable(this.#groupCommit.join(), options?.signal).then(() => undefined)
		}
		const buffer = this.#buffer
		if (!buffer.active.hasRoom(1) || this.#packer.isFull) this.#freeze()
		if (buffer.room !== undefined) return abortable(buffer.room, options?.signal)
		if ((++this.#mutations & YIELD_CHECK_MASK) === 0 && this.#mustYield()) return this.#yield()
		return ACCEPTED
	}

	#mustYield(): boolean {
		return this.#components.host.clock.monotonicMs() - this.#lastYieldMs >= YIELD_INTERVAL_MS
	}

	async #yield(): Promise<void> {
		await this.#components.host.clock.yieldToIo()
		this.#lastYieldMs = this.#components.host.clock.monotonicMs()
	}

	async #freezeAndFlush(): Promise<LogPosition> {
		if (this.#buffer.active.entryCount > 0) this.#freeze()
		const newest = this.#buffer.newestCommit
		if (newest !== undefined) return await newest
		if (this.#failure !== undefined) throw this.#failure
		return this.#manifest.writerPosition
	}

	/** The active memtable goes to the committer; an empty one takes its place. */
	#freeze(): void {
		this.#becomeClean()
		const pack = this.#packer.close()
		this.#buffer.freeze(pack.bytes, memtable => {
			const frozen: FrozenMemtable = {
				memtable,
				firstWriteMs: this.#firstWriteMs,
				frozenMs: Math.max(this.#firstWriteMs, this.#components.host.clock.nowMs()),
				packs: pack.uploads,
			}
			const done = this.#committer.commit(frozen).then(() => this.#manifest.writerPosition)
			done.catch(error => this.#fail(error))
			return done
		})
	}

	/** One commit stands: reads find it in the manifest, and its memtable is no longer needed. */
	#publish(loaded: LoadedCommit): void {
		this.#manifest = applyCommits(this.#manifest, [loaded.commit])
		const memtable = this.#buffer.retire(loaded.commit.lastSeq)
		this.#commits++
		for (const listener of this.#listeners) listener(loaded)
		memtable.recycle()
	}

	/** The first mutation after a freeze: from now on something waits for its commit. */
	#becomeDirty(): void {
		const { clock } = this.#components.host
		const { flushIntervalMs } = this.#settings
		this.#isDirty = true
		this.#firstWriteMs = clock.nowMs()
		if (flushIntervalMs === 0) return
		this.#flushTimer = clock.schedule(
			flushIntervalMs,
			() => {
				if (this.#failure === undefined && this.#buffer.active.entryCount > 0) this.#freeze()
			},
			{ background: true },
		)
	}

	#becomeClean(): void {
		this.#isDirty = false
		this.#flushTimer?.cancel()
		this.#flushTimer = undefined
	}

	/** Final: what is not committed stays readable here and is told to every later call. */
	#fail(error: unknown): void {
		if (this.#failure !== undefined) return
		this.#failure = isIsleError(error)
			? error
			: new IsleError('ISLE_CLOSED', `the writer failed: ${error instanceof Error ? error.message : String(error)}`, {
					cause: error,
				})
		this.#becomeClean()
		this.#buffer.fail(this.#failure)
		for (const listener of this.#failureListeners) listener(this.#failure)
	}

	#assertUsable(): void {
		if (this.#failure !== undefined) {
			throw new IsleError(this.#failure.code, `the writer has failed: ${this.#failure.message}`, {
				cause: this.#failure,
				details: this.#failure.details,
			})
		}
		if (this.#closing !== undefined) throw new IsleError('ISLE_CLOSED', 'the writer is closed')
	}

	async #close(): Promise<void> {
		try {
			if (this.#failure === undefined) await this.#freezeAndFlush()
			if (this.#failure !== undefined) throw this.#failure
		} finally {
			this.#becomeClean()
			this.#listeners.clear()
			this.#buffer.arenas.clear()
		}
	}
}
