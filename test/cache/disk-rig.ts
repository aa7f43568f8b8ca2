/** A database in memory, and reads of it through a disk cache that can be damaged and opened again. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type DiskCache, openDiskCache } from '../../src/cache/disk-cache.ts'
import { DiskIdentity } from '../../src/cache/disk-identity.ts'
import { DiskTables } from '../../src/cache/disk-tables.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { type Host, systemHost } from '../../src/host/host.ts'
import { encodeRecord } from '../../src/log/record.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { type CountingStore, countingStore } from '../../src/object-store/counting-store.ts'
import type { FileCalls } from '../../src/object-store/file-calls.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { type CoreReads, collect, manifestOf, put, readsOf, storeTable, tableOf } from '../reader/fixture.ts'

export const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`

export interface CachedDatabase {
	readonly store: CountingStore
	readonly manifest: Manifest
	readonly keys: number
	valueOf(i: number): string
}

/** The first record of a log, which says which database it is. */
async function putSeal(store: ObjectStore, nonce: number): Promise<void> {
	const { pieces } = encodeRecord({
		kind: 'seal',
		position: { epoch: 0, slot: 0 },
		owner: new Uint8Array(16).fill(7),
		nonce: new Uint8Array(8).fill(nonce),
		body: new Uint8Array(0),
		sections: [],
	})
	await store.put(`log/${'0'.repeat(16)}/${'0'.repeat(16)}`, pieces)
}

/** `tables` L0 tables over all of the keys; table t holds the keys i with i % tables = t. `salt` changes values, not sizes. */
export async function makeDatabase(keys = 3000, tables = 2, salt = 'a', nonce = 1): Promise<CachedDatabase> {
	const store = countingStore(new MemoryStore())
	await putSeal(store, nonce)
	const valueAt = (i: number): string => `${salt}${String(Math.imul(i, 0x9e3779b1) >>> 0).padStart(10, '0')}`.repeat(5)
	const perTable = Math.floor(keys / tables)
	const l0 = []
	for (let t = 0; t < tables; t++) {
		const versions = Array.from({ length: perTable }, (_, n) => {
			const i = n * tables + t
			return put(keyOf(i), t * perTable + n + 1, valueAt(i))
		})
		l0.push(await storeTable(store, tableOf(`w1-${t}`, versions, { codec: 'none', blockBytes: 2048 })))
	}
	return { store, manifest: manifestOf({ l0 }), keys: perTable * tables, valueOf: valueAt }
}

export interface CachedReads extends AsyncDisposable {
	readonly reads: CoreReads<string, string>
	readonly disk: DiskCache
}

export interface CachedReadsOptions {
	readonly maxBytes?: number
	readonly host?: Host
	readonly calls?: FileCalls
	readonly pool?: JobPool
	/** Memory for blocks and for tables. Default 0: everything comes from disk or store. */
	readonly memoryBytes?: number
}

/** Reads that keep nothing in memory, so that each goes to the disk first. */
export async function openReads(
	database: CachedDatabase,
	directory: string,
	options: CachedReadsOptions = {},
): Promise<CachedReads> {
	const { host = systemHost, memoryBytes = 0 } = options
	const pool = options.pool ?? createInlinePool(systemHost)
	const disk = await openDiskCache({ directory, maxBytes: options.maxBytes, pool, host, calls: options.calls })
	const identity = new DiskIdentity(database.store, host.clock)
	await identity.identify()
	const tables = new DiskTables(disk, identity)
	const caches = { blockCacheBytes: memoryBytes, tableCacheBytes: memoryBytes }
	const source = new TableSource({ store: database.store, pool, disk: tables, ...caches })
	const reads = readsOf<string, string>(database.store, viewOf(database.manifest), { source })
	return { reads, disk, [Symbol.asyncDispose]: () => disk.close() }
}

/** Reads every row, until all that was fetched is in the cache. */
export async function fillCache(database: CachedDatabase, directory: string): Promise<void> {
	await using cached = await openReads(database, directory)
	const rows = await collect(cached.reads.entries())
	if (rows.length !== database.keys) throw new Error(`${rows.length} rows instead of ${database.keys}`)
	await cached.disk.idle()
}

/** Every file beneath `directory`, if it is there, with what it takes on disk. Those that others delete meanwhile are not among them. */
export function filesBeneath(directory: string): { readonly path: string; readonly diskBytes: number }[] {
	if (!existsSync(directory)) return []
	return readdirSync(directory, { withFileTypes: true, recursive: true })
		.filter(entry => entry.isFile())
		.map(entry => join(entry.parentPath, entry.name))
		.flatMap(path => {
			const bytes = statSync(path, { throwIfNoEntry: false })?.size
			return bytes === undefined ? [] : [{ path, diskBytes: Math.ceil(bytes / 4096) * 4096 }]
		})
}

/** The files of the cache themselves. */
export function cacheFiles(directory: string): string[] {
	return filesBeneath(directory)
		.map(({ path }) => path)
		.filter(path => /[0-9a-f]{32}-\d+$/.test(path))
		.sort()
}

/** Requests that `work` makes. */
export async function requestsOf(store: CountingStore, work: () => Promise<unknown>): Promise<number> {
	const before = store.snapshot().total.requests
	await work()
	return store.snapshot().total.requests - before
}

/** A bound that is far less than all of `churnDatabase`. */
export const CHURN_MAX_BYTES = 1_048_576

/** About 3 MB, the same in each process. */
export function churnDatabase(): Promise<CachedDatabase> {
	return makeDatabase(40_000, 2)
}
