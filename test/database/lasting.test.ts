/** A writer with its maintainer, a reader and a tail that live through many commits, merges and collections: what they keep is counted. */
import { queryObjects } from 'node:v8'
import { expect, onTestFinished, test } from 'vitest'
import { Shelf } from '../../src/cache/byte-cache.ts'
import { TableSlot } from '../../src/cache/table-slot.ts'
import { createInlinePool, openReader } from '../../src/index.ts'
import { PackedTable } from '../../src/manifest/packed-table.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { Block } from '../../src/sst/block.ts'
import { SstTable } from '../../src/sst/sst-table.ts'
import { opened, stage } from './resident.ts'

const KEYS = 40
const VALUE_BYTES = 24_000
const SAMPLE_COMMITS = 240
/** Caches and commits in memory are bounded by bytes, 8 MiB at the most: all are full by then. */
const WARM_UP_COMMITS = 340
/** A scan of everything, now and then. */
const COMMITS_PER_SCAN = 20
const COMMITS_PER_OPENING = 30
/**
 * What follows a checkpoint is some 224 records of both logs together, read in windows that double: 248 slots of one and 120 of the other
 * at the most, 17 behind the end of each, 2 LISTs, and the checkpoint.
 */
const OPENING_MAX_REQUESTS = 405
/** Promises, timers and what the test itself keeps come and go. */
const TOLERATED_COUNT = 150
const kept = { TableSlot, Shelf, SstTable, Block, PackedTable, Memtable, Map, Array, Uint8Array }

/** How many there are of each class, once garbage is gone. */
function countKept(): Record<string, number> {
	return Object.fromEntries(Object.entries(kept).map(([name, kind]) => [name, queryObjects(kind, { format: 'count' })]))
}

test('what a writer, a maintainer, readers and a tail keep does not grow with what they have lived through', async () => {
	const [store, host] = await stage(11)
	const pool = createInlinePool(host)
	const caches = { blockCacheBytes: 262_144, tableCacheBytes: 262_144, gracePeriodMs: 100 }
	const reading = { host, pool, refreshIntervalMs: 50, ...caches }
	const compaction = { l0Tables: 3, runs: 2, targetTableBytes: 1_048_576, mergeMemoryBytes: 4_194_304 }
	const writing = { inlineMaxBytes: 65_536, codec: 'none', compaction, changeRetentionMs: 500 } as const
	const db = await opened(store, host, { ...writing, ...caches })
	const reader = await openReader(store, reading)
	/** Nobody reads with it. */
	const idle = await openReader(store, reading)
	const controller = new AbortController()
	onTestFinished(async () => {
		controller.abort()
		for (const each of [reader, idle, db]) await each.close()
	})
	let tailed = 0
	let maxRequests = 0
	const follow = async (): Promise<void> => {
		const changes = reader.changes({ from: 'now', pollIntervalMs: 50, signal: controller.signal })
		for await (const { length } of changes) tailed += length
	}
	const tail = follow().catch(() => undefined)
	const value = Buffer.alloc(VALUE_BYTES, 'v').toString()
	const live = async (commits: number): Promise<void> => {
		for (let i = 0; i < commits; i++) {
			await db.put(`key ${Math.floor(host.random.next() * KEYS)}`, value)
			await db.flush()
			// Polls, merges and what has waited for its grace period.
			await host.clock.advance(60)
			if (i % COMMITS_PER_SCAN === 0) {
				await using snapshot = reader.snapshot()
				expect(await countRows(snapshot)).toBe(await countRows(db))
			}
			if (i % COMMITS_PER_OPENING === 0) {
				await using another = await openReader(store, { host, pool, refreshIntervalMs: 0 })
				maxRequests = Math.max(maxRequests, another.requests().total.requests)
			}
		}
	}
	await live(WARM_UP_COMMITS)
	const before = countKept()
	await live(SAMPLE_COMMITS)
	for (const [name, count] of Object.entries(countKept())) {
		expect(count, name).toBeLessThanOrEqual((before[name] ?? 0) + TOLERATED_COUNT)
	}
	expect(maxRequests).toBeLessThanOrEqual(OPENING_MAX_REQUESTS)
	const { maintenance } = db.stats()
	expect(maintenance?.totals.checkpoints).toBeGreaterThanOrEqual(2)
	expect(maintenance?.totals.objectsDeleted).toBeGreaterThan(WARM_UP_COMMITS)
	controller.abort()
	await tail
	expect(tailed).toBe(WARM_UP_COMMITS + SAMPLE_COMMITS)
})

async function countRows(reads: { keys(): AsyncIterable<string> }): Promise<number> {
	let rows = 0
	for await (const key of reads.keys()) rows += key === '' ? 0 : 1
	return rows
}
