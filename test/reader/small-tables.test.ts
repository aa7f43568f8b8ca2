/** Tables that are so small that they come whole. */
import { expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { manifestOf, put, readsOf, storeTable, tableOf } from './fixture.ts'
import { RoundStore } from './round-store.ts'

const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`
const valueAt = (i: number): string => `${i}`.padStart(40, '.')

test.each([
	[16_380, 1],
	[16_400, 2],
])('a get reads tables of up to 16 KiB whole: %i bytes, %i requests', async (bytes, requests) => {
	const store = new RoundStore(new MemoryStore())
	store.isHolding = false
	const sized = (valueBytes: number): ReturnType<typeof tableOf> =>
		tableOf('t', [put('a', 1, 'x'.repeat(valueBytes)), put('b', 2)], { codec: 'none' })
	let valueBytes = bytes - sized(0).bytes.length - 64
	while (sized(valueBytes).bytes.length < bytes) valueBytes++
	const table = sized(valueBytes)
	expect(table.bytes.length).toBe(bytes)
	const reads = readsOf(store, viewOf(manifestOf({ l0: [await storeTable(store, table)] })))
	store.isHolding = true
	expect(await store.settle(reads.get('b'))).toBe('b@2')
	expect(store.requests).toBe(requests)
})

test('a damaged block of a small table is for whoever asks for it', async () => {
	const store = new MemoryStore()
	const versions = Array.from({ length: 60 }, (_, i) => put(keyOf(i), i + 1, valueAt(i)))
	const table = tableOf('t', versions, { codec: 'none', blockBytes: 1_024 })
	table.bytes[100] = (table.bytes[100] ?? 0) ^ 1
	const reads = readsOf<string, string>(store, viewOf(manifestOf({ l0: [await storeTable(store, table)] })))
	expect(await reads.get(keyOf(59))).toBe(valueAt(59))
	await expect(reads.get(keyOf(0))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
})
