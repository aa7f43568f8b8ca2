/**
 * Turns frozen memtables into commits, in order.
 *
 * Steps, for each memtable: encode it (in the pool; a tiny one here), upload its blob packs, upload the table unless it
 * rides in the record; append the record; publish. The first steps run for several memtables at once, a bounded number;
 * records are appended in the order of sequence numbers, several in flight, and published in that order too.
 * The first failure fails all that follow: what is not committed stays in memory and nothing is skipped.
 */
import { type EncodeTableOutput, encodeTableJob } from '../../workers/encode-table.ts'
import type { Ending } from '../host/ending.ts'
import type { Host } from '../host/host.ts'
import type { LogOwner } from '../log/log-owner.ts'
import type { LogPosition } from '../log/log-position.ts'
import { type CommitBody, encodeCommitBody, type LoadedCommit } from '../manifest/commit.ts'
import type { BlobPackRef, TableRef } from '../manifest/manifest.ts'
import type { ArenaPool } from '../memtable/arena-pool.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { RepeatedRequestOptions } from '../object-store/retrying-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { SstMeta } from '../sst/sst-meta.ts'
import { IdleMemory } from './idle-memory.ts'
import type { WriterSettings } from './options.ts'
import { TableMemory } from './table-memory.ts'

/**
 * Up to here a table is encoded on the calling thread: 0.4 ms of work for 512 small entries, 0.55 for 1,024, which is what
 * making and sending the job takes of this thread too; and a durable write is not kept waiting for a busy worker.
 */
const INLINE_ENCODE_MAX_ENTRIES = 1024
const INLINE_ENCODE_MAX_BYTES = 131_072
/** What a table may take beyond the entries of its memtable, whose headers are longer than its columns: 64 KiB, its frame. */
const TABLE_SLACK_BYTES = 65_536
/** Memtables may be encoded and uploaded this many times `maxCommitsInFlight` ahead of the append: more would only queue. */
const PREPARED_AHEAD = 2

export interface CommitterComponents {
	readonly owner: LogOwner
	/** Of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	/** Where the buffers of finished jobs go back to. */
	readonly arenas: ArenaPool
	readonly host: Host
	/** As of `WriterComponents`. */
	wantsTables?(): boolean
	/** Over when the writer has failed: uploads end, and what waits does not begin. */
	readonly failing: Ending
}

/** A memtable that takes no more writes, with what must be on the store before its commit. */
export interface FrozenMemtable {
	readonly memtable: Memtable
	/** When its first entry was put and when it was frozen, by the writer's clock. */
	readonly firstWriteMs: number
	readonly frozenMs: number
	/** Uploads its large values; a commit refers only to packs that are there. */
	uploadPacks(): Promise<readonly BlobPackRef[]>
}

/** All that a record refers to. */
interface Prepared {
	readonly table: StoredTable
	readonly blobPacks: readonly BlobPackRef[]
}

interface StoredTable {
	readonly id: string
	readonly meta: SstMeta
	/** Undefined when the table is on the store and its memory is used for another. */
	readonly bytes: Uint8Array | undefined
	/** Undefined when it rides in the record. */
	readonly objectKey: string | undefined
}

export class Committer {
	readonly #components: CommitterComponents
	readonly #settings: WriterSettings
	readonly #publish: (loaded: LoadedCommit) => LogPosition
	readonly #memory = new TableMemory()
	readonly #idle: IdleMemory
	#tablesMinted = 0
	#lastCommitMs: number
	#issued: Promise<unknown> = Promise.resolve()
	#published: Promise<unknown> = Promise.resolve()
	/** The latest commits, oldest first: at most as many as may be in flight. */
	readonly #inFlight: Promise<unknown>[] = []
	/** The latest appends to be issued, oldest first: at most as many as may be prepared. */
	readonly #ahead: Promise<unknown>[] = []
	/** Ends with everything that was begun. */
	#work: Promise<void> = Promise.resolve()

	/**
	 * `publish` is called once for each commit, in order, as soon as it is durable and acknowledged; it answers the position
	 * behind the commit.
	 */
	constructor(
		components: CommitterComponents,
		settings: WriterSettings,
		lastCommitMs: number,
		publish: (loaded: LoadedCommit) => LogPosition,
	) {
		this.#components = components
		this.#idle = new IdleMemory(components.host.clock, [components.arenas, this.#memory])
		this.#settings = settings
		this.#lastCommitMs = lastCommitMs
		this.#publish = publish
	}

	/**
	 * Resolves when the commit is durable and published, with the position behind it. Call in the order of sequence numbers.
	 */
	commit(frozen: FrozenMemtable): Promise<LogPosition> {
		// Minted and committed in one order: an id that is missing below a committed one will never be referenced.
		const id = `w${this.#components.owner.epoch}-${this.#tablesMinted++}`
		const isFull = this.#ahead.length >= PREPARED_AHEAD * this.#settings.maxCommitsInFlight
		const prepared = this.#prepare(frozen, id, isFull ? this.#ahead.shift() : undefined)
		const issued = this.#issued.then(() => this.#append(frozen, prepared))
		this.#issued = issued
		this.#ahead.push(issued.catch(() => undefined))
		const published = this.#published
			.then(() => issued)
			.then(async ({ committed, loaded }) => {
				await committed
				const position = this.#publish(loaded)
				this.#idle.watch()
				return position
			})
		this.#published = published
		// A failure is told by `published`; until somebody looks, none of these may count as unhandled.
		this.#work = Promise.allSettled([this.#work, prepared, published]).then(() => undefined)
		return published
	}

	/** Memory that is kept for the next memtables and tables. */
	get idleBytes(): number {
		return this.#idle.bytes
	}

	/** Resolves when nothing that was begun runs any more, whatever became of it. */
	async settled(): Promise<void> {
		await this.#work
		this.#idle.stop()
		this.#memory.clear()
		await this.#components.owner.settled()
	}

	async #prepare(frozen: FrozenMemtable, id: string, turn: Promise<unknown> | undefined): Promise<Prepared> {
		if (turn !== undefined) {
			await turn
			this.#components.failing.throwIfOver()
		}
		const table = this.#storeTable(frozen, id)
		const blobPacks = frozen.uploadPacks()
		const [stored, packs] = await Promise.allSettled([table, blobPacks])
		if (stored.status === 'rejected') throw stored.reason
		if (packs.status === 'rejected') throw packs.reason
		return { table: stored.value, blobPacks: packs.value }
	}

	/** Encodes the table, and uploads it unless it rides in the record. */
	async #storeTable(frozen: FrozenMemtable, id: string): Promise<StoredTable> {
		const { bytes, meta } = await this.#encode(frozen)
		const shared = bytes.buffer instanceof SharedArrayBuffer ? bytes.buffer : undefined
		if (bytes.length <= this.#settings.inlineMaxBytes) {
			if (shared === undefined) return { id, meta, bytes, objectKey: undefined }
			const own = new Uint8Array(bytes)
			this.#memory.give(shared)
			return { id, meta, bytes: own, objectKey: undefined }
		}
		const objectKey = `sst/${id}`
		const { failing, store } = this.#components
		let isLetGo = true
		const options: RepeatedRequestOptions = {
			signal: failing.signal,
			onRepeat: () => {
				isLetGo = false
			},
		}
		await store.put(objectKey, bytes, options)
		if (shared !== undefined && isLetGo) this.#memory.give(shared)
		return { id, meta, bytes: shared === undefined ? bytes : undefined, objectKey }
	}

	async #encode({ memtable, firstWriteMs, frozenMs }: FrozenMemtable): Promise<EncodeTableOutput> {
		const { arenas, pool } = this.#components
		const table = { codec: this.#settings.codec, minWriteMs: firstWriteMs, maxWriteMs: frozenMs }
		const isTiny = memtable.entryCount <= INLINE_ENCODE_MAX_ENTRIES && memtable.entryBytes <= INLINE_ENCODE_MAX_BYTES
		if (isTiny) return encodeTableJob(memtable.encodeInput(table)).output
		const output = await pool.run('encode-table', () => {
			const { input, transfer } = memtable.makeEncodeJob(table)
			return { input: { ...input, target: this.#targetFor(memtable) }, transfer }
		})
		for (const buffer of output.buffers) arenas.give(buffer)
		memtable.endEncoding()
		return output
	}

	/** Memory for the table of `memtable`, for one attempt; undefined: its own. */
	#targetFor(memtable: Memtable): SharedArrayBuffer | undefined {
		const components = this.#components
		if (components.store.takesSharedBodies !== true || components.wantsTables?.() === true) return undefined
		return this.#memory.take(memtable.entryBytes + TABLE_SLACK_BYTES)
	}

	async #append(
		frozen: FrozenMemtable,
		prepared: Promise<Prepared>,
	): Promise<{ committed: Promise<void>; loaded: LoadedCommit }> {
		const { table, blobPacks } = await prepared
		// Commits end in order: when the one that began that many before has ended, one more may begin.
		if (this.#inFlight.length >= this.#settings.maxCommitsInFlight) await this.#inFlight.shift()
		const { owner, host } = this.#components
		// A table without bytes here is on the store.
		const inMemory = table.bytes === undefined ? [] : [table.bytes]
		this.#lastCommitMs = Math.max(this.#lastCommitMs, host.clock.nowMs())
		const body: CommitBody = {
			firstSeq: frozen.memtable.baseSeq,
			lastSeq: frozen.memtable.lastSeq,
			committedAtMs: this.#lastCommitMs,
			tables: [
				{
					id: table.id,
					meta: table.meta,
					place:
						table.objectKey === undefined
							? { kind: 'inline', section: 0 }
							: { kind: 'object', objectKey: table.objectKey },
				},
			],
			blobPacks,
		}
		const objectKey = table.objectKey ?? owner.nextKey
		const append = owner.append(encodeCommitBody(body), table.objectKey === undefined ? inMemory : [])
		this.#inFlight.push(append.committed.catch(() => undefined))
		const ref: TableRef = { id: table.id, objectKey, offset: append.sectionOffsets[0] ?? 0, meta: table.meta }
		const loaded: LoadedCommit = {
			commit: { ...body, position: append.position, tables: [ref] },
			inlineTables: new Map(inMemory.map(bytes => [table.id, bytes])),
		}
		return { committed: append.committed, loaded }
	}
}
