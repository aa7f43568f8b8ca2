/**
 * What reads cost: gets (cached, missing, uncached), getMany, scans per row and per batch, over one and over four
 * overlapping tables. Prints the best rate of
 * three rounds, and the CPU time of an operation (all threads), which a busy machine disturbs less; run it as `node bench/micro/read.ts [rows] [name]`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { systemHost } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { ReadCore, type ViewProvider } from '../../src/reader/read-core.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { KIND_VALUE } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'

const ROWS = Number(process.argv[2] ?? 400_000)
const ONLY = process.argv[3] ?? ''
const GETS = 300_000

const keyOf = (i: number): string => `key:${String(i).padStart(12, '0')}`
const random = seededRandom(1)
const valueText = (i: number): string =>
	`{"id":${i},"name":"user ${i % 977}","score":${(i * 7919) % 100_003},"tags":["alpha","beta"],"active":true}`.padEnd(
		100,
	)

/** `ROWS` keys dealt out to `count` tables, so that all overlap. */
async function load(store: ObjectStore, count: number, codec: CodecName): Promise<Manifest> {
	const l0: TableRef[] = []
	for (let t = 0; t < count; t++) {
		const builder = new TableBuilder({ codec, minWriteMs: 0, maxWriteMs: 0 })
		for (let i = 0, seq = t * ROWS + 1; i < ROWS; i++) {
			if (
				Math.imul(i, 0x9e3779b1) >>> 0 < ((t + 1) / count) * 2 ** 32 &&
				Math.imul(i, 0x9e3779b1) >>> 0 >= (t / count) * 2 ** 32
			) {
				const key = Buffer.from(keyOf(i))
				const value = Buffer.from(valueText(i))
				builder.add(key, 0, key.length, seq++, KIND_VALUE, 0, value, 0, value.length)
			}
		}
		const { bytes, meta } = builder.finish()
		const ref = { id: `w1-${t}-${codec}-${count}`, objectKey: `sst/w1-${t}-${codec}-${count}`, offset: 0, meta }
		await store.put(ref.objectKey, bytes)
		l0.push(ref)
	}
	return {
		...EMPTY_MANIFEST,
		writerPosition: { epoch: 1, slot: 0 },
		lastSeq: count * ROWS,
		l0,
	}
}

interface Setup {
	readonly core: ReadCore<string, string>
	readonly views: ViewProvider
	readonly source: TableSource
}

const pool = acquireWorkerPool(systemHost)

function setUp(
	store: ObjectStore,
	manifest: Manifest,
	blockCacheBytes: number,
	valueEncoding: 'utf8' | 'buffer' = 'utf8',
): Setup {
	const source = new TableSource({ store, pool, blockCacheBytes })
	const core = new ReadCore<string, string>({
		source,
		blobs: new BlobReader({ store }),
		pool,
		host: systemHost,
		keys: transcoderOf(valueEncoding, 'keyEncoding'),
		values: transcoderOf(valueEncoding, 'valueEncoding'),
	})
	const view = viewOf(manifest)
	const views: ViewProvider = {
		view: () => view,
		nowMs: () => systemHost.clock.nowMs(),
		renew: (_gone, cause) => Promise.reject(cause),
	}
	return { core, views, source }
}

async function measure(name: string, operations: number, run: () => Promise<number>, rounds = 3): Promise<void> {
	if (!name.includes(ONLY)) return
	let best = 0
	let cpu = Number.POSITIVE_INFINITY
	for (let round = 0; round < rounds; round++) {
		const before = process.cpuUsage()
		const started = performance.now()
		const done = await run()
		const rate = operations / (performance.now() - started)
		const { user, system } = process.cpuUsage(before)
		if (done !== operations) throw new Error(`${name}: ${done} instead of ${operations}`)
		best = Math.max(best, rate)
		cpu = Math.min(cpu, (user + system) / operations)
	}
	console.log(`${name.padEnd(48)} ${best.toFixed(0).padStart(8)} k/s ${cpu.toFixed(2).padStart(8)} µs CPU`)
}

async function gets(name: string, setup: Setup, keys: readonly string[], wanted: number, inFlight = 1): Promise<void> {
	const { core, views } = setup
	await measure(name, keys.length, async () => {
		let found = 0
		if (inFlight === 1) {
			for (const key of keys) if ((await core.get(views, key)) !== undefined) found++
		} else {
			let at = 0
			const worker = async (): Promise<void> => {
				while (at < keys.length) if ((await core.get(views, keys[at++] as string)) !== undefined) found++
			}
			await Promise.all(Array.from({ length: inFlight }, worker))
		}
		if (found !== wanted) throw new Error(`${name}: found ${found}`)
		return keys.length
	})
}

async function scans(name: string, { core, views }: Setup, rows: number): Promise<void> {
	await measure(`${name}, for-await`, rows, async () => {
		let count = 0
		for await (const [key] of core.entries(views, {})) if (key.length > 0) count++
		return count
	})
	await measure(`${name}, batches`, rows, async () => {
		let count = 0
		for await (const batch of core.entries(views, {}).batches()) count += batch.length
		return count
	})
	await measure(`${name}, batches, reverse`, rows, async () => {
		let count = 0
		for await (const batch of core.entries(views, { reverse: true }).batches()) count += batch.length
		return count
	})
	await measure(`${name}, keys by batch`, rows, async () => {
		let count = 0
		for await (const batch of core.keysOf(views, {}).batches()) count += batch.length
		return count
	})
}

async function main(): Promise<void> {
	const store = new MemoryStore()
	const large = 1024 * 1024 * 1024
	const present = Array.from({ length: GETS }, () => keyOf(Math.floor(random.next() * ROWS)))
	const missing = Array.from({ length: GETS }, () => `${keyOf(Math.floor(random.next() * ROWS))}x`)
	for (const [tables, codec] of [
		[1, 'none'],
		[1, 'lz4'],
		[4, 'none'],
		[4, 'lz4'],
	] as const) {
		const label = `${tables} table${tables > 1 ? 's' : ''} ${codec}`
		const manifest = await load(store, tables, codec)
		const warm = setUp(store, manifest, large)
		// Every block is read once, so that all of them are in the cache.
		for await (const _ of warm.core.keysOf(warm.views, {}).batches());
		await gets(`get cached, ${label}`, warm, present, GETS)
		await gets(`get missing, ${label}`, warm, missing, 0)
		await measure(`sync get, ${label}`, GETS, async () => {
			let found = 0
			for (const key of present) if (warm.core.getCached(warm.views, key, 1) !== 1) found++
			return found
		})
		await measure(`getMany by 100, ${label}`, GETS, async () => {
			let found = 0
			for (let i = 0; i < GETS; i += 100)
				found += (await warm.core.getMany(warm.views, present.slice(i, i + 100))).length
			return found
		})
		const few = present.slice(0, 1000)
		await gets(
			`get cached, 1000 hot keys, ${label}`,
			warm,
			Array.from({ length: GETS }, (_, i) => few[i % 1000] as string),
			GETS,
		)
		await scans(`scan cached, ${label}`, warm, ROWS)
		if (tables === 1 && codec === 'none')
			await scans(`scan cached, ${label}, buffers`, setUp(store, manifest, large, 'buffer'), ROWS)
		const cold = setUp(store, manifest, 0)
		await scans(`scan cold, ${label}`, cold, ROWS)
		await gets(`get uncached, memory store, ${label}`, setUp(store, manifest, 0), present.slice(0, 50_000), 50_000, 64)
	}
	const directory = mkdtempSync(join(tmpdir(), 'isle-read-'))
	try {
		const files = await openStore(`file:${directory}`)
		for (const codec of ['none', 'lz4'] as const) {
			const manifest = await load(files, 1, codec)
			const keys = present.slice(0, 50_000)
			const label = `get uncached, file store, ${codec}`
			await gets(`${label}, 64 in flight`, setUp(files, manifest, 0), keys, keys.length, 64)
			await gets(`${label}, one by one`, setUp(files, manifest, 0), keys, keys.length)
			await gets(`${label}, a sixteenth in memory`, setUp(files, manifest, ROWS * 7), keys, keys.length, 64)
		}
		await files.close()
	} finally {
		rmSync(directory, { recursive: true })
	}
	await pool.close()
}

await main()
