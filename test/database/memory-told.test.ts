/** What tails and maintenance say that they hold in memory. */
import { expect, test } from 'vitest'
import { createInlinePool, type JobPool, openCompactor, openReader } from '../../src/index.ts'
import { ingest, noGrace, opened, small, stage } from './resident.ts'

test('a tail keeps the commits that pass, once there is one, and says how many bytes they are', async () => {
	const [store, host] = await stage(31)
	await using db = await opened(store, host, { maintenance: false, compaction: undefined, inlineMaxBytes: 1_048_576 })
	await using reader = await openReader(store, { host, pool: createInlinePool(host), refreshIntervalMs: 0 })
	const model = await ingest(db, host, 2)
	await reader.refresh()
	for (const { tails } of [db.stats(), reader.stats()]) expect(tails).toEqual({ waiting: 0, keptCommitBytes: 0 })
	const iterators = [db, reader].map(each => each.changes({ from: 'now' })[Symbol.asyncIterator]())
	const batches = iterators.map(iterator => iterator.next())
	await host.clock.advance(10)
	expect([db.stats().tails.waiting, reader.stats().tails.waiting]).toEqual([1, 1])
	await ingest(db, host, 1, model)
	await host.clock.advance(5000)
	for (const batch of await Promise.all(batches)) expect(batch.value?.length).toBeGreaterThan(0)
	for (const { tails } of [db.stats(), reader.stats()]) {
		expect(tails.waiting).toBe(0)
		// Some two hundred values of a few hundred bytes.
		expect(tails.keptCommitBytes).toBeGreaterThan(50_000)
		expect(tails.keptCommitBytes).toBeLessThan(1_000_000)
	}
})

test('a maintainer says what its merges hold while they run, and which small tables it keeps', async () => {
	const [store, host] = await stage(32)
	await using db = await opened(store, host, { maintenance: false, compaction: undefined })
	await ingest(db, host, 12)
	const inline = createInlinePool(host)
	const held: number[] = []
	const pool: JobPool = {
		run(name, make, options) {
			if (name === 'merge-tables') held.push(compactor.status().memory.mergeBytes)
			return inline.run(name, make, options)
		},
		stats: () => inline.stats(),
		close: () => inline.close(),
	}
	await using compactor = await openCompactor(store, {
		...noGrace,
		host,
		pool,
		pollIntervalMs: 1000,
		compaction: { ...small.compaction, mergeMemoryBytes: 8_388_608 },
	})
	expect(compactor.status().memory).toEqual({ mergeBytes: 0, tableBytes: 0 })
	await host.clock.advance(10_000)
	const { memory, totals, state } = compactor.status()
	expect({ state, works: totals.works > 0, merges: held.length > 0 }).toEqual({
		state: 'active',
		works: true,
		merges: true,
	})
	expect(Math.min(...held)).toBeGreaterThan(0)
	expect(Math.max(...held)).toBeLessThanOrEqual(8_388_608)
	expect(memory.mergeBytes).toBe(0)
	expect(memory.tableBytes).toBeGreaterThan(0)
})
