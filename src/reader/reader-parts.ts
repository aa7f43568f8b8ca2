/** Opens what a reader is made of: store, follower, caches. The layers above add to it (a tail) by sharing these. */
import type { Encoding } from '../bytes/encoding.ts'
import { DiskBlobs } from '../cache/disk-blobs.ts'
import { type DiskCache, openDiskCache } from '../cache/disk-cache.ts'
import { DiskIdentity } from '../cache/disk-identity.ts'
import { DiskTables } from '../cache/disk-tables.ts'
import { TableSource } from '../cache/table-source.ts'
import { type Host, systemHost } from '../host/host.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import { ManifestFollower } from '../manifest/manifest-follower.ts'
import { type CountingStore, countingStore } from '../object-store/counting-store.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import { openStore } from '../object-store/open-store.ts'
import { retryingStore } from '../object-store/retrying-store.ts'
import { borrowedPool } from '../runtime/borrowed-pool.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { acquireWorkerPool } from '../runtime/worker-pool.ts'
import { BlobReader } from './blob-reader.ts'
import { GoneTables } from './gone-tables.ts'
import { type ReaderOptions, type ReaderSettings, readerSettings } from './options.ts'
import { TableWarmer } from './table-warmer.ts'

/** What a reader is made of. */
export interface ReaderParts {
	/** With retries for what is idempotent. Closed by the reader. */
	readonly store: ObjectStore
	/** What `store` was asked. */
	readonly counts: CountingStore
	readonly host: Host
	/** Given back by the reader. */
	readonly pool: JobPool
	/** Closed by the reader, before the pool. */
	readonly disk: DiskCache | undefined
	readonly follower: ManifestFollower
	readonly source: TableSource
	readonly gone: GoneTables
	/** Closed by the reader, before the disk. */
	readonly warmer: TableWarmer | undefined
	readonly blobs: BlobReader
	readonly settings: ReaderSettings
}

export interface OpenReaderComponents {
	/** Clock and randomness. Default: those of the system. */
	readonly host?: Host | undefined
	/** Where large blocks are decoded. Default: the worker threads of the process. Whoever opened it closes it. */
	readonly pool?: JobPool | undefined
	/** Sees each commit as it is read. @internal */
	readonly onLoaded?: ((loaded: LoadedCommit) => void) | undefined
}

export interface OpenReaderOptions<KeyEncoding extends Encoding = 'utf8', ValueEncoding extends Encoding = 'utf8'>
	extends ReaderOptions<KeyEncoding, ValueEncoding>,
		OpenReaderComponents {
	/** Where in the store the database lies. */
	readonly prefix?: string | undefined
	/** Ends opening. */
	readonly signal?: AbortSignal | undefined
}

/** Opens the parts, following the log from the newest checkpoint. Where no database is yet, its view is empty. */
export async function openReaderParts(
	location: string | URL | ObjectStore,
	options: OpenReaderOptions<Encoding, Encoding> = {},
): Promise<ReaderParts> {
	const settings = readerSettings(options)
	const { host = systemHost, signal } = options
	signal?.throwIfAborted()
	const counts = countingStore(await openStore(location, { prefix: options.prefix, host }))
	const store = retryingStore(counts, { host })
	let pool: JobPool | undefined
	let disk: DiskCache | undefined
	try {
		pool = options.pool === undefined ? acquireWorkerPool(host) : borrowedPool(options.pool)
		const { blockCacheBytes, tableCacheBytes, gracePeriodMs } = settings
		disk = await openDisk(settings, pool, host)
		const cached = disk === undefined ? undefined : cachedOn(disk, store, host)
		const source = new TableSource({
			store,
			pool,
			blockCacheBytes,
			tableCacheBytes,
			disk: cached?.tables,
			tracer: counts.tracer,
		})
		const warmer = warmerOf(source, cached?.tables, settings)
		const gone = new GoneTables(source, warmer)
		const onLoaded = (loaded: LoadedCommit): void => {
			gone.offer(loaded)
			options.onLoaded?.(loaded)
		}
		const following = ManifestFollower.open({ store, host, gracePeriodMs, onLoaded }, { signal })
		const [follower] = await Promise.all([following, cached?.identity.identify({ signal })])
		const blobs = new BlobReader({ store, disk: cached?.blobs })
		return { store, counts, host, pool, disk, follower, source, gone, warmer, blobs, settings }
	} catch (error) {
		await disk?.close()
		await pool?.close()
		await store.close()
		throw error
	}
}

/** Undefined where it is not wanted. */
export function warmerOf(
	source: TableSource,
	disk: DiskTables | undefined,
	{ cacheNewTables, cacheDir, cacheDirMaxBytes, blockCacheBytes }: ReaderSettings,
): TableWarmer | undefined {
	if (!cacheNewTables) return undefined
	return new TableWarmer({ source, disk, cacheMaxBytes: cacheDir === undefined ? blockCacheBytes : cacheDirMaxBytes })
}

/** What a cache on disk is asked for one database. */
export interface CachedOnDisk {
	readonly identity: DiskIdentity
	readonly tables: DiskTables
	readonly blobs: DiskBlobs
}

/** `store` is the one of the database, its prefix taken off. Whoever opened `disk` closes it. */
export function cachedOn(disk: DiskCache, store: ObjectStore, { clock }: Host): CachedOnDisk {
	const identity = new DiskIdentity(store, clock)
	return { identity, tables: new DiskTables(disk, identity), blobs: new DiskBlobs(disk, identity) }
}

/** The cache of `cacheDir`, if there is one. @throws ISLE_FOREIGN_PREFIX when it holds something else. */
export async function openDisk(
	settings: Pick<ReaderSettings, 'cacheDir' | 'cacheDirMaxBytes'>,
	pool: JobPool,
	host: Host,
): Promise<DiskCache | undefined> {
	const { cacheDir, cacheDirMaxBytes } = settings
	if (cacheDir === undefined) return undefined
	return await openDiskCache({ directory: cacheDir, maxBytes: cacheDirMaxBytes, pool, host })
}
