import { describe, expect, test } from 'vitest'
import { openReader } from '../../src/index.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { type CountingStore, countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { PrefetchProgress } from '../../src/reader/prefetch.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { metaRange } from '../../src/sst/sst-table.ts'
import { Maintained } from '../database/maintained.ts'
import { collect, manifestOf, put, readsOf, runOf, storeTable, tableOf } from './fixture.ts'
import { RoundStore, turn } from './round-store.ts'

const keyOf = (i: number): string => `key${String(i).padStart(5, '0')}`

/** A run of ten tables of 100 keys, and an L0 table over all of it with every 50th key. */
async function filled(): Promise<{ store: CountingStore; manifest: Manifest }> {
	const store = countingStore(new MemoryStore())
	const run = Array.from({ length: 10 }, (_, t) =>
		tableOf(
			`r${t}`,
			Array.from({ length: 100 }, (__, i) => put(keyOf(t * 100 + i), t * 100 + i + 1)),
			{ blockBytes: 512 },
		),
	)
	const newer = tableOf(
		'l0',
		Array.from({ length: 20 }, (_, i) => put(keyOf(i * 50), 2000 + i)),
		{ blockBytes: 512 },
	)
	const tables = await Promise.all(run.map(table => storeTable(store, table)))
	const l0 = [await storeTable(store, newer)]
	store.reset()
	return { store, manifest: manifestOf({ l0, runs: [runOf('r', tables)] }) }
}

const received = (store: CountingStore): number => store.snapshot().total.receivedBytes

describe('prefetch', () => {
	test('of a range brings exactly what reads of it need, so that they ask for nothing', async () => {
		const { store, manifest } = await filled()
		const reads = readsOf(store, viewOf(manifest))
		const range = { gte: keyOf(150), lt: keyOf(350) }
		const result = await reads.prefetch(range)
		expect(result).toMatchObject({ tables: 4, tablesTotal: 4, isComplete: true })
		expect(result.bytes).toBe(received(store))
		// A stretch a table, beside the ends of four tables.
		expect(store.snapshot().total.requests).toBe(8)
		store.reset()
		expect(await collect(reads.keys(range))).toHaveLength(200)
		for (let i = 150; i < 350; i += 7) expect(await reads.get(keyOf(i))).toContain(keyOf(i))
		expect(store.snapshot().total.requests).toBe(0)
		expect(await reads.prefetch(range)).toMatchObject({ bytes: 0, blocks: 0, isComplete: true })
		expect(store.snapshot().total.requests).toBe(0)
		await reads.get(keyOf(51))
		expect(store.snapshot().total.requests).toBeGreaterThan(0)
	})

	test.each([1, 100, 1000, 5000, 12_345, 30_000])('never fetches more than %i bytes', async maxBytes => {
		const { store, manifest } = await filled()
		const reads = readsOf(store, viewOf(manifest))
		const result = await reads.prefetch({}, { maxBytes, concurrency: 3 })
		expect(received(store)).toBeLessThanOrEqual(maxBytes)
		expect(result.bytes).toBe(received(store))
		const all = await filled()
		const { bytes } = await readsOf(all.store, viewOf(all.manifest)).prefetch()
		expect(result.isComplete).toBe(maxBytes >= bytes)
		// What is left of the budget is less than what would have been asked for next.
		if (!result.isComplete) expect(maxBytes - result.bytes).toBeLessThan(2500)
	})

	test('with exactly the bytes that it takes is complete, with one less it is not', async () => {
		const { store, manifest } = await filled()
		const { bytes } = await readsOf(store, viewOf(manifest)).prefetch()
		expect(await readsOf(store, viewOf(manifest)).prefetch({}, { maxBytes: bytes })).toMatchObject({
			isComplete: true,
			bytes,
		})
		const less = await readsOf(store, viewOf(manifest)).prefetch({}, { maxBytes: bytes - 1 })
		expect(less.isComplete).toBe(false)
	})

	test('has no more requests under way than it was told, and tells how far it came', async () => {
		const { store, manifest } = await filled()
		const rounds = new RoundStore(store)
		const reads = readsOf(rounds, viewOf(manifest))
		const seen: PrefetchProgress[] = []
		const result = await rounds.settle(
			reads.prefetch({}, { concurrency: 3, onProgress: progress => void seen.push(progress) }),
		)
		expect(Math.max(...rounds.rounds.map(round => round.length))).toBe(3)
		expect(seen).toHaveLength(rounds.requests)
		expect(seen.at(-1)).toEqual({ tables: 11, tablesTotal: 11, blocks: result.blocks, bytes: result.bytes })
		for (const [i, progress] of seen.entries()) expect(progress.bytes).toBeGreaterThanOrEqual(seen[i - 1]?.bytes ?? 1)
	})

	test('ends at once with its signal, and with what onProgress throws', async () => {
		const { store, manifest } = await filled()
		const rounds = new RoundStore(store)
		const reads = readsOf(rounds, viewOf(manifest))
		const controller = new AbortController()
		const aborted = reads.prefetch({}, { signal: controller.signal })
		aborted.catch(() => undefined)
		await turn()
		expect(rounds.waiting).toBe(8)
		controller.abort(new Error('enough'))
		await turn()
		expect(rounds.waiting).toBe(0)
		await expect(aborted).rejects.toThrow('enough')
		const throwing = reads.prefetch(
			{},
			{
				onProgress: () => {
					throw new Error('full')
				},
			},
		)
		await expect(rounds.settle(throwing)).rejects.toThrow('full')
		await expect(reads.prefetch({}, { maxBytes: 0 })).rejects.toThrow(RangeError)
		await expect(reads.prefetch({}, { concurrency: 257 })).rejects.toThrow(RangeError)
		await expect(reads.prefetch({ limit: 1 } as never)).rejects.toThrow('limit')
		await expect(reads.prefetch({}, { limit: 1 } as never)).rejects.toThrow('limit')
	})

	test('of tables that are gone goes on in a newer view, within the same budget', async () => {
		const { store, manifest } = await filled()
		const [lost] = manifest.l0
		if (lost === undefined) throw new Error('one table')
		await store.delete(lost.objectKey)
		let view = viewOf(manifest)
		const newer = viewOf({ ...manifest, l0: [] })
		const reads = readsOf(store, () => view, {
			renew: () => {
				view = newer
				return Promise.resolve(newer)
			},
		})
		store.reset()
		const maxBytes = 25_000
		const result = await reads.prefetch({}, { maxBytes })
		expect(result.isComplete).toBe(true)
		// What was under way when the table was missed has arrived too.
		expect(received(store)).toBeGreaterThan(result.bytes)
		expect(received(store)).toBeLessThanOrEqual(maxBytes)
	})
})

describe('a reader that is opened with warmUp', () => {
	test('has the ends of its tables, newest first, as many as its cache of tables holds', async () => {
		const maintained = new Maintained()
		{
			await using db = await maintained.open()
			for (let t = 0; t < 5; t++) {
				for (let i = 0; i < 50; i++) await db.put(keyOf(i), `value ${t}`)
				await db.flush()
			}
		}
		const warm = await maintained.openReader(maintained.rig.store, { warmUp: 'metadata' })
		const before = warm.requests().total.requests
		expect(await warm.get(keyOf(7))).toBe('value 4')
		expect(warm.requests().total.requests - before).toBe(5)
		await warm.close()
		const manifest = await maintained.rig.manifest()
		const ends = manifest.l0.map(({ meta }) => metaRange(meta).bytes)
		const twoEnds = (ends[4] ?? 0) + (ends[3] ?? 0)
		const small = await maintained.openReader(maintained.rig.store, {
			warmUp: 'metadata',
			tableCacheBytes: twoEnds + 10,
		})
		expect(small.requests().byKind.getRange).toMatchObject({ requests: 2, receivedBytes: twoEnds })
		await small.close()
		await expect(openReader(maintained.rig.store, { warmUp: 'all' as never })).rejects.toThrow('warmUp')
		const cold = await maintained.openReader()
		expect(cold.requests().byKind.getRange.requests).toBe(0)
		await cold.close()
	})

	test('opens although that fails, unless it is aborted', async () => {
		const maintained = new Maintained()
		{
			await using db = await maintained.open()
			await db.put('k', 'v')
			await db.flush()
		}
		for (const key of await maintained.rig.keys('sst/')) await maintained.rig.store.delete(key)
		await using reader = await maintained.openReader(maintained.rig.store, { warmUp: 'metadata' })
		expect(reader.stats().tables).toBe(1)
	})
})
