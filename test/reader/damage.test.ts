import { describe, expect, test } from 'vitest'
import { OFFERED_OVERHEAD_BYTES } from '../../src/cache/table-slots.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { IsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ByteRange, RequestOptions } from '../../src/object-store/object-store.ts'
import { type ReadView, viewOf } from '../../src/reader/read-view.ts'
import { Snapshot } from '../../src/reader/snapshot.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { collect, manifestOf, put, readsOf, storeTable, tableOf } from './fixture.ts'

const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`
/** About 800 KB of values: several reads ahead. */
const COUNT = 25_000

async function oneTable(
	codec: 'none' | 'lz4' = 'none',
): Promise<{ store: MemoryStore; ref: TableRef; bytes: Uint8Array }> {
	const store = new MemoryStore()
	const table = tableOf(
		't',
		Array.from({ length: COUNT }, (_, i) => put(keyOf(i), i + 1)),
		{ codec, blockBytes: 1024 },
	)
	return { store, ref: await storeTable(store, table), bytes: table.bytes }
}

async function flipByte(store: MemoryStore, ref: TableRef, at: number): Promise<void> {
	const object = await store.get(ref.objectKey)
	if (object === undefined) throw new Error('the table is there')
	object[ref.offset + at] = (object[ref.offset + at] ?? 0) ^ 0x10
	await store.put(ref.objectKey, object)
}

describe('damage', () => {
	test('in the middle of a scan is an error after the rows before it, and stays one', async () => {
		const { store, ref } = await oneTable()
		await flipByte(store, ref, Math.floor(ref.meta.metaOffset * 0.7))
		for (const reverse of [false, true]) {
			const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })))
			const scan = reads.keys({ reverse })
			const rows: string[] = []
			await expect(
				(async () => {
					for await (const key of scan) rows.push(key)
				})(),
			).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
			expect(rows.length).toBeGreaterThan(0)
			expect(rows.length).toBeLessThan(COUNT)
			expect(rows).toEqual(rows.map((_, i) => keyOf(reverse ? COUNT - 1 - i : i)))
			await expect(scan.next()).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
			expect(reads.core.openScans).toBe(0)
		}
	})

	test('of a block is told by get with the name of the object, and spares the other blocks', async () => {
		const { store, ref } = await oneTable('lz4')
		await flipByte(store, ref, 5)
		const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })))
		await expect(reads.get(keyOf(0))).rejects.toMatchObject({
			code: 'ISLE_CORRUPT',
			message: expect.stringContaining('sst/t'),
		})
		expect(await reads.get(keyOf(COUNT - 1))).toBe(`${keyOf(COUNT - 1)}@${COUNT}`)
	})

	test('of the index is an error; of the filter it only costs reads', async () => {
		const { store, ref, bytes } = await oneTable()
		await flipByte(store, ref, bytes.length - 60)
		const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })))
		await expect(reads.get(keyOf(0))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		const other = await oneTable()
		await flipByte(other.store, other.ref, other.ref.meta.metaOffset + 40)
		const still = readsOf(other.store, viewOf(manifestOf({ l0: [other.ref] })))
		for (let i = 0; i < COUNT; i += 1000) expect(await still.get(keyOf(i))).toBe(`${keyOf(i)}@${i + 1}`)
		expect(await still.get(`${keyOf(5)}x`)).toBeUndefined()
	})

	test('of offered bytes is an error too', async () => {
		const { store, ref, bytes } = await oneTable()
		const damaged = new Uint8Array(bytes)
		damaged[20] = (damaged[20] ?? 0) ^ 1
		const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })))
		reads.source.offerTable(ref, damaged)
		await expect(reads.get(keyOf(0))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await expect(collect(reads.keys())).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		expect(() => reads.getCached(keyOf(0), 'cold')).toThrow('CRC')
	})

	test('by an answer that is too short is never taken for the whole', async () => {
		const { store, ref } = await oneTable()
		class ShortStore extends PassThroughStore {
			override async getRange(
				key: string,
				range: ByteRange,
				options?: RequestOptions,
			): Promise<Uint8Array | undefined> {
				return (await super.getRange(key, range, options))?.subarray(0, range.bytes - 1)
			}
		}
		const reads = readsOf(new ShortStore(store), viewOf(manifestOf({ l0: [ref] })))
		await expect(reads.get(keyOf(0))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await expect(collect(reads.keys())).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
	})

	test('of the store in one of several sources of a scan never looks like its end', async () => {
		const { store, ref } = await oneTable()
		const other = await storeTable(store, tableOf('u', [put(keyOf(10), COUNT + 1), put(keyOf(20_500), COUNT + 2)]))
		let isDown = false
		class FailingStore extends PassThroughStore {
			override async getRange(
				key: string,
				range: ByteRange,
				options?: RequestOptions,
			): Promise<Uint8Array | undefined> {
				if (isDown && key === ref.objectKey) throw new IsleError('ISLE_UNAVAILABLE', 'down')
				return await super.getRange(key, range, options)
			}
		}
		const reads = readsOf(new FailingStore(store), viewOf(manifestOf({ l0: [ref, other] })), { blockCacheBytes: 0 })
		const scan = reads.keys()
		expect((await scan.next()).value).toBe(keyOf(0))
		isDown = true
		await expect(collect(scan)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		isDown = false
		expect((await collect(reads.keys())).length).toBe(COUNT)
	})
})

describe('an object that is gone', () => {
	/** The table of the old view is deleted; `newer` holds the same keys in another one. */
	async function compacted(newVersions: number) {
		const { store, ref } = await oneTable()
		const versions = Array.from({ length: COUNT }, (_, i) => put(keyOf(i), i + 1))
		for (let i = 0; i < newVersions; i++) versions[i] = put(keyOf(i), COUNT + 1 + i)
		const merged = await storeTable(store, tableOf('merged', versions))
		const old = viewOf(manifestOf({ l0: [ref] }))
		const newer = viewOf(manifestOf({ runs: [{ id: 'r', tables: [merged] }] }))
		return { store, ref, old, newer }
	}

	test('makes a live read go on with a newer view', async () => {
		const { store, ref, old, newer } = await compacted(5)
		let view = old
		const reads = readsOf(store, () => view, {
			renew: async () => {
				view = newer
				return newer
			},
		})
		await store.delete(ref.objectKey)
		expect(await reads.get(keyOf(0))).toBe(`${keyOf(0)}@${COUNT + 1}`)
		view = old
		expect(await reads.getMany([keyOf(0), keyOf(9)])).toEqual([`${keyOf(0)}@${COUNT + 1}`, `${keyOf(9)}@10`])
		view = old
		expect((await collect(reads.keys())).length).toBe(COUNT)
		view = old
		expect(await reads.has(keyOf(1))).toBe(true)
	})

	test('is reported, after a bounded number of attempts, when no view helps', async () => {
		const { store, ref, old } = await compacted(0)
		await store.delete(ref.objectKey)
		let renewals = 0
		const renew = async (): Promise<ReadView> => {
			renewals++
			return { ...old }
		}
		const reads = readsOf(store, old, { renew })
		await expect(reads.get(keyOf(0))).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		await expect(reads.keys().next()).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		expect(renewals).toBe(10)
	})

	test.each([
		['goes on when a newer manifest holds the same state', 0, false],
		['has expired when newer versions were merged in', 3, true],
	])('in the middle of a scan, and behind a snapshot: it %s', async (_, newVersions, isExpired) => {
		const { store, ref, old, newer } = await compacted(newVersions)
		const reads = readsOf(store, old, { blockCacheBytes: 0, tableCacheBytes: 0, renew: async () => newer })
		const scan = reads.keys({ limit: COUNT })
		const snapshot = new Snapshot(reads.core, old, 0, reads.views, () => undefined)
		expect((await scan.next()).value).toBe(keyOf(0))
		await store.delete(ref.objectKey)
		if (isExpired) {
			await expect(collect(scan)).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
			await expect(snapshot.get(keyOf(7))).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
			return
		}
		const rest = await collect(scan)
		expect(rest).toEqual(Array.from({ length: COUNT - 1 }, (__, i) => keyOf(i + 1)))
		expect(await snapshot.get(keyOf(7))).toBe(`${keyOf(7)}@8`)
	})
})

describe('memory', () => {
	test('of the caches stays within its bounds, and what they hold keeps no larger buffer alive', async () => {
		for (const codec of ['none', 'lz4'] as const) {
			const { store, ref } = await oneTable(codec)
			const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })), {
				blockCacheBytes: 20_000,
				tableCacheBytes: 4000,
			})
			await collect(reads.keys())
			for (let i = 0; i < COUNT; i += 250) await reads.get(keyOf(i))
			const { blocks, tables } = reads.source.stats()
			expect(blocks.bytes).toBeLessThanOrEqual(20_000)
			expect(blocks.entries).toBeGreaterThan(3)
			expect(blocks.evictions).toBeGreaterThan(0)
			expect(tables.bytes).toBeLessThanOrEqual(4000)
		}
	})

	test('of offered tables is bounded; the oldest go first', () => {
		const pool = createInlinePool(systemHost)
		const tables = Array.from({ length: 5 }, (_, i) => tableOf(`t${i}`, [put(keyOf(i), i + 1)]))
		// What a table takes in memory beside its bytes counts, too: tiny ones are mostly that.
		const sizes = tables.map(table => table.bytes.length + OFFERED_OVERHEAD_BYTES)
		const lastTwo = (sizes[3] ?? 0) + (sizes[4] ?? 0)
		const source = new TableSource({ store: new MemoryStore(), pool, offeredBytes: lastTwo })
		for (const table of tables) source.offerTable(table.ref, table.bytes)
		expect(source.stats().offeredBytes).toBe(lastTwo)
		const isReadable = tables.map(({ ref }) => source.cachedTable(source.slot(ref)) !== undefined)
		expect(isReadable).toEqual([false, false, false, true, true])
		source.forget(tables[4]?.ref as TableRef)
		expect(source.stats().offeredBytes).toBe(sizes[3])
		const tooSmall = new TableSource({ store: new MemoryStore(), pool, offeredBytes: (sizes[0] ?? 0) - 1 })
		tooSmall.offerTable(tables[0]?.ref as TableRef, tables[0]?.bytes as Uint8Array)
		expect(tooSmall.stats().offeredBytes).toBe(0)
	})

	test('that a read hands out is the caller’s: changing it changes no later read', async () => {
		const { store, ref } = await oneTable()
		const reads = readsOf<string, Uint8Array>(store, viewOf(manifestOf({ l0: [ref] })), { valueEncoding: 'buffer' })
		const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()
		const wanted = `${keyOf(4)}@5`
		for (let round = 0; round < 2; round++) {
			const values = [
				await reads.get(keyOf(4)),
				...(await reads.getMany([keyOf(4), keyOf(4)])),
				reads.getCached(keyOf(4), undefined),
			]
			for await (const [key, value] of reads.entries({ gte: keyOf(4), limit: 2 })) {
				if (key === keyOf(4)) values.push(value)
				else value.fill(0)
			}
			expect(values.map(text)).toEqual(Array.from({ length: 5 }, () => wanted))
			for (const value of values) value?.fill(0xff)
		}
	})

	test('is decoded in the pool when a read brings much, with the same result', async () => {
		const store = new MemoryStore()
		const table = tableOf(
			't',
			Array.from({ length: 20 }, (_, i) => put(keyOf(i), i + 1, `${i}`.repeat(100_000))),
		)
		const ref = await storeTable(store, table)
		const pool = createInlinePool(systemHost)
		const source = new TableSource({ store, pool })
		const reads = readsOf(store, viewOf(manifestOf({ l0: [ref] })), { source })
		expect(await reads.get(keyOf(7))).toBe('7'.repeat(100_000))
		expect(pool.stats().completed).toBe(1)
		expect((await collect(reads.values())).map(value => value.length)).toEqual(
			Array.from({ length: 20 }, (_, i) => `${i}`.length * 100_000),
		)
	})
})
