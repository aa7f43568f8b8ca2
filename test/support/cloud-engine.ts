/**
 * The engine's own end-to-end test on a store of any kind: a writer, a reader and a tail in their own connections, large
 * values, deletion, a takeover. What a store promises one by one (the conformance suite) has to hold together here.
 */
import { expect, test } from 'vitest'
import { type Change, type DatabaseReader, type ObjectStore, open, openReader, probeStore } from '../../src/index.ts'

const ROWS = 3000
const LARGE_VALUE = 'large '.repeat(100_000)

const keyOf = (row: number): string => `key ${String(row).padStart(5, '0')}`

/** Registers the tests. Every store that `connect` opens under one name must be the same place. */
export function engineTests(connect: (place: string) => Promise<ObjectStore>): void {
	test('is trusted by the probe, which leaves nothing behind', async () => {
		const store = await connect('probe')
		await probeStore(store, { parts: 'check' })
		expect((await store.list()).objects).toEqual([])
		await store.close()
	})

	test('what is written is read, scanned and tailed by others, in order, through updates and deletions', async () => {
		const place = 'written'
		await using db = await open(await connect(place), { flushIntervalMs: 0 })
		for (let row = 0; row < ROWS; row++) await db.put(keyOf(row), `value ${row}`)
		await db.put('large', LARGE_VALUE)
		await db.flush()
		await using reader = await openReader(await connect(place))
		expect(await reader.get(keyOf(ROWS - 1))).toBe(`value ${ROWS - 1}`)
		expect(await reader.get('large')).toBe(LARGE_VALUE)
		expect(await reader.get('absent')).toBeUndefined()
		expect(await keysOf(reader)).toEqual([...Array.from({ length: ROWS }, (_, row) => keyOf(row)), 'large'])

		await using changes = reader.changes({ from: 'start', pollIntervalMs: 20 })[Symbol.asyncIterator]()
		const seen: Change<string, string>[] = []
		const follow = async (count: number): Promise<void> => {
			while (seen.length < count) seen.push(...((await changes.next()).value ?? []))
		}
		await follow(ROWS + 1)
		await db.put(keyOf(7), 'changed', { durable: true })
		await db.delete(keyOf(8))
		await db.put('last', 'one', { durable: true })
		await follow(ROWS + 4)
		expect(seen.slice(ROWS + 1).map(({ kind, key }) => [kind, key])).toEqual([
			['put', keyOf(7)],
			['delete', keyOf(8)],
			['put', 'last'],
		])
		const numbers = seen.map(({ seq }) => seq)
		expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
		await reader.refresh()
		expect(await reader.get(keyOf(7))).toBe('changed')
		expect(await reader.get(keyOf(8))).toBeUndefined()
	})

	test('a second writer takes over all of it, and fences the first', async () => {
		const place = 'taken over'
		const first = await open(await connect(place), { flushIntervalMs: 0 })
		for (let row = 0; row < 100; row++) await first.put(keyOf(row), `first ${row}`, { durable: row % 10 === 0 })
		await first.flush()
		await using second = await open(await connect(place), { flushIntervalMs: 0 })
		expect(await second.get(keyOf(99))).toBe('first 99')
		await second.put(keyOf(99), 'second', { durable: true })
		await expect(first.put(keyOf(99), 'late', { durable: true })).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await first.close().catch(() => {})
		await using reader = await openReader(await connect(place))
		expect(await reader.get(keyOf(99))).toBe('second')
	})

	test('of ten writers that open at once, one can write, and nothing that was durable is lost', async () => {
		const place = 'contended'
		const durable: string[] = []
		const writers = await Promise.allSettled(
			Array.from({ length: 10 }, async (_, i) => {
				const db = await open(await connect(place), { flushIntervalMs: 0 })
				const put = await Promise.allSettled([db.put(`writer ${i}`, 'here', { durable: true })])
				if (put[0].status === 'fulfilled') durable.push(`writer ${i}`)
				await db.close().catch(() => {})
			}),
		)
		for (const writer of writers) {
			if (writer.status === 'rejected') expect(writer.reason).toMatchObject({ code: expect.stringMatching(/^ISLE_/) })
		}
		expect(durable.length).toBeGreaterThan(0)
		await using reader = await openReader(await connect(place))
		for (const key of durable) expect(await reader.get(key), key).toBe('here')
	})
}

async function keysOf(reader: DatabaseReader): Promise<string[]> {
	const keys: string[] = []
	for await (const key of reader.keys()) keys.push(key)
	return keys
}
