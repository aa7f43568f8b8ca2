/** Retention of a database that maintains itself, by `open({ retention })`, with merges going on: ages to the millisecond. */
import { describe, expect, test } from 'vitest'
import type { Database, ObjectStore, OpenOptions } from '../../src/index.ts'
import type { ManualHost } from '../support/manual-clock.ts'
import { HOUR_MS, heardOn, ingest, noGrace, opened, stage } from './resident.ts'

/** What notices that it is due looks a quarter of a second later. */
const LOOK_MS = 2000

async function commit(db: Database, ...entries: readonly (readonly [string, string | undefined])[]): Promise<void> {
	for (const [key, value] of entries) await (value === undefined ? db.delete(key) : db.put(key, value))
	await db.flush()
}

async function retaining(seed: number, options: OpenOptions): Promise<[Database, ObjectStore, ManualHost]> {
	const [store, host] = await stage(seed)
	return [await opened(store, host, options), store, host]
}

describe('by age', () => {
	const retention = { mode: 'age', retentionPeriodMs: 10 * HOUR_MS, retentionCount: 0 } as const

	test('a table stays for the period and goes right after it, counted from its newest entry, merged or not', async () => {
		const [db, , host] = await retaining(51, { retention })
		const heard = heardOn('isledb:retention')
		await using _ = db
		await commit(db, ['a', 'value'])
		await host.clock.advance(10 * HOUR_MS)
		expect(await db.get('a')).toBe('value')
		await host.clock.advance(LOOK_MS)
		expect(await db.get('a')).toBeUndefined()
		expect(heard.map(event => event.kind)).toEqual(['started', 'finished'])
		// Rewritten many times, it is as old as it was.
		const model = await ingest(db, host, 8)
		const bornMs = host.clock.nowMs()
		expect(db.stats().runs.length).toBeGreaterThan(0)
		for (let hour = 0; hour < 9; hour++) {
			await host.clock.advance(HOUR_MS)
			await commit(db, [`hour ${hour}`, 'value'])
		}
		const [key = ''] = model.keys()
		expect(await db.get(key)).toBe(model.get(key))
		await host.clock.advance(bornMs + 11 * HOUR_MS + LOOK_MS - host.clock.nowMs())
		expect(await db.get(key)).toBeUndefined()
		expect(await db.get('hour 8')).toBe('value')
	})

	test('nothing that was deleted or overwritten comes back, whatever falls out first', async () => {
		const [db, , host] = await retaining(52, { retention, ...noGrace })
		await using _ = db
		await commit(db, ['deleted', 'old'], ['overwritten', 'old'], ['kept', 'old'])
		await host.clock.advance(5 * HOUR_MS)
		await commit(db, ['deleted', undefined], ['overwritten', 'new'])
		for (let hour = 0; hour < 24; hour++) {
			await host.clock.advance(HOUR_MS)
			// Commits go on, and so do merges.
			for (let i = 0; i < 3; i++) await commit(db, [`key ${hour % 5}`, `${hour}/${i}`], ['gone at once', undefined])
			expect(await db.get('deleted')).toBeUndefined()
			expect([undefined, 'new']).toContain(await db.get('overwritten'))
			if (hour < 9) expect(await db.get('overwritten')).toBe('new')
		}
		expect(await db.get('kept')).toBeUndefined()
		expect(await db.get('overwritten')).toBeUndefined()
		expect(await db.get(`key ${23 % 5}`)).toBe('23/2')
	})

	test('the newest tables stay whatever their age', async () => {
		const [db, , host] = await retaining(53, { retention: { ...retention, retentionCount: 3 } })
		await using _ = db
		for (let i = 0; i < 6; i++) {
			await host.clock.advance(2 * HOUR_MS)
			await commit(db, [`key ${i}`, `${i}`])
		}
		await host.clock.advance(1000 * HOUR_MS)
		const values = await Promise.all([0, 1, 2, 3, 4, 5].map(i => db.get(`key ${i}`)))
		expect(values.filter(value => value !== undefined)).toEqual(['3', '4', '5'])
	})
})

describe('by time window', () => {
	const window = { mode: 'time-window', retentionPeriodMs: 6 * HOUR_MS, segmentDurationMs: HOUR_MS } as const

	test('a segment goes whole when it ended longer ago than the period, and at least one stays', async () => {
		const [db, , host] = await retaining(54, { retention: window })
		await using _ = db
		// From the start of a segment on.
		await host.clock.advance(HOUR_MS - (host.clock.nowMs() % HOUR_MS))
		const startMs = host.clock.nowMs()
		await commit(db, ['first minute', 'value'])
		await host.clock.advance(HOUR_MS - 1000)
		await commit(db, ['last second', 'value'])
		await host.clock.advance(1000)
		await commit(db, ['next segment', 'value'])
		await host.clock.advance(startMs + 7 * HOUR_MS - host.clock.nowMs())
		expect([await db.get('first minute'), await db.get('last second')]).toEqual(['value', 'value'])
		await host.clock.advance(LOOK_MS)
		expect([await db.get('first minute'), await db.get('last second')]).toEqual([undefined, undefined])
		expect(await db.get('next segment')).toBe('value')
		await host.clock.advance(100 * HOUR_MS)
		expect(await db.get('next segment')).toBe('value')
		await commit(db, ['later', 'value'])
		await host.clock.advance(LOOK_MS)
		expect(await db.get('next segment')).toBeUndefined()
		expect(await db.get('later')).toBe('value')
	})

	test.each([
		[19, 1],
		[20, 2],
	])('retentionCount %i keeps %i segments', async (retentionCount, segments) => {
		const [db, , host] = await retaining(55, { retention: { ...window, retentionCount } })
		await using _ = db
		for (let i = 0; i < 4; i++) {
			await commit(db, [`key ${i}`, 'value'])
			await host.clock.advance(HOUR_MS)
		}
		await host.clock.advance(100 * HOUR_MS)
		const values = await Promise.all([0, 1, 2, 3].map(i => db.get(`key ${i}`)))
		expect(values.filter(value => value !== undefined)).toHaveLength(segments)
		expect(values.slice(-segments)).toEqual(Array.from({ length: segments }, () => 'value'))
	})

	test('changes that it dropped are followed while they are kept; a cursor below the floor is typed, with the earliest', async () => {
		const [db, , host] = await retaining(56, { retention: window, changeRetentionMs: 12 * HOUR_MS, gracePeriodMs: 0 })
		await using _ = db
		await commit(db, ['first', 'value'])
		const changes = db.changes({ from: 'start' })[Symbol.asyncIterator]()
		const [first] = (await changes.next()).value ?? []
		await changes.return()
		for (let hour = 0; hour < 9; hour++) {
			await commit(db, [`key ${hour}`, `${hour}`])
			await host.clock.advance(HOUR_MS)
		}
		expect(await db.get('key 0')).toBeUndefined()
		const lagging = db.changes({ from: first?.cursor ?? '' })[Symbol.asyncIterator]()
		const [next] = (await lagging.next()).value ?? []
		expect(next).toMatchObject({ key: 'key 0', value: '0' })
		await lagging.return()
		for (let hour = 9; hour < 40; hour++) {
			await commit(db, [`key ${hour}`, `${hour}`])
			await host.clock.advance(HOUR_MS)
		}
		const late = db.changes({ from: first?.cursor ?? '' })[Symbol.asyncIterator]()
		const error: unknown = await late.next().catch((thrown: unknown) => thrown)
		expect(error).toMatchObject({ code: 'ISLE_EXPIRED' })
		const { earliest } = (error as { details: { earliest: string } }).details
		const again = db.changes({ from: earliest })[Symbol.asyncIterator]()
		const [found] = (await again.next()).value ?? []
		expect(Number(found?.value)).toBeGreaterThan(9)
		// What is twelve hours old to the millisecond is old.
		expect(Number(found?.value)).toBeLessThanOrEqual(40 - 12 + 1)
		await again.return()
	})
})
