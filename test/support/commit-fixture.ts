/**
 * A database whose commits a test writes by hand: real records, tables and blob packs on a scripted memory store, without
 * the writer. It keeps the model that a tail is judged by: every mutation in order, and the manifest after each commit.
 */
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { PackEncoder } from '../../src/blob/pack-encoder.ts'
import { type Encoding, transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { claimLog } from '../../src/log/claim.ts'
import type { FencedLog } from '../../src/log/fenced-log.ts'
import type { LogOwner } from '../../src/log/log-owner.ts'
import { encodeRecord, NOBODY, NONCE_BYTES } from '../../src/log/record.ts'
import { checkpointKey, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { type CommitTable, encodeCommitBody, type LoadedCommit } from '../../src/manifest/commit.ts'
import { DatabaseLogs, openWriterLog } from '../../src/manifest/database-logs.ts'
import { applyCommits } from '../../src/manifest/fold.ts'
import type { BlobPackRef, Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { ManifestReplay } from '../../src/manifest/manifest-replay.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import type { TableOptions } from '../../src/sst/table-options.ts'
import { RecentCommits } from '../../src/tail/recent-commits.ts'
import { createTails, type Tails } from '../../src/tail/tails.ts'
import { type ManualHost, manualHost } from './manual-clock.ts'
import { lostReply, ScriptedStore } from './scripted-store.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export interface Mutation {
	readonly key: string
	/** Undefined: a delete. */
	readonly value: string | undefined
	readonly expiresAtMs?: number
	/** The value goes into a blob pack. */
	readonly isLarge?: boolean
}

/** A mutation as the history holds it. */
export interface Recorded extends Mutation {
	readonly seq: number
	readonly committedAtMs: number
}

export interface CommitOptions extends Partial<Pick<TableOptions, 'codec' | 'blockBytes'>> {
	/** Tables that the commit is made of. Default 1. */
	readonly tables?: number
	readonly place?: 'inline' | 'object'
}

export const put = (key: string, value: string, expiresAtMs = 0): Mutation => ({ key, value, expiresAtMs })
export const del = (key: string): Mutation => ({ key, value: undefined })

export class CommitFixture {
	readonly store: ScriptedStore = new ScriptedStore()
	readonly host: ManualHost
	readonly log: FencedLog
	readonly history: Recorded[] = []
	readonly commits: LoadedCommit[] = []
	readonly #listeners = new Set<(loaded: LoadedCommit) => void>()
	manifest: Manifest
	#owner: LogOwner
	#minted = 0

	private constructor(host: ManualHost, store: ScriptedStore, owner: LogOwner, manifest: Manifest) {
		this.host = host
		this.store = store
		this.log = openWriterLog(store)
		this.#owner = owner
		this.manifest = manifest
	}

	static async create(seed = 1): Promise<CommitFixture> {
		const host = manualHost(seed)
		const store = new ScriptedStore()
		const { owner, manifest } = await claim(store, host)
		return new CommitFixture(host, store, owner, manifest)
	}

	/** Requests so far, then forgets them. */
	takeCalls(): string[] {
		return this.store.calls.splice(0)
	}

	/** From now on one in `count` reads of the store fails for a transient reason, by the seed of the fixture. */
	failOneIn(count: number): void {
		const fate = async <Value>(run: () => Promise<Value>): Promise<Value> => {
			if (this.host.random.next() * count < 1) throw lostReply()
			return await run()
		}
		this.store.onGet = (_key, run) => fate(run)
		this.store.onGetRange = (_key, run) => fate(run)
		this.store.onList = (_prefix, run) => fate(run)
	}

	/** What `promise` comes to, however many timers it takes. */
	async until<Value>(promise: Promise<Value>): Promise<Value> {
		let isSettled = false
		const settle = (): void => {
			isSettled = true
		}
		promise.then(settle, settle)
		for (let turn = 0; turn < 10_000; turn++) {
			await this.host.clock.advance(this.host.clock.nextTimerMs ?? 0)
			if (isSettled) return await promise
		}
		throw new Error('nothing came of it after 10,000 timers')
	}

	/** A new writer takes over. */
	async takeOver(): Promise<void> {
		const { owner, manifest } = await claim(this.store.inner, this.host)
		this.#owner = owner
		this.manifest = manifest
	}

	/** A claimer that lost its races puts a barrier `slots` ahead of the writer: 0 is the slot of its next commit. */
	async placeBarrier(slots: number): Promise<void> {
		const { epoch, slot } = this.#owner.nextPosition
		const position = { epoch, slot: slot + slots }
		const names = { owner: NOBODY, nonce: this.host.random.bytes(NONCE_BYTES) }
		const seal = encodeRecord({ kind: 'seal', position, ...names, body: new Uint8Array(0), sections: [] })
		await this.store.inner.createIfAbsent(this.log.key(position), seal.pieces)
	}

	/** Commits `mutations`; the clock gives the commit time. Past `onCommit` listeners it is durable and part of `manifest`. */
	async commit(mutations: readonly Mutation[], options: CommitOptions = {}): Promise<LoadedCommit> {
		const { inner } = this.store
		const committedAtMs = this.host.clock.nowMs()
		const firstSeq = this.manifest.lastSeq + 1
		const recorded = mutations.map((mutation, i) => ({ ...mutation, seq: firstSeq + i, committedAtMs }))
		const { refs, packs } = await this.#storeLarge(recorded)
		const built: { id: string; bytes: Uint8Array; meta: TableRef['meta'] }[] = []
		const perTable = Math.max(1, Math.ceil(recorded.length / (options.tables ?? 1)))
		for (let at = 0; at < recorded.length; at += perTable) {
			const id = `w${this.#owner.epoch}-${this.#minted++}`
			built.push({ id, ...buildTable(recorded.slice(at, at + perTable), refs, committedAtMs, options) })
		}
		const isInline = options.place !== 'object'
		const tables: CommitTable[] = built.map(({ id, meta }, section) => ({
			id,
			meta,
			place: isInline ? { kind: 'inline', section } : { kind: 'object', objectKey: `sst/${id}` },
		}))
		if (!isInline) for (const { id, bytes } of built) await inner.put(`sst/${id}`, bytes)
		const body = { firstSeq, lastSeq: firstSeq + recorded.length - 1, committedAtMs, tables, blobPacks: packs }
		const key = this.#owner.nextKey
		const append = this.#owner.append(encodeCommitBody(body), isInline ? built.map(({ bytes }) => bytes) : [])
		await append.committed
		const loaded: LoadedCommit = {
			commit: {
				...body,
				position: append.position,
				tables: built.map(({ id, meta }, i) => ({
					id,
					meta,
					objectKey: isInline ? key : `sst/${id}`,
					offset: isInline ? (append.sectionOffsets[i] ?? 0) : 0,
				})),
			},
			inlineTables: new Map(isInline ? built.map(({ id, bytes }) => [id, bytes]) : []),
		}
		this.manifest = applyCommits(this.manifest, [loaded.commit])
		this.history.push(...recorded)
		this.commits.push(loaded)
		for (const listener of this.#listeners) listener(loaded)
		return loaded
	}

	onCommit(listener: (loaded: LoadedCommit) => void): void {
		this.#listeners.add(listener)
	}

	/** Writes a checkpoint of all that is committed, and deletes the commits before `keepLast` of them. */
	async collect(keepLast: number): Promise<void> {
		const { inner } = this.store
		await inner.put(checkpointKey(this.manifest), encodeCheckpoint(this.manifest))
		for (const { commit } of this.commits.slice(0, this.commits.length - keepLast)) {
			await inner.delete(this.log.key(commit.position))
		}
	}

	/** Live rows after the mutation with number `seq`, in the order of their keys. */
	stateAt(seq: number, nowMs: number = this.host.clock.nowMs()): Recorded[] {
		const newest = new Map<string, Recorded>()
		for (const recorded of this.history) if (recorded.seq <= seq) newest.set(recorded.key, recorded)
		const isLive = ({ value, expiresAtMs = 0 }: Recorded): boolean =>
			value !== undefined && (expiresAtMs === 0 || expiresAtMs > nowMs)
		return [...newest.values()].filter(isLive).sort((a, b) => Buffer.compare(utf8(a.key), utf8(b.key)))
	}

	/** Tails as the writer's own process has them: commits are pushed. */
	writerTails(options: TailsOptions = {}): Tails<string, string> {
		const tails = this.#tails({ manifestOf: () => this.manifest }, options)
		this.onCommit(loaded => tails.push(loaded))
		return tails
	}

	/** Tails as a process that only reads has them. */
	async readerTails(options: TailsOptions = {}): Promise<{ tails: Tails<string, string>; follower: ManifestFollower }> {
		const recent = new RecentCommits(options.recentBytes)
		const follower = await ManifestFollower.open({
			store: this.store,
			host: this.host,
			onLoaded: loaded => recent.add(loaded),
		})
		return { tails: this.#tails({ follower, recent }, options), follower }
	}

	#tails(
		from: { manifestOf: () => Manifest } | { follower: ManifestFollower; recent: RecentCommits },
		options: TailsOptions,
	): Tails<string, string> {
		const { store, host } = this
		const pool = options.pool ?? createInlinePool(host)
		return createTails<string, string>({
			log: openWriterLog(store),
			source:
				'follower' in from
					? from.follower
					: {
							get manifest() {
								return from.manifestOf()
							},
						},
			recent: 'recent' in from ? from.recent : new RecentCommits(options.recentBytes),
			tables: new TableSource({ store, pool }),
			blobs: new BlobReader({ store }),
			pool,
			host,
			keys: transcoderOf(options.keyEncoding ?? 'utf8', 'keyEncoding'),
			values: transcoderOf(options.valueEncoding ?? 'utf8', 'valueEncoding'),
		})
	}

	async #storeLarge(
		recorded: readonly Recorded[],
	): Promise<{ refs: ReadonlyMap<number, Uint8Array>; packs: BlobPackRef[] }> {
		const refs = new Map<number, Uint8Array>()
		const large = recorded.filter(({ isLarge }) => isLarge)
		if (large.length === 0) return { refs, packs: [] }
		const id = `w${this.#owner.epoch}-${this.#minted++}`
		const encoder = new PackEncoder(id)
		const pieces = [encoder.header()]
		for (const { seq, value } of large) {
			const encoded = encoder.value(utf8(value ?? ''))
			refs.set(seq, encodeBlobRef(encoded.ref))
			pieces.push(...encoded.pieces)
		}
		const objectKey = `blobs/${id}`
		await this.store.inner.put(objectKey, pieces)
		return { refs, packs: [{ id, objectKey, bytes: encoder.bytes, valueCount: large.length }] }
	}
}

export interface TailsOptions {
	readonly recentBytes?: number | undefined
	readonly keyEncoding?: Encoding
	readonly valueEncoding?: Encoding
	/** Default: this thread. */
	readonly pool?: JobPool
}

async function claim(store: ObjectStore, host: ManualHost): Promise<{ owner: LogOwner; manifest: Manifest }> {
	const logs = new DatabaseLogs(store)
	const replay = new ManifestReplay(logs)
	const owner = await claimLog({ log: logs.writer, host, replay })
	return { owner, manifest: replay.manifestAt(owner.nextPosition) }
}

function buildTable(
	recorded: readonly Recorded[],
	refs: ReadonlyMap<number, Uint8Array>,
	committedAtMs: number,
	options: CommitOptions,
): { bytes: Uint8Array; meta: TableRef['meta'] } {
	const { codec = 'none', blockBytes = 256 } = options
	const builder = new TableBuilder({ codec, blockBytes, minWriteMs: committedAtMs, maxWriteMs: committedAtMs })
	const ordered = recorded.map(entry => ({ ...entry, keyBytes: utf8(entry.key) }))
	ordered.sort((a, b) => Buffer.compare(a.keyBytes, b.keyBytes) || b.seq - a.seq)
	for (const { keyBytes, seq, value, expiresAtMs = 0 } of ordered) {
		const ref = refs.get(seq)
		const kind = value === undefined ? KIND_TOMBSTONE : ref === undefined ? KIND_VALUE : KIND_BLOB
		const bytes = ref ?? utf8(value ?? '')
		builder.add(keyBytes, 0, keyBytes.length, seq, kind, expiresAtMs, bytes, 0, bytes.length)
	}
	return builder.finish()
}
