/** What the public API costs in requests, whatever the store. */
import { describe, expect, test } from 'vitest'
import {
	createInlinePool,
	type Database,
	type ObjectStore,
	open,
	openReader,
	openStore,
	type RequestSnapshot,
} from '../../src/index.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { RoundStore } from '../reader/round-store.ts'
import { manualHost } from '../support/manual-clock.ts'

const inline = { refreshIntervalMs: 0 } as const
const noTimer = { flushIntervalMs: 0 } as const

/** Requests by kind, without the kinds that were not asked for. */
function requestsOf(snapshot: RequestSnapshot): Record<string, number> {
	const asked = Object.entries(snapshot.byKind).filter(([, count]) => count.requests > 0)
	return Object.fromEntries(asked.map(([kind, count]) => [kind, count.requests]))
}

/** What `work` asks of the store of `db`, by kind. */
async function costOf(db: Database, work: () => Promise<unknown>): Promise<Record<string, number>> {
	const before = requestsOf(db.requests())
	await work()
	const after = requestsOf(db.requests())
	const spent = Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const)
	return Object.fromEntries(spent.filter(([, count]) => count > 0))
}

/** A database of `tables` tables on the store, each of which may hold any key. */
async function withTables(store: ObjectStore, tables: number): Promise<void> {
	await using db = await open(store, { ...noTimer, inlineMaxBytes: 0 })
	for (let table = 0; table < tables; table++) {
		const batch = db.batch().put('a', `${table}`).put('z', `${table}`)
		for (let key = 0; key < 20; key++) batch.put(`key ${key * tables + table}`, `value ${table}`)
		await db.write(batch, { durable: true })
	}
}

describe('writing costs', () => {
	test('one PUT for a small durable put, delete or batch, and nothing for what it replaces', async () => {
		await using db = await open(await openStore('memory:'), noTimer)
		for (let i = 0; i < 3; i++) {
			expect(await costOf(db, () => db.put('key', `${i}`, { durable: true }))).toEqual({ createIfAbsent: 1 })
			expect(await costOf(db, () => db.delete('key', { durable: true }))).toEqual({ createIfAbsent: 1 })
			const batch = db.batch().put('a', '1').put('b', '2').delete('c')
			expect(await costOf(db, () => db.write(batch, { durable: true }))).toEqual({ createIfAbsent: 1 })
		}
	})

	test('nothing for what is accepted, one PUT for the flush of all of it, nothing for a flush of nothing', async () => {
		await using db = await open(await openStore('memory:'), noTimer)
		const accept = async (): Promise<void> => {
			for (let i = 0; i < 400; i++) await db.put(`key ${i}`, 'value')
		}
		expect(await costOf(db, accept)).toEqual({})
		expect(await costOf(db, () => db.flush())).toEqual({ createIfAbsent: 1 })
		expect(await costOf(db, () => db.flush())).toEqual({})
	})

	test('nothing while nothing is written, for a day, with a tail that waits and reads of what was written here', async () => {
		const host = manualHost()
		await using db = await open(await openStore('memory:'), { host, pool: createInlinePool(host) })
		await db.put('key', 'value', { durable: true })
		const changes = db.changes({ from: 'start' })[Symbol.asyncIterator]()
		await changes.next()
		const waiting = changes.next()
		const idle = await costOf(db, async () => {
			await host.clock.advance(86_400_000)
			await db.get('key')
			for await (const _ of db.entries());
		})
		expect(idle).toEqual({})
		await changes.return()
		expect((await waiting).done).toBe(true)
	})

	test('one PUT more for the large values of a commit', async () => {
		await using db = await open(await openStore('memory:'), { ...noTimer, blobThresholdBytes: 1024 })
		const large = 'x'.repeat(2000)
		const batch = db.batch().put('a', large).put('b', large).put('c', 'small')
		expect(await costOf(db, () => db.write(batch, { durable: true }))).toEqual({ put: 1, createIfAbsent: 1 })
		expect(await costOf(db, () => db.get('a'))).toEqual({ getRange: 1 })
	})
})

describe('opening costs', () => {
	const budget = { lists: 2, others: 0 }

	test.each([0, 1, 7, 60])('two LISTs, one PUT and the %i records of the log for a writer', async commits => {
		const store = await openStore('memory:')
		await using first = await open(store, noTimer)
		for (let i = 0; i < commits; i++) await first.put(`${i}`, 'value', { durable: true })
		await first.close()
		await using db = await open(store, noTimer)
		const { list = 0, get = 0, ...others } = requestsOf(db.requests())
		expect(list).toBeLessThanOrEqual(budget.lists)
		// One seal and the commits; a window of 8 slots that doubles looks at most that far past the end of each epoch.
		expect(get).toBeGreaterThanOrEqual(commits + 2)
		// Nine more ask whether a record is missing at the end.
		expect(get).toBeLessThanOrEqual(2 * commits + 3 * 8 + 17)
		expect(others).toEqual({ createIfAbsent: 1 })
	})

	test.each([0, 1, 60])('two LISTs and the %i records of the log for a reader, and no write', async commits => {
		const store = await openStore('memory:')
		await using first = await open(store, noTimer)
		for (let i = 0; i < commits; i++) await first.put(`${i}`, 'value', { durable: true })
		const counts = countingStore(store)
		await using reader = await openReader(counts, inline)
		const { list = 0, get = 0, ...others } = requestsOf(counts.snapshot())
		expect(list).toBeLessThanOrEqual(budget.lists)
		// One seal of each log, the commits, what the windows (8, doubling) reach beyond the end, and the rest of 17 slots behind it.
		expect(get).toBe({ 0: 20, 1: 21, 60: 123 }[commits])
		expect(others).toEqual({})
		// Small tables came in the records: reading them costs nothing more.
		for (let i = 0; i < commits; i++) expect(await reader.get(`${i}`)).toBe('value')
		expect(requestsOf(counts.snapshot())).toEqual({ list, get })
		expect(reader.requests()).toEqual(counts.snapshot())
	})
})

describe('a cold get', () => {
	test.each([1, 40])('costs at most two GETs in sequence over %i tables, found or not', async tables => {
		const inner = await openStore('memory:')
		await withTables(inner, tables)
		for (const [key, value] of [
			['a', `${tables - 1}`],
			[`key ${tables - 1}`, `value ${tables - 1}`],
			['key 0', 'value 0'],
			['missing', undefined],
		] as const) {
			const store = new RoundStore(inner)
			store.isHolding = false
			await using reader = await openReader(store, inline)
			store.isHolding = true
			store.reset()
			expect(await store.settle(reader.get(key))).toBe(value)
			expect(store.rounds.length).toBeLessThanOrEqual(2)
			store.reset()
			expect(await store.settle(reader.get(key))).toBe(value)
			expect(store.requests).toBe(0)
		}
	})

	test('positive control: rounds are counted', async () => {
		const inner = await openStore('memory:')
		await inner.put('object', new Uint8Array(10))
		const store = new RoundStore(inner)
		const threeInSequence = async (): Promise<void> => {
			for (let offset = 0; offset < 3; offset++) await store.getRange('object', { offset, bytes: 1 })
		}
		await store.settle(threeInSequence())
		expect(store.rounds).toHaveLength(3)
	})
})

describe('reading and following costs', () => {
	test('one GET for a look at the log that has not moved on, and three for a commit that has come', async () => {
		const store = await openStore('memory:')
		await using db = await open(store, noTimer)
		await db.put('key', 'old', { durable: true })
		const counts = countingStore(store)
		const host = manualHost()
		await using reader = await openReader(counts, { refreshIntervalMs: 1000, host, pool: createInlinePool(host) })
		counts.reset()
		await host.clock.advance(10_000)
		// And once in ten seconds the maintenance log.
		expect(requestsOf(counts.snapshot())).toEqual({ get: 10 + 1 })
		counts.reset()
		await db.put('key', 'new', { durable: true })
		await host.clock.advance(1000)
		expect(await reader.get('key')).toBe('new')
		// The record itself, and then a window of two slots, side by side.
		expect(requestsOf(counts.snapshot())).toEqual({ get: 3 })
	})
})
