import { describe, expect, test } from 'vitest'
import type { DatabaseReader, RequestSnapshot } from '../../src/index.ts'
import type { RequestOptions } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { lostReply } from '../support/scripted-store.ts'
import { Maintained } from './maintained.ts'

function requestsOf({ byKind }: RequestSnapshot): Record<string, number> {
	const asked = Object.entries(byKind).filter(([, count]) => count.requests > 0)
	return Object.fromEntries(asked.map(([kind, count]) => [kind, count.requests]))
}

/** What `work` asks of the store of `reader`, by kind. */
async function costOf(reader: DatabaseReader, work: () => Promise<unknown>): Promise<Record<string, number>> {
	const before = requestsOf(reader.requests())
	await work()
	const spent = Object.entries(requestsOf(reader.requests())).map(
		([kind, count]) => [kind, count - (before[kind] ?? 0)] as const,
	)
	return Object.fromEntries(spent.filter(([, count]) => count > 0))
}

async function rowsOf<Row>(scan: AsyncIterable<Row>): Promise<Row[]> {
	const rows: Row[] = []
	for await (const row of scan) rows.push(row)
	return rows
}

/** A reader in front of a writer whose tables ride in its commits. */
async function pair(options: Parameters<Maintained['openReader']>[1] = {}) {
	const maintained = new Maintained({ gracePeriodMs: 900_000 })
	const db = await maintained.open({ inlineMaxBytes: 1_048_576 })
	await db.put('k', '0')
	await db.flush()
	const reader = await maintained.openReader(maintained.rig.store, options)
	const write = async (value: string): Promise<string> => {
		await db.put('k', value)
		return await db.flush()
	}
	return { maintained, clock: maintained.rig.host.clock, db, reader, write }
}

describe('a read with maxStalenessMs', () => {
	test('costs nothing while the view is new enough, and one GET beyond it', async () => {
		const { clock, db, reader } = await pair()
		await clock.advance(1000)
		expect(await costOf(reader, () => reader.get('k', { maxStalenessMs: 1000 }))).toEqual({})
		expect(await costOf(reader, () => reader.get('k', { maxStalenessMs: 999 }))).toEqual({ get: 1 })
		expect(await costOf(reader, () => reader.get('k', { maxStalenessMs: 0 }))).toEqual({})
		await clock.advance(1)
		const reads = [
			(): Promise<unknown> => reader.get('k', { maxStalenessMs: 0 }),
			(): Promise<unknown> => reader.getMany(['k'], { maxStalenessMs: 0 }),
			(): Promise<unknown> => reader.has('k', { maxStalenessMs: 0 }),
			(): Promise<unknown> => reader.getStream('k', { maxStalenessMs: 0 }),
			(): Promise<unknown> => rowsOf(reader.entries({ maxStalenessMs: 0 })),
			(): Promise<unknown> => rowsOf(reader.keys({ maxStalenessMs: 0 })),
			(): Promise<unknown> => rowsOf(reader.values({ maxStalenessMs: 0 })),
		]
		for (const read of reads) {
			await clock.advance(1)
			expect(await costOf(reader, read)).toEqual({ get: 1 })
			expect(await costOf(reader, read)).toEqual({})
		}
		await reader.close()
		await db.close()
	})

	test('sees what was committed before it, and what lies within the bound it need not', async () => {
		const { clock, db, reader, write } = await pair()
		await clock.advance(10)
		await write('1')
		await clock.advance(10)
		expect(await reader.get('k', { maxStalenessMs: 20 })).toBe('0')
		expect(await reader.get('k', { maxStalenessMs: 19 })).toBe('1')
		await write('2')
		await clock.advance(1)
		expect(await rowsOf(reader.entries({ maxStalenessMs: 0 }))).toEqual([['k', '2']])
		await reader.close()
		await db.close()
	})

	test('is bounded for all reads by the option of the reader; one read may ask for less or more', async () => {
		const { clock, db, reader, write } = await pair({ maxStalenessMs: 100 })
		await write('1')
		await clock.advance(100)
		expect(await reader.get('k')).toBe('0')
		await clock.advance(1)
		expect(await reader.get('k', { maxStalenessMs: Number.POSITIVE_INFINITY })).toBe('0')
		expect(await reader.get('k')).toBe('1')
		await write('2')
		expect(reader.getCached('k', 'cold')).toBe('1')
		for (const maxStalenessMs of [-1, 1.5, Number.NaN, '5' as never]) {
			await expect(reader.get('k', { maxStalenessMs })).rejects.toThrow(/maxStalenessMs/)
		}
		await reader.close()
		await db.close()
	})

	test('shares one poll among many, fails when the store does not answer, and looks by the wall clock too', async () => {
		const maintained = new Maintained()
		await using db = await maintained.open({ inlineMaxBytes: 1_048_576 })
		await db.put('k', '0')
		await db.flush()
		class Failing extends PassThroughStore {
			isDown = false
			override get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
				return this.isDown ? Promise.reject(lostReply()) : super.get(key, options)
			}
		}
		const store = new Failing(maintained.rig.store)
		await using reader = await maintained.openReader(store, { gracePeriodMs: 900_000 })
		const { clock } = maintained.rig.host
		await clock.advance(5)
		const many = (): Promise<unknown> =>
			Promise.all(Array.from({ length: 50 }, () => reader.get('k', { maxStalenessMs: 1 })))
		expect(await costOf(reader, many)).toEqual({ get: 1 })
		// The process slept, and its monotonic clock with it.
		clock.jumpWallClock(86_400_000)
		expect(await costOf(reader, () => reader.get('k', { maxStalenessMs: 1000 }))).toEqual({ get: 1 })
		store.isDown = true
		await clock.advance(5)
		const failing = reader.get('k', { maxStalenessMs: 1 })
		failing.catch(() => undefined)
		const controller = new AbortController()
		const aborted = reader.get('k', { maxStalenessMs: 1, signal: controller.signal })
		controller.abort(new Error('enough'))
		await expect(aborted).rejects.toThrow('enough')
		for (let i = 0; i < 40; i++) await clock.advance(clock.nextTimerMs ?? 0)
		await expect(failing).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(await reader.get('k')).toBe('0')
	})
})

describe('a read with atLeast', () => {
	test('of any kind sees the commit of the position by a poll, and costs nothing when it is there', async () => {
		const { db, reader, write } = await pair()
		let position = await write('1')
		expect(await costOf(reader, () => reader.get('k', { atLeast: position }))).toEqual({ get: 3 })
		expect(await reader.get('k')).toBe('1')
		expect(await costOf(reader, () => reader.get('k', { atLeast: position }))).toEqual({})
		position = await write('2')
		expect(await rowsOf(reader.entries({ atLeast: position }))).toEqual([['k', '2']])
		position = await write('3')
		expect(await rowsOf(reader.values({ atLeast: position }))).toEqual(['3'])
		position = await write('4')
		const scan = reader.entries({ atLeast: position })
		await write('5')
		await reader.refresh()
		expect(await rowsOf(scan)).toEqual([['k', '5']])
		expect(() => reader.entries({ atLeast: 'nothing' })).toThrow(RangeError)
		await reader.close()
		await db.close()
	})

	test('of a scan that is ended while it waits ends at once', async () => {
		const { db, reader, write } = await pair()
		const position = await write('1')
		const beyond = `${position.slice(0, -3)}fff`
		const scan = reader.entries({ atLeast: beyond })
		const next = scan.next()
		await scan.close()
		await expect(next).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		const controller = new AbortController()
		const aborted = reader.entries({ atLeast: beyond, signal: controller.signal }).next()
		controller.abort(new Error('enough'))
		await expect(aborted).rejects.toThrow('enough')
		const pending = reader.get('k', { atLeast: beyond })
		await reader.close()
		await expect(pending).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		await db.close()
	})
})

describe('a reader that slept for days', () => {
	/** Writers come and go, everything is merged and collected, and what the reader knew is gone. */
	async function daysLater(maintained: Maintained): Promise<void> {
		for (let day = 1; day <= 3; day++) {
			await using db = await maintained.open()
			for (let i = 0; i < 20; i++) {
				await db.put(`k${i}`, `day ${day}`)
				if (i % 5 === 0) await db.flush()
			}
			await db.flush()
			await maintained.rig.host.clock.advance(86_400_000)
			await maintained.mergeAndCollect()
		}
	}

	async function asleep(): Promise<{ maintained: Maintained; reader: DatabaseReader }> {
		const maintained = new Maintained({ gracePeriodMs: 900_000, changeRetentionMs: 3_600_000 })
		{
			await using db = await maintained.open()
			for (let i = 0; i < 20; i++) await db.put(`k${i}`, 'before')
			await db.flush()
		}
		const reader = await maintained.openReader()
		expect(await reader.get('k0')).toBe('before')
		return { maintained, reader }
	}

	test('sees the newest state at its first poll, its first refresh, and its first read that must be new', async () => {
		const wake: ((reader: DatabaseReader) => Promise<unknown>)[] = [
			reader => reader.refresh(),
			reader => reader.get('k1', { maxStalenessMs: 60_000 }),
			reader => rowsOf(reader.keys({ maxStalenessMs: 0 })),
		]
		for (const work of wake) {
			const { maintained, reader } = await asleep()
			await daysLater(maintained)
			await work(reader)
			expect(await reader.getMany(['k0', 'k19'])).toEqual(['day 3', 'day 3'])
			await reader.close()
		}
	})

	test('mends reads of objects that are gone by one refresh, however many miss at once', async () => {
		const maintained = new Maintained()
		{
			await using db = await maintained.open()
			for (let i = 0; i < 20; i++) await db.put(`k${i}`, 'before')
			await db.flush()
		}
		await using reader = await maintained.openReader()
		await using snapshot = reader.snapshot()
		const scan = reader.entries()
		await daysLater(maintained)
		const cost = await costOf(reader, async () => {
			const values = await Promise.all(Array.from({ length: 20 }, (_, i) => reader.get(`k${i}`)))
			expect(new Set(values)).toEqual(new Set(['day 3']))
		})
		// The look that does not confirm what was read, and two to open anew: once for the first, once for who came meanwhile.
		expect(cost['list']).toBeLessThanOrEqual(4)
		expect(await rowsOf(scan)).toHaveLength(20)
		const error: unknown = await snapshot.get('k7').catch((thrown: unknown) => thrown)
		expect(error).toMatchObject({ code: 'ISLE_EXPIRED' })
	})
})

describe('an object that is missing', () => {
	test('from the newest state too costs one refresh a read, is damage, and no loop', async () => {
		const { maintained, db, reader } = await pair()
		await db.put('cold', 'x'.repeat(100))
		await db.flush()
		await db.close()
		await using other = await maintained.open()
		await other.put('object', 'value')
		await other.flush()
		await reader.refresh()
		for (const key of await maintained.rig.keys('sst/')) await maintained.rig.store.delete(key)
		const cost = await costOf(reader, async () => {
			await expect(reader.get('object')).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		})
		expect(cost['list']).toBe(1)
		expect(await reader.get('k')).toBe('0')
		await reader.close()
	})
})
