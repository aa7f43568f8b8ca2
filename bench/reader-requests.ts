/**
 * What single reads of a process that only reads ask of its store: milliseconds beside one bare GET, requests, how many of them
 * one after another, bytes and money; with nothing in memory, with tables open, with blocks in memory, and with a
 * cache on disk.
 *
 * Steps: load the records in so many commits, by a writer that maintains nothing; merge them, or do not; then each part with a
 * reader of its own kind, one read at a time.
 */
import { join } from 'node:path'
import { seededRandom } from '../src/host/random.ts'
import { type DatabaseReader, type ObjectStore, type OpenReaderOptions, openReader, openStore } from '../src/index.ts'
import { DepthStore } from './depth-store.ts'
import { loadStore } from './discover.ts'
import { buildLayout, type Layout } from './layout.ts'
import { measurePart, type PartGround, putFigures } from './read-parts.ts'
import type { Figures, Task } from './scenario.ts'
import { percentile } from './statistics.ts'
import { Workload } from './workload.ts'

const SHORT = 10
const LONG = 10_000
const MANY = 100
const LARGE_CACHE_BYTES = 2_147_483_648
const OPENINGS = 3
const BARE_GETS = 50
const BARE_GET_BYTES = 4096
/** Of one part. Over a network they take as long as a round trip; the median of so many is steady. */
const READS = { near: 400, far: 60 } as const
const COLD_READS = 20

interface Ground extends PartGround {
	readonly keys: readonly string[]
	readonly reads: number
	readonly next: () => number
	readonly codec: 'none' | 'lz4'
	/** Total of stored bytes. */
	readonly storedBytes: number
	readonly cacheDir: string
	readonly missing: (i: number) => string
}

/** Figures under `<part>/<figure>`. */
export async function measureRequests(task: Task, layout: Layout): Promise<Figures> {
	const { plan, directory, progress } = task
	const codec = plan.codecs.includes('lz4') ? 'lz4' : 'none'
	const workload = new Workload(plan.seed, plan.valueBytes, 1)
	const url = (await loadStore(plan.store)).url(directory)
	await buildLayout(url, workload, codec, plan.records, layout, done => progress(done * 0.4))
	const inner = await openStore(url, { prefix: 'db' })
	const store = new DepthStore(inner)
	const keys = Array.from({ length: plan.records }, (_, i) => workload.keyText(i)).sort()
	const random = seededRandom(plan.seed)
	const figures: Record<string, number> = { ...(await bareGets(inner)) }
	await using looking = await openReader(store, { refreshIntervalMs: 0 })
	const { tables, l0Tables, sortedRuns, storedBytes } = looking.stats()
	Object.assign(figures, { tables, sources: l0Tables + sortedRuns, storedBytes })
	const ground: Ground = {
		store,
		keys,
		reads: Math.min(plan.rttMs > 0 ? READS.far : READS.near, Math.ceil(plan.records / 20)),
		next: () => random.next(),
		codec,
		figures,
		storedBytes,
		cacheDir: join(directory, 'cache'),
		missing: i => workload.keyText(plan.records + i),
	}
	await measureOpening(ground)
	await measureGets(ground)
	progress(0.6)
	await measureMany(ground)
	await measureScans(ground)
	progress(0.8)
	await measureCaches(ground)
	await inner.close()
	return figures
}

async function bareGets(store: ObjectStore): Promise<{ readonly bareMs: number }> {
	const { objects } = await store.list({ prefix: 'sst/', limit: 1 })
	const [object] = objects
	if (object === undefined) throw new Error('there is no table to get a part of')
	const samples: number[] = []
	for (let i = 0; i < BARE_GETS; i++) {
		const started = performance.now()
		await store.getRange(object.key, { offset: 0, bytes: Math.min(BARE_GET_BYTES, object.bytes) })
		samples.push(performance.now() - started)
	}
	return { bareMs: percentile(samples, 50) }
}

async function measureOpening(ground: Ground): Promise<void> {
	const { store, figures } = ground
	const samples: number[] = []
	let [requests, bytes, usd, depth] = [0, 0, 0, 0]
	for (let i = 0; i < OPENINGS; i++) {
		store.begin()
		const started = performance.now()
		const reader = await openReader(store, { refreshIntervalMs: 0 })
		samples.push(performance.now() - started)
		depth = Math.max(depth, store.depth)
		const { total } = reader.requests()
		requests += total.requests
		bytes += total.receivedBytes
		usd += total.estimatedUsd
		await reader.close()
	}
	putFigures(figures, 'open a reader', { samples, requests, bytes, usd, depth })
}

async function measureGets(ground: Ground): Promise<void> {
	const { keys, reads, next, missing } = ground
	const anyKey = (): string => keys[Math.floor(next() * keys.length)] as string
	await withReader(ground, { blockCacheBytes: 0, tableCacheBytes: 0 }, async reader => {
		await measurePart(ground, reader, 'get, nothing in memory', Math.min(COLD_READS, reads), () =>
			found(reader, anyKey()),
		)
		const scan = () => scanned(reader, anyKey(), SHORT)
		await measurePart(ground, reader, 'scan of 10 rows, nothing in memory', Math.min(COLD_READS, reads), scan)
	})
	await withReader(ground, { blockCacheBytes: 0, tableCacheBytes: LARGE_CACHE_BYTES }, async reader => {
		await openTables(ground, reader)
		await measurePart(ground, reader, 'get, tables open', reads, () => found(reader, anyKey()))
		await measurePart(ground, reader, 'get of a missing key, tables open', reads, async i => {
			if ((await reader.get(missing(i))) !== undefined) throw new Error('a key was found that nobody wrote')
		})
	})
	await withReader(ground, { blockCacheBytes: LARGE_CACHE_BYTES, tableCacheBytes: LARGE_CACHE_BYTES }, async reader => {
		for await (const _ of reader.keys().batches());
		await measurePart(ground, reader, 'get, in memory', reads, () => found(reader, anyKey()))
	})
}

async function measureMany(ground: Ground): Promise<void> {
	const { keys, next, reads } = ground
	const count = Math.ceil(reads / 4)
	const many = async (reader: DatabaseReader, asked: readonly string[]): Promise<void> => {
		const values = await reader.getMany(asked)
		if (values.includes(undefined)) throw new Error('a key that was written is missing')
	}
	await withReader(ground, { blockCacheBytes: 0, tableCacheBytes: LARGE_CACHE_BYTES }, async reader => {
		await openTables(ground, reader)
		await measurePart(ground, reader, 'getMany of 100 at random, tables open', count, () =>
			many(
				reader,
				Array.from({ length: MANY }, () => keys[Math.floor(next() * keys.length)] as string),
			),
		)
		await measurePart(ground, reader, 'getMany of 100 neighbours, tables open', count, () => {
			const from = Math.floor(next() * Math.max(1, keys.length - MANY))
			return many(reader, keys.slice(from, from + MANY))
		})
	})
}

async function measureScans(ground: Ground): Promise<void> {
	const { keys, next, reads } = ground
	const start = (rows: number): string => keys[Math.floor(next() * Math.max(1, keys.length - rows))] as string
	await withReader(ground, { blockCacheBytes: 0, tableCacheBytes: LARGE_CACHE_BYTES }, async reader => {
		await openTables(ground, reader)
		const short = () => scanned(reader, start(SHORT), SHORT)
		await measurePart(ground, reader, 'scan of 10 rows, tables open', reads, short)
		const long = Math.min(LONG, keys.length)
		await measurePart(ground, reader, 'scan of 10,000 rows, tables open', 5, () => scanned(reader, start(long), long))
		await measurePart(ground, reader, 'scan of all rows, tables open', 1, () =>
			scanned(reader, keys[0] as string, keys.length),
		)
	})
}

async function measureCaches(ground: Ground): Promise<void> {
	const { keys, next, reads, storedBytes, cacheDir } = ground
	const anyKey = (): string => keys[Math.floor(next() * keys.length)] as string
	const hot = Math.ceil(keys.length / 10)
	// Hot keys are neighbours, as those of one user are; blocks are kept decoded, so a fifth of what they are then.
	const blockCacheBytes = Math.ceil((storedBytes * (ground.codec === 'lz4' ? 2 : 1)) / 5)
	await withReader(ground, { blockCacheBytes, tableCacheBytes: LARGE_CACHE_BYTES }, async reader => {
		await openTables(ground, reader)
		const skewed = (): string => (next() < 0.9 ? (keys[Math.floor(next() * hot)] as string) : anyKey())
		for (let i = 0; i < keys.length / 20; i += MANY) await reader.getMany(Array.from({ length: MANY }, skewed))
		const part = 'gets, 9 of 10 to a tenth of the keys, room for a fifth'
		await measurePart(ground, reader, part, reads * 2, () => found(reader, skewed()))
	})
	const asked = Array.from({ length: reads }, anyKey)
	const onDisk = { blockCacheBytes: 0, tableCacheBytes: LARGE_CACHE_BYTES, cacheDir }
	await withReader(ground, onDisk, async reader => {
		await openTables(ground, reader)
		await measurePart(ground, reader, 'get, tables open, cacheDir empty', reads, i => found(reader, asked[i] as string))
	})
	await withReader(ground, onDisk, async reader => {
		await measurePart(ground, reader, 'get, new reader, cacheDir warm', reads, i => found(reader, asked[i] as string))
	})
}

async function withReader(
	{ store }: Ground,
	options: OpenReaderOptions,
	use: (reader: DatabaseReader) => Promise<void>,
): Promise<void> {
	const reader = await openReader(store, { refreshIntervalMs: 0, ...options })
	try {
		await use(reader)
	} finally {
		await reader.close()
	}
}

/** A get asks every table of L0; a run has few tables. */
async function openTables({ keys, figures }: Ground, reader: DatabaseReader): Promise<void> {
	const count = Math.min(keys.length, 4 * (figures['tables'] ?? 1))
	const step = Math.max(1, Math.floor(keys.length / count))
	await reader.getMany(keys.filter((_, i) => i % step === 0).slice(0, count))
}

async function found(reader: DatabaseReader, key: string): Promise<void> {
	if ((await reader.get(key)) === undefined) throw new Error(`a key that was written is missing: ${key}`)
}

async function scanned(reader: DatabaseReader, from: string, rows: number): Promise<void> {
	let count = 0
	for await (const batch of reader.entries({ gte: from, limit: rows }).batches()) count += batch.length
	if (count > rows) throw new Error(`a scan gave ${count} rows, and not ${rows}`)
}
