/**
 * A database in a memory store, written by hand and maintained by hand: a writer that commits tables, packs and takeovers, a
 * plain map that says what a reader must find, and the parts of a maintainer with small settings.
 */
import { decodeBlobRef, encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { decodeBlob } from '../../src/blob/frame-decoder.ts'
import { PackEncoder } from '../../src/blob/pack-encoder.ts'
import { blobRange } from '../../src/blob/pack-format.ts'
import type { RetryBudget } from '../../src/host/backoff.ts'
import { claimLog } from '../../src/log/claim.ts'
import type { LogOwner } from '../../src/log/log-owner.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import { CheckpointKeeper } from '../../src/maintenance/checkpoint-keeper.ts'
import type { MergeChoice } from '../../src/maintenance/choice.ts'
import { type CollectOptions, Collector } from '../../src/maintenance/collector.ts'
import { type ExecuteOptions, Executor } from '../../src/maintenance/executor.ts'
import type { MergeMemory } from '../../src/maintenance/merge-memory.ts'
import type { MaintenanceSettings } from '../../src/maintenance/options.ts'
import { Uploads } from '../../src/maintenance/uploads.ts'
import { encodeCommitBody } from '../../src/manifest/commit.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import type { BlobPackRef, Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { loadManifest, ManifestReplay } from '../../src/manifest/manifest-replay.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { build, type ModelEntry, readAll, sorted, utf8 } from '../sst/table-model.ts'
import { type ManualHost, manualHost } from '../support/manual-clock.ts'

export interface Mutation {
	readonly key: string
	/** `undefined`: deleted. */
	readonly value: string | undefined
	readonly expiresAtMs?: number | undefined
	/** The value goes into a blob pack. */
	readonly isBlob?: boolean | undefined
}

export interface RigSettings {
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	readonly targetBytes: number
	readonly memoryBytes: number
	readonly codec: CodecName
}

const SETTINGS: RigSettings = {
	gracePeriodMs: 0,
	changeRetentionMs: 0,
	targetBytes: 1024,
	memoryBytes: 64 * 1024,
	codec: 'none',
}
const NO_RETRY: RetryBudget = { maxAttempts: 1, budgetMs: 0, basePauseMs: 1, maxPauseMs: 1 }

/** One maintainer: the owner of an epoch and what works for it. */
export interface Crew {
	readonly owner: MaintenanceOwner
	readonly uploads: Uploads
	readonly executor: Executor
	readonly collector: Collector
	readonly keeper: CheckpointKeeper
	readonly memory: MergeMemory
}

export class Rig {
	readonly host: ManualHost = manualHost(7)
	readonly store: MemoryStore = new MemoryStore({ host: this.host })
	/** What a reader must find: values by key, as of the last commit. */
	readonly model: Map<string, { readonly value: string; readonly expiresAtMs: number }> = new Map()
	readonly settings: RigSettings
	#writer: LogOwner | undefined
	#lastSeq = 0

	constructor(settings: Partial<RigSettings> = {}) {
		this.settings = { ...SETTINGS, ...settings }
	}

	/** A writer takes the log over: the epoch before ends. */
	async takeOver(): Promise<void> {
		const logs = new DatabaseLogs(this.store)
		const replay = new ManifestReplay(logs)
		this.#writer = await claimLog({ log: logs.writer, host: this.host, replay })
		this.#lastSeq = replay.manifestAt(this.#writer.nextPosition).lastSeq
	}

	get writerEpoch(): number {
		return this.#writer?.epoch ?? 0
	}

	/** One commit of one table, inline or in an object of its own. */
	async commit(mutations: readonly Mutation[], place: 'inline' | 'object' = 'inline'): Promise<LogPosition> {
		if (this.#writer === undefined) await this.takeOver()
		const writer = this.#writer as LogOwner
		const { epoch, slot } = writer.nextPosition
		const id = `w${epoch}-${slot}`
		const pack = new PackEncoder(id)
		const pieces = [pack.header()]
		let values = 0
		const firstSeq = this.#lastSeq + 1
		const entries = mutations.map(({ key, value, expiresAtMs = 0, isBlob = false }): ModelEntry => {
			const seq = ++this.#lastSeq
			if (value === undefined) this.model.delete(key)
			else this.model.set(key, { value, expiresAtMs })
			const common = { key: utf8(key), seq, expiresAtMs }
			if (value === undefined) return { ...common, kind: KIND_TOMBSTONE, value: new Uint8Array(0) }
			if (!isBlob) return { ...common, kind: KIND_VALUE, value: utf8(value) }
			const encoded = pack.value(utf8(value))
			pieces.push(...encoded.pieces)
			values++
			return { ...common, kind: KIND_BLOB, value: encodeBlobRef(encoded.ref) }
		})
		const nowMs = this.host.clock.nowMs()
		const { codec } = this.settings
		const { bytes, meta } = build(sorted(entries), { codec, blockBytes: 128, minWriteMs: nowMs, maxWriteMs: nowMs })
		const blobPacks: BlobPackRef[] = []
		if (values > 0) {
			await this.store.put(`blobs/${id}`, pieces)
			blobPacks.push({ id, objectKey: `blobs/${id}`, bytes: pack.bytes, valueCount: values })
		}
		if (place === 'object') await this.store.put(`sst/${id}`, bytes)
		const body = encodeCommitBody({
			firstSeq,
			lastSeq: this.#lastSeq,
			committedAtMs: nowMs,
			tables: [
				{
					id,
					meta,
					place: place === 'inline' ? { kind: 'inline', section: 0 } : { kind: 'object', objectKey: `sst/${id}` },
				},
			],
			blobPacks,
		})
		const append = writer.append(body, place === 'inline' ? [bytes] : [])
		await append.committed
		return append.position
	}

	/** `count` commits, of which every `every`th brings a row and the others nothing. */
	async commitMany(count: number, every: number): Promise<void> {
		if (this.#writer === undefined) await this.takeOver()
		const writer = this.#writer as LogOwner
		for (let i = 0; i < count; i++) {
			if (i % every === 0) {
				await this.commit([{ key: `row-${i}`, value: `${i}` }])
				continue
			}
			const lastSeq = this.#lastSeq
			const committedAtMs = this.host.clock.nowMs()
			const body = { firstSeq: lastSeq + 1, lastSeq, committedAtMs, tables: [], blobPacks: [] }
			await writer.append(encodeCommitBody(body), []).committed
		}
	}

	/** A maintainer takes over; its store may be one that fails. */
	async hire(store: ObjectStore = this.store): Promise<Crew> {
		const { host } = this
		const note = { policies: ['merge'], writerEpoch: 0 }
		const owner = await MaintenanceOwner.claim({ store, host, note, retryBudget: NO_RETRY })
		const uploads = new Uploads(store, owner)
		const { gracePeriodMs, changeRetentionMs, targetBytes, memoryBytes, codec } = this.settings
		const output = { codec, blockBytes: 128, targetBytes }
		const pool = createInlinePool(host)
		const executor = new Executor({ store, pool, state: owner, uploads, mergeMemoryBytes: memoryBytes, output })
		const collector = new Collector({ store, host, state: owner, uploads, gracePeriodMs, changeRetentionMs })
		const settings: MaintenanceSettings = {
			compaction: undefined,
			retention: undefined,
			gracePeriodMs,
			changeRetentionMs,
		}
		const keeper = new CheckpointKeeper({ state: owner, host, settings })
		return { owner, uploads, executor, collector, keeper, memory: executor.memory }
	}

	/** The state as any reader opens it. */
	manifest(): Promise<Manifest> {
		return loadManifest(new DatabaseLogs(this.store))
	}

	/** Every row that a reader finds now, read from the bytes on the store. */
	async rows(): Promise<Map<string, string>> {
		return await rowsOf(this.store, await this.manifest(), this.host.clock.nowMs())
	}

	/** What it must find. */
	expected(): Map<string, string> {
		const nowMs = this.host.clock.nowMs()
		const live = [...this.model].filter(([, { expiresAtMs }]) => expiresAtMs === 0 || expiresAtMs > nowMs)
		return new Map(live.map(([key, { value }]): [string, string] => [key, value]).sort(byKey))
	}

	async keys(prefix = ''): Promise<string[]> {
		return (await this.store.list({ prefix })).objects.map(object => object.key)
	}
}

export async function rowsOf(store: ObjectStore, manifest: Manifest, nowMs: number): Promise<Map<string, string>> {
	const tables = [...manifest.l0, ...manifest.runs.flatMap(run => run.tables)]
	const newest = new Map<string, ModelEntry>()
	for (const { objectKey, offset, meta } of tables) {
		const bytes = await store.getRange(objectKey, { offset, bytes: meta.storedBytes })
		if (bytes === undefined) throw new Error(`\`${objectKey}\` is missing`)
		for (const entry of readAll({ bytes: new Uint8Array(bytes), meta })) {
			const key = new TextDecoder().decode(entry.key)
			if ((newest.get(key)?.seq ?? -1) < entry.seq) newest.set(key, entry)
		}
	}
	const packs = new Map(manifest.blobPacks.map(pack => [pack.id, pack]))
	const rows: [string, string][] = []
	for (const [key, { kind, value, expiresAtMs }] of newest) {
		if (kind === KIND_TOMBSTONE || (expiresAtMs !== 0 && expiresAtMs <= nowMs)) continue
		if (kind === KIND_VALUE) {
			rows.push([key, new TextDecoder().decode(value)])
			continue
		}
		const ref = decodeBlobRef(value, key)
		const objectKey = packs.get(ref.packId)?.objectKey ?? `blob pack ${ref.packId} of no one`
		const { offset, bytes } = blobRange(ref)
		const stored = bytes === 0 ? new Uint8Array(0) : await store.getRange(objectKey, { offset, bytes })
		if (stored === undefined) throw new Error(`\`${objectKey}\` is missing`)
		rows.push([key, new TextDecoder().decode(decodeBlob(ref, stored, objectKey))])
	}
	return new Map(rows.sort(byKey))
}

const byKey = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1)

/** A merge of `inputs`, as a policy would choose it. */
export function mergeOf(inputs: readonly TableRef[], more: Partial<MergeChoice> = {}): MergeChoice {
	const bytes = inputs.reduce((sum, table) => sum + table.meta.storedBytes, 0)
	const none = { runId: undefined, resume: undefined, isBottom: true, why: 'the test says so' }
	return { kind: 'merge', trigger: 'l0', inputs, bytes, ...none, ...more }
}

/** All of L0 and all runs. */
export function everything({ owner }: Pick<Crew, 'owner'>): MergeChoice {
	const { l0, runs } = owner.manifest
	return mergeOf([...l0.toReversed(), ...runs.flatMap(run => run.tables)])
}

export function executing(more: Partial<ExecuteOptions> = {}): ExecuteOptions {
	return { signal: new AbortController().signal, expireBeforeMs: 0, ...more }
}

/** Checkpoints and collects until nothing is left to do. */
export async function settleStore({ owner, keeper, collector }: Crew, options: CollectOptions = {}): Promise<void> {
	await owner.follow()
	for (let round = 0; round < 20; round++) {
		const before = owner.manifest.maintenancePosition.slot
		await owner.checkpoint()
		let more = true
		while (more) more = (await collector.collect(options)).hasMore
		await keeper.keep(false)
		if (owner.manifest.maintenancePosition.slot === before + 1) return
	}
	throw new Error('maintenance does not come to rest')
}
