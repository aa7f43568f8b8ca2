/** A database that maintains itself, on a clock that is driven by hand: what is stored, read, deleted and asked. */
import { describe, expect, test } from 'vitest'
import { createInlinePool, open, openCompactor, openReader, openStore } from '../../src/index.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { HOUR_MS, ingest, keysOf, noCaches, noGrace, opened, rowsOf, small, sorted, stage } from './resident.ts'

describe('a database', () => {
	test('merges what it flushes by itself, and holds the same rows here and for readers', async () => {
		const [store, host] = await stage(7)
		await using db = await opened(store, host)
		const model = await ingest(db, host, 40)
		await host.clock.advance(10_000)
		const stats = db.stats()
		expect(stats.l0Tables).toBeLessThan(40)
		expect(stats.l0Weight).toBeLessThan(4)
		expect(stats.runs.length).toBeGreaterThan(0)
		expect(stats).toMatchObject({ compactionDebtBytes: 0, maintenance: { state: 'active', epoch: 1, deaths: 0 } })
		expect(stats.maintenance?.totals.works).toBeGreaterThan(0)
		expect(stats.writeAmplification).toBeGreaterThan(1)
		expect(stats.spaceAmplification).toBeGreaterThan(1)
		expect(stats.garbageObjects).toBeGreaterThan(0)
		expect(await rowsOf(db)).toEqual(sorted(model))
		await using reader = await openReader(store, { host, pool: createInlinePool(host), refreshIntervalMs: 0 })
		expect(await rowsOf(reader)).toEqual(sorted(model))
		for (const key of ['key 1', 'key 250', 'key 499']) expect(await db.get(key)).toBe(model.get(key))
	})

	test('that was opened again goes on where the last one stopped', async () => {
		const [store, host] = await stage(8)
		const model = new Map<string, string>()
		for (let session = 0; session < 4; session++) {
			await using db = await opened(store, host)
			expect(await rowsOf(db)).toEqual(sorted(model))
			await ingest(db, host, 12, model)
			expect(db.stats().maintenance?.timesFenced).toBe(0)
		}
		await using db = await opened(store, host)
		expect(await rowsOf(db)).toEqual(sorted(model))
		expect(db.stats().l0Tables).toBeLessThan(48)
	})

	test('asks nothing of the store once all is done: days without a write cost no request, and garbage is gone', async () => {
		const [inner, host] = await stage(9)
		const store = countingStore(inner)
		await using db = await opened(store, host)
		const model = await ingest(db, host, 30)
		await db.put('short-lived', 'value', { ttlMs: 1000 })
		await db.flush()
		await host.clock.advance(6 * HOUR_MS)
		expect(db.stats()).toMatchObject({ garbageObjects: 0, garbageBytes: 0, compactionDebtBytes: 0 })
		store.reset()
		await host.clock.advance(72 * HOUR_MS)
		expect(store.snapshot().total.requests).toBe(0)
		const { maintenance } = db.stats()
		expect(maintenance?.totals.objectsDeleted).toBeGreaterThan(30)
		expect(await rowsOf(db)).toEqual(sorted(model))
	})

	test('whose writer was fenced maintains no more, and that of the new writer takes over at once', async () => {
		const [store, host] = await stage(14)
		const first = await opened(store, host)
		const model = await ingest(first, host, 8)
		expect(first.stats().maintenance).toMatchObject({ state: 'active', epoch: 1 })
		await using second = await opened(store, host)
		await ingest(second, host, 8, model)
		expect(second.stats().maintenance).toMatchObject({ state: 'active', epoch: 2 })
		await first.put('late', 'value')
		await expect(first.flush()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await host.clock.advance(60_000)
		expect(first.stats().maintenance?.state).toBe('closed')
		expect(second.stats().maintenance).toMatchObject({ state: 'active', epoch: 2, timesFenced: 0 })
		expect(await rowsOf(second)).toEqual(sorted(model))
		await expect(first.close()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
	})

	test('with maintenance: false is left as it was written', async () => {
		const [store, host] = await stage(10)
		await using db = await open(store, {
			flushIntervalMs: 0,
			host,
			pool: createInlinePool(host),
			maintenance: false,
		})
		await ingest(db, host, 12)
		await host.clock.advance(HOUR_MS)
		expect(db.stats()).toMatchObject({ l0Tables: 12, runs: [], maintenance: undefined, writeAmplification: 1 })
		expect(await keysOf(store, 'maintenance/')).toEqual([])
	})

	test.each([
		[{ maintenance: 'yes' }, TypeError],
		[{ compaction: { l0Tables: -1 } }, RangeError],
		[{ compaction: false }, TypeError],
		[{ maintenance: false, gracePeriodMs: 5 }, TypeError],
		[{ gracePeriodMs: -1 }, RangeError],
		[{ retention: { mode: 'age', retentionPeriodMs: 0 } }, RangeError],
		[{ compaction: { unknown: 1 } }, TypeError],
	])('refuses %j', async (options, kind) => {
		await expect(open(await openStore('memory:'), Object(options))).rejects.toThrow(kind)
	})

	test('drops by age what retention does not keep, and never lets an older value come back', async () => {
		const [store, host] = await stage(11)
		const retention = { mode: 'age', retentionPeriodMs: 10 * HOUR_MS, retentionCount: 0 } as const
		await using db = await opened(store, host, { retention })
		const commit = async (key: string, value: string): Promise<void> => {
			await db.put(key, value)
			await db.flush()
		}
		await commit('old', 'value')
		await commit('overwritten', 'old value')
		await host.clock.advance(5 * HOUR_MS)
		await commit('overwritten', 'new value')
		await host.clock.advance(6 * HOUR_MS)
		expect([await db.get('old'), await db.get('overwritten')]).toEqual([undefined, 'new value'])
		await host.clock.advance(6 * HOUR_MS)
		expect([await db.get('old'), await db.get('overwritten')]).toEqual([undefined, undefined])
		expect(db.stats()).toMatchObject({ l0Tables: 0, maintenance: { policies: ['merge', 'age'] } })
	})
})

describe('what is still read', () => {
	test('by a snapshot, an iterator or a tail stays on the store at grace 0, and goes when they are closed', async () => {
		const [store, host] = await stage(12)
		await using db = await opened(store, host, { ...noGrace, ...noCaches })
		const model = await ingest(db, host, 3)
		const expected = sorted(model)
		const snapshot = db.snapshot()
		const scan = db.entries()
		const first = await scan.next()
		const changes = db.changes({ from: 'start' })[Symbol.asyncIterator]()
		const seen = (await changes.next()).value ?? []
		await ingest(db, host, 20, model)
		await host.clock.advance(HOUR_MS)
		expect(db.stats().garbageObjects).toBeGreaterThan(0)
		expect(await rowsOf(snapshot)).toEqual(expected)
		const rows = [first.value]
		for await (const row of scan) rows.push(row)
		expect(rows).toEqual(expected)
		expect(seen.length).toBeGreaterThan(0)
		await snapshot.close()
		await changes.return()
		await host.clock.advance(HOUR_MS)
		expect(db.stats().garbageObjects).toBe(0)
		expect(await rowsOf(db)).toEqual(sorted(model))
	})

	test('is found again where somebody elsewhere has merged and deleted it', async () => {
		const [store, host] = await stage(13)
		const pool = createInlinePool(host)
		const options = {
			flushIntervalMs: 0,
			inlineMaxBytes: 1024,
			maintenance: false,
			...noCaches,
			host,
			pool,
		}
		const first = await open(store, options)
		const model = await ingest(first, host, 6)
		await first.close()
		// What this one reads it has not written: nothing of it is in memory.
		await using db = await open(store, options)
		await using compactor = await openCompactor(store, {
			...noGrace,
			compaction: small.compaction,
			host,
			pool,
			background: false,
		})
		const run = async (): Promise<void> => {
			const running = compactor.runOnce()
			await host.clock.advance(120_000)
			expect(await running).toMatchObject({ outcome: 'done', failures: 0 })
		}
		await run()
		await host.clock.advance(HOUR_MS)
		await run()
		expect(compactor.status().totals.objectsDeleted).toBeGreaterThan(0)
		expect(db.stats().l0Tables).toBe(6)
		for (const [key, value] of sorted(model)) expect(await db.get(key)).toBe(value)
		expect(db.stats().l0Tables).toBeLessThan(6)
		expect(await rowsOf(db)).toEqual(sorted(model))
	})
})
