import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { type CoreReads, collect, manifestOf, memtableOf, put, readsOf, storeTable, tableOf } from './fixture.ts'

const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`

async function readsOfKeys(count: number): Promise<CoreReads<string, string>> {
	const store = new MemoryStore()
	const versions = Array.from({ length: count }, (_, i) => put(keyOf(i), i + 1, String(i)))
	const half = Math.ceil(count / 2)
	const l0 = [
		await storeTable(
			store,
			tableOf(
				'a',
				versions.filter((_, i) => i < half && i % 3 !== 0),
			),
		),
	]
	l0.push(
		await storeTable(
			store,
			tableOf(
				'b',
				versions.filter((_, i) => i >= half || i % 3 === 0),
			),
		),
	)
	return readsOf(store, viewOf(manifestOf({ l0 })))
}

describe('an iterator', () => {
	test('gives rows to calls of next that were not awaited, in order, and undefined after the end', async () => {
		const reads = await readsOfKeys(1500)
		const scan = reads.keys()
		const results = await Promise.all(Array.from({ length: 1510 }, () => scan.next()))
		expect(results.map(({ value }) => value)).toEqual(
			Array.from({ length: 1510 }, (_, i) => (i < 1500 ? keyOf(i) : undefined)),
		)
		expect(results.map(({ done }) => done)).toEqual(Array.from({ length: 1510 }, (_, i) => i >= 1500))
		expect(reads.core.openScans).toBe(0)
	})

	test('shares its position between next and batches', async () => {
		const reads = await readsOfKeys(2000)
		const scan = reads.keys()
		const batches = scan.batches()
		const first = (await scan.next()).value
		const batch = (await batches.next()).value ?? []
		const after = (await scan.next()).value
		expect([first, ...batch, after]).toEqual(Array.from({ length: batch.length + 2 }, (_, i) => keyOf(i)))
		expect(batch.length).toBeLessThanOrEqual(512)
		const rest = (await collect(batches)).flat()
		expect(rest.length).toBe(2000 - batch.length - 2)
	})

	test('is freed by break, by return, by an error in the loop and by disposal', async () => {
		const reads = await readsOfKeys(2000)
		for await (const key of reads.keys()) if (key === keyOf(3)) break
		expect(reads.core.openScans).toBe(0)
		for await (const batch of reads.keys().batches()) if (batch.length > 0) break
		expect(reads.core.openScans).toBe(0)
		await expect(
			(async () => {
				for await (const key of reads.keys()) throw new Error(key)
			})(),
		).rejects.toThrow(keyOf(0))
		expect(reads.core.openScans).toBe(0)
		{
			await using scan = reads.keys()
			await scan.next()
			expect(reads.core.openScans).toBe(1)
		}
		expect(reads.core.openScans).toBe(0)
		const scan = reads.keys()
		expect(await scan.return()).toEqual({ done: true, value: undefined })
		await expect(scan.next()).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		await expect(scan.batches().next()).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		expect(() => scan.seek('a')).toThrow('closed')
	})

	test('counts its limit over seeks, whatever was read ahead', async () => {
		const reads = await readsOfKeys(2000)
		const scan = reads.keys({ limit: 5 })
		expect((await scan.next()).value).toBe(keyOf(0))
		scan.seek(keyOf(1000))
		expect((await scan.next()).value).toBe(keyOf(1000))
		scan.seek(keyOf(10))
		expect(await collect(scan)).toEqual([keyOf(10), keyOf(11), keyOf(12)])
		scan.seek(keyOf(20))
		expect(await collect(scan)).toEqual([])
	})

	test('applies a seek to the next that is pending', async () => {
		const reads = await readsOfKeys(2000)
		const scan = reads.keys()
		const pending = scan.next()
		scan.seek(keyOf(700))
		expect((await pending).value).toBe(keyOf(700))
		expect((await scan.next()).value).toBe(keyOf(701))
		await scan.close()
	})

	test('stays within its range when it seeks outside', async () => {
		const reads = await readsOfKeys(100)
		const scan = reads.keys({ gte: keyOf(10), lt: keyOf(20) })
		scan.seek(keyOf(0))
		expect((await scan.next()).value).toBe(keyOf(10))
		scan.seek(keyOf(20))
		expect((await scan.next()).done).toBe(true)
		scan.seek(keyOf(19))
		expect((await scan.next()).value).toBe(keyOf(19))
		expect(() => scan.seek(7)).toThrow(TypeError)
		await scan.close()
	})

	test('gives what lies before its upper bound, wherever blocks begin', async () => {
		const reads = await readsOfKeys(2000)
		for (let i = 1; i < 2000; i++) {
			const [key] = await collect(reads.keys({ lt: keyOf(i), reverse: true, limit: 1 }))
			expect(key).toBe(keyOf(i - 1))
		}
	})

	test('lets other events happen while it gives rows that are all in memory', async () => {
		const reads = await readsOfKeys(60_000)
		let events = 0
		let isOver = false
		const tick = (): void => {
			events++
			if (!isOver) setImmediate(tick)
		}
		setImmediate(tick)
		let rows = 0
		// A turn every few milliseconds: on a quick machine a scan comes to its end before the next one is due.
		for (let round = 0; round < 5 || (round < 200 && events <= 5); round++)
			for await (const _ of reads.entries()) rows++
		isOver = true
		expect(rows % 60_000).toBe(0)
		expect(events).toBeGreaterThan(5)
	})

	test('sees the memtables of its moment, holds them while it is open, and lets them go', async () => {
		const store = new MemoryStore()
		const memtable = memtableOf([put('a', 1), put('b', 2)])
		const view = { manifest: manifestOf({}), memtables: [memtable], maxSeq: 2 }
		const reads = readsOf(store, view)
		const scan = reads.keys()
		memtable.put('c', 'later', 1, 0)
		memtable.freeze()
		memtable.recycle()
		expect(memtable.bytes).toBeGreaterThan(0)
		expect(await collect(scan)).toEqual(['a', 'b'])
		expect(memtable.bytes).toBe(0)
		expect(() => scan.seek('a')).toThrow('let go')
	})

	test('makes no signal where everything is in memory', async () => {
		const reads = await readsOfKeys(2000)
		await collect(reads.keys())
		const controllers = vi.spyOn(globalThis, 'AbortController')
		try {
			const some = await collect(reads.keys({ gte: keyOf(100), limit: 10 }))
			expect(some).toEqual(Array.from({ length: 10 }, (_, i) => keyOf(100 + i)))
			const scan = reads.entries()
			await scan.next()
			await scan.close()
			expect(controllers).toHaveBeenCalledTimes(0)
			// What has to be fetched is told when the scan is over.
			await collect((await readsOfKeys(10)).keys())
			expect(controllers).toHaveBeenCalled()
		} finally {
			controllers.mockRestore()
		}
	})

	test('gives each key in the encoding of the database, strings that are not ASCII included', async () => {
		const store = new MemoryStore()
		const keys = ['a', 'é', '日本', '𝄞', '~'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
		const ref = await storeTable(
			store,
			tableOf(
				't',
				keys.map((key, i) => put(key, i + 1, `${key}=ü`)),
			),
		)
		const view = viewOf(manifestOf({ l0: [ref] }))
		expect(await collect(readsOf(store, view).entries())).toEqual(keys.map(key => [key, `${key}=ü`]))
		const custom = {
			name: 'hex',
			encode: (text: string) => Buffer.from(text, 'hex'),
			decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('hex'),
		}
		const hex = readsOf(store, view, { keyEncoding: custom, valueEncoding: custom })
		expect(await collect(hex.keys({ gte: '61', lt: '7f' }))).toEqual(['61', '7e'])
		expect(await hex.get('61')).toBe(Buffer.from('a=ü').toString('hex'))
	})
})
