/** Totals by kind of operation: what is asked of the store is counted where it belongs, and nowhere twice. */
import { describe, expect, test } from 'vitest'
import type { Database, DatabaseReader, OperationKind, OperationStats } from '../../src/index.ts'
import type { ByteRange, RequestOptions } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { lostReply } from '../support/scripted-store.ts'
import { Maintained } from './maintained.ts'

const scratch = scratchDirectories()
const NONE = { memory: 0, disk: 0, store: 0, shared: 0 }
const NOTHING = {
	calls: 0,
	tables: NONE,
	blocks: NONE,
	requests: 0,
	failures: 0,
	receivedBytes: 0,
	estimatedUsd: 0,
	elapsedMs: 0,
}
const KEYS = 2_000

/** One table of many blocks, and a large value. */
async function filled(): Promise<Maintained> {
	const maintained = new Maintained()
	await using db = await maintained.open({ codec: 'none' })
	for (let i = 0; i < KEYS; i++) await db.put(`key${i}`, `value ${i} ${'x'.repeat(40)}`)
	await db.put('large', 'l'.repeat(300_000))
	await db.flush()
	return maintained
}

/** What `work` added to each kind that it added anything to. */
async function costOf(
	reads: Database | DatabaseReader,
	work: () => Promise<unknown>,
): Promise<Partial<Record<OperationKind, OperationStats>>> {
	const before = reads.stats().operations
	await work()
	const after = Object.entries(reads.stats().operations)
	const added = after.map(([kind, stats]) => [kind, difference(stats, before[kind as OperationKind])] as const)
	return Object.fromEntries(added.filter(([, stats]) => JSON.stringify(stats) !== JSON.stringify(NOTHING)))
}

function difference<Stats extends object>(after: Stats, before: Stats): Stats {
	const parts = Object.entries(after).map(([name, value]): [string, unknown] => {
		const other: unknown = Reflect.get(before, name)
		return [name, typeof value === 'number' ? value - Number(other) : difference(value, Object(other))]
	})
	return Object.assign(Object.create(null), Object.fromEntries(parts))
}

const walk = async (rows: AsyncIterable<unknown> = { [Symbol.asyncIterator]: () => noRows() }): Promise<void> => {
	for await (const _row of rows);
}
async function* noRows(): AsyncGenerator<unknown> {}

describe('totals by kind of operation', () => {
	test('count calls, requests and bytes of each kind, cold and from memory', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		expect(Object.values(reader.stats().operations)).toEqual(Array.from({ length: 6 }, () => NOTHING))
		const opened = reader.requests().total

		const cold = await costOf(reader, () => reader.get('key7'))
		expect(cold).toEqual({
			get: {
				...NOTHING,
				calls: 1,
				tables: { ...NONE, store: 1 },
				blocks: { ...NONE, store: 1 },
				requests: 2,
				receivedBytes: expect.any(Number),
				estimatedUsd: expect.any(Number),
			},
		})
		const { receivedBytes, estimatedUsd } = reader.requests().total
		expect(cold.get?.receivedBytes).toBe(receivedBytes - opened.receivedBytes)
		expect(cold.get?.estimatedUsd).toBeCloseTo(estimatedUsd - opened.estimatedUsd, 12)
		expect(await costOf(reader, () => reader.get('key7'))).toEqual({
			get: { ...NOTHING, calls: 1, tables: { ...NONE, memory: 1 }, blocks: { ...NONE, memory: 1 } },
		})

		const { getMany } = await costOf(reader, () => reader.getMany(['key7', 'key1999', 'key1']))
		expect(getMany).toMatchObject({ calls: 1, requests: 2 })
		expect(getMany?.blocks.store).toBeGreaterThanOrEqual(2)

		const { scan, ...noOther } = await costOf(reader, () => walk(reader.keys()))
		expect(noOther).toEqual({})
		expect(scan).toMatchObject({ calls: 1, tables: { ...NONE, memory: 1 }, failures: 0 })
		expect(scan?.blocks.store).toBeGreaterThan(10)
		expect(scan?.blocks.memory).toBeGreaterThanOrEqual(2)

		const { getStream } = await costOf(reader, async () => walk(await reader.getStream('large')))
		expect(getStream).toMatchObject({ calls: 1, requests: 1 })
		expect(getStream?.receivedBytes).toBeGreaterThan(300_000)

		await using snapshot = reader.snapshot()
		expect((await costOf(reader, () => snapshot.has('key7'))).get).toMatchObject({ calls: 1, requests: 0 })
		expect((await costOf(reader, () => reader.get('large'))).get).toMatchObject({ calls: 1, requests: 1 })
	})

	test('count prefetching, tails, and what was waited for as shared; all kinds together are all that reads ask for', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		const opened = reader.requests().total.requests
		const { prefetch } = await costOf(reader, () => reader.prefetch({ gte: 'key1', lt: 'key3' }))
		expect(prefetch).toMatchObject({ calls: 1, tables: { ...NONE, store: 1 } })
		expect(prefetch?.requests).toBeGreaterThan(1)

		const twice = await costOf(reader, () => Promise.all([reader.get('key900'), reader.get('key900')]))
		expect(twice.get).toMatchObject({ calls: 2, requests: 1, blocks: { ...NONE, store: 1, shared: 1 } })

		const sum = Object.values(reader.stats().operations).reduce((total, { requests }) => total + requests, 0)
		expect(sum).toBe(reader.requests().total.requests - opened)

		const { tail, ...noOther } = await costOf(reader, async () => {
			const changes = reader.changes({ from: 'start' })[Symbol.asyncIterator]()
			for (let rows = 0; rows <= KEYS; ) rows += (await changes.next()).value?.length ?? KEYS
			await changes.return()
		})
		expect(noOther).toEqual({})
		expect(tail).toMatchObject({ calls: 1, elapsedMs: 0 })
		expect(tail?.requests).toBeGreaterThan(0)
		expect(tail?.blocks.memory).toBeGreaterThan(0)
	})

	test('count what the cache on disk gives, time by the clock, and what failed; what was asked again once', async () => {
		const maintained = await filled()
		const { clock } = maintained.rig.host
		const cacheDir = scratch()
		class Failing extends PassThroughStore {
			failures = 0
			override getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
				return this.failures-- > 0 ? Promise.reject(lostReply()) : super.getRange(key, range, options)
			}
		}
		const store = new Failing(maintained.rig.store)
		{
			await using reader = await maintained.openReader(store, { cacheDir })
			await reader.get('key7')
		}
		await using reader = await maintained.openReader(store, { cacheDir })
		expect(await costOf(reader, () => reader.get('key7'))).toMatchObject({
			get: { requests: 0, tables: { ...NONE, disk: 1 }, blocks: { ...NONE, disk: 1 } },
		})
		store.failures = 2
		const { get } = await costOf(reader, async () => {
			const reading = reader.get('key1999')
			for (let i = 0; i < 20; i++) await clock.advance(clock.nextTimerMs ?? 0)
			await reading
		})
		expect(get).toMatchObject({ calls: 1, requests: 1, failures: 0, blocks: { ...NONE, store: 1 } })
		expect(get?.elapsedMs).toBeGreaterThan(0)
		store.failures = Number.POSITIVE_INFINITY
		const failed = await costOf(reader, async () => {
			const reading = reader.get('key1500').catch(() => undefined)
			for (let i = 0; i < 100; i++) await clock.advance(clock.nextTimerMs ?? 0)
			await reading
		})
		expect(failed.get).toMatchObject({ calls: 1, requests: 1, failures: 1 })
	})

	test('are told by a database too', async () => {
		const maintained = await filled()
		await using db = await maintained.open()
		expect((await costOf(db, () => db.get('key7'))).get).toMatchObject({ calls: 1, requests: 2 })
		expect((await costOf(db, () => walk(db.values({ limit: 1 })))).scan).toMatchObject({ calls: 1 })
		expect(await costOf(db, () => db.put('key7', 'new', { durable: true }))).toEqual({})
		expect(db.getCached('key7', 'cold')).toBe('new')
		expect(db.stats().operations.get).toMatchObject({ calls: 2, requests: 2 })
	})
})
