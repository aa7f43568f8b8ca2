import { describe, expect, test } from 'vitest'
import type { Database, DatabaseReader, Explanation } from '../../src/index.ts'
import type { ByteRange, RequestOptions } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { lostReply } from '../support/scripted-store.ts'
import { Maintained } from './maintained.ts'

const scratch = scratchDirectories()
const NONE = { memory: 0, disk: 0, store: 0, shared: 0 }

/** Two tables that both may hold any key, many blocks each, and a large value. */
async function filled(): Promise<Maintained> {
	const maintained = new Maintained()
	await using db = await maintained.open({ codec: 'none' })
	for (let table = 0; table < 2; table++) {
		for (let i = 0; i < 2000; i++) await db.put(`key${i * 2 + table}`, `value ${i} ${'x'.repeat(40)}`)
		if (table === 1) await db.put('large', 'l'.repeat(300_000))
		await db.flush()
	}
	return maintained
}

function requestsOf({ requests }: Explanation<unknown>): Record<string, number> {
	const asked = Object.entries(requests.byKind).filter(([, count]) => count.requests > 0)
	return Object.fromEntries(asked.map(([kind, count]) => [kind, count.requests]))
}

describe('explain', () => {
	test('tells the requests, bytes and money of a get, and where tables and blocks came from', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		const before = reader.requests().total
		const cold = await reader.explain(() => reader.get('key100'))
		const after = reader.requests().total
		expect(cold.result).toContain('value 50')
		expect(requestsOf(cold)).toEqual({ getRange: cold.tables.store + cold.blocks.store })
		expect(cold.tables).toEqual({ ...NONE, store: 2 })
		expect(cold.blocks.store).toBeGreaterThanOrEqual(1)
		expect(cold.requests.total.receivedBytes).toBe(after.receivedBytes - before.receivedBytes)
		expect(cold.requests.total.estimatedUsd).toBeCloseTo(after.estimatedUsd - before.estimatedUsd, 12)
		expect(cold.requests.total.estimatedUsd).toBeGreaterThan(0)
		const warm = await reader.explain(() => reader.get('key100'))
		expect(requestsOf(warm)).toEqual({})
		expect(warm.tables).toEqual({ ...NONE, memory: 2 })
		expect(warm.blocks).toEqual({ ...NONE, memory: cold.blocks.store })
	})

	test('counts each operation by itself while others run, and what is waited for as shared', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		await reader.getMany(['key0', 'key3999'])
		const [a, b, same] = await Promise.all([
			reader.explain(() => reader.get('key2000')),
			reader.explain(() => reader.get('key3001')),
			reader.explain(() => reader.get('key2000')),
			reader.get('key2222'),
			reader.get('key1555'),
		])
		expect(requestsOf(a)).toEqual({ getRange: a.blocks.store })
		expect(requestsOf(b)).toEqual({ getRange: b.blocks.store })
		expect(a.blocks.shared + b.blocks.shared).toBe(0)
		expect(requestsOf(same)).toEqual({})
		expect(same.blocks.shared).toBe(a.blocks.store)
		expect(same.result).toBe(a.result)
		// Nothing is traced any more.
		const last = await reader.explain(() => Promise.resolve())
		await reader.get('key777')
		expect(requestsOf(last)).toEqual({})
	})

	test('follows scans as far as they are consumed in it, getMany, streams, snapshots and the past', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		let scan = reader.keys()
		const outside = await reader.explain(() => {
			scan = reader.keys({ gte: 'key3', limit: 5 })
		})
		expect(requestsOf(outside)).toEqual({})
		const inside = await reader.explain(async () => {
			let rows = 0
			for await (const _key of scan) rows++
			return rows
		})
		expect(inside.result).toBe(5)
		expect(inside.tables).toEqual({ ...NONE, store: 2 })
		expect(inside.requests.total.requests).toBeGreaterThan(2)
		await using snapshot = reader.snapshot()
		const many = await reader.explain(() => snapshot.getMany(['key10', 'key11', 'key12']))
		expect(many.tables).toEqual({ ...NONE, memory: 2 })
		const large = await reader.explain(async () => {
			let bytes = 0
			for await (const piece of (await reader.getStream('large')) ?? []) bytes += piece.length
			return bytes
		})
		expect(large.result).toBe(300_000)
		expect(large.requests.byKind.getStream).toMatchObject({ requests: 1 })
		expect(large.requests.byKind.getStream.receivedBytes).toBeGreaterThan(300_000)
	})

	test('counts every retry, and time by the clock', async () => {
		const maintained = await filled()
		const { clock } = maintained.rig.host
		class Failing extends PassThroughStore {
			failures = 0
			override getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
				return this.failures-- > 0 ? Promise.reject(lostReply()) : super.getRange(key, range, options)
			}
		}
		const store = new Failing(maintained.rig.store)
		await using reader = await maintained.openReader(store)
		await reader.getMany(['key0', 'key3999'])
		store.failures = 2
		const explaining = reader.explain(() => reader.get('key2000'))
		for (let i = 0; i < 20; i++) await clock.advance(clock.nextTimerMs ?? 0)
		const explained = await explaining
		expect(explained.requests.byKind.getRange).toMatchObject({ requests: explained.blocks.store + 2, failures: 2 })
		expect(explained.elapsedMs).toBeGreaterThan(0)
	})

	test('knows the cache on disk', async () => {
		const cacheDir = scratch()
		const maintained = await filled()
		{
			await using reader = await maintained.openReader(maintained.rig.store, { cacheDir })
			await reader.get('key100')
		}
		await using reader = await maintained.openReader(maintained.rig.store, { cacheDir })
		const explained = await reader.explain(() => reader.get('key100'))
		expect(requestsOf(explained)).toEqual({})
		expect(explained.tables).toEqual({ ...NONE, disk: 2 })
		expect(explained.blocks.disk).toBeGreaterThanOrEqual(1)
		expect(explained.blocks.store).toBe(0)
	})

	test('works in the process of the writer, and rejects with what the operation throws', async () => {
		const maintained = await filled()
		await using db = await maintained.open()
		const readers: (Database | DatabaseReader)[] = [db, await maintained.openReader()]
		for (const reads of readers) {
			const explained = await reads.explain(() => reads.get('key100'))
			expect(explained.tables).toEqual({ ...NONE, store: 2 })
			await expect(
				reads.explain(() => {
					throw new Error('mine')
				}),
			).rejects.toThrow('mine')
			await expect(reads.explain(() => reads.get(''))).rejects.toThrow(RangeError)
			await expect(reads.explain(7 as never)).rejects.toThrow(TypeError)
			const after = await reads.explain(() => reads.get('key100'))
			expect(after.tables).toEqual({ ...NONE, memory: 2 })
		}
		await readers[1]?.close()
	})
})
