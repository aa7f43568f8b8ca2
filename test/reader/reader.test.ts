import { afterEach, describe, expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openReader } from '../../src/reader/reader.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { type DatabaseWriter, type OpenWriterOptions, openWriter } from '../../src/writer/database-writer.ts'
import { FaultyStore, failBefore } from '../support/faulty-store.ts'
import { manualHost } from '../support/manual-clock.ts'
import { collect } from './fixture.ts'

const opened: { close(): Promise<void> }[] = []

function owned<Closable extends { close(): Promise<void> }>(closable: Closable): Closable {
	opened.push(closable)
	return closable
}

afterEach(async () => {
	for (const closable of opened.splice(0).reverse()) await closable.close().catch(() => undefined)
})

async function writerOf(store: ObjectStore, options: OpenWriterOptions = {}): Promise<DatabaseWriter> {
	return owned(await openWriter(store, { flushIntervalMs: 0, pool: createInlinePool(systemHost), ...options }))
}

const still = { refreshIntervalMs: 0 }

describe('a reader', () => {
	test('of a prefix without a database sees nothing, and sees the data once a writer has come', async () => {
		const store = new MemoryStore()
		const reader = owned(await openReader(store, still))
		expect(await reader.get('a')).toBeUndefined()
		expect(await collect(reader.entries())).toEqual([])
		expect(await reader.getMany(['a', 'b'])).toEqual([undefined, undefined])
		const writer = await writerOf(store)
		await writer.put('a', '1')
		await writer.flush()
		expect(await reader.get('a')).toBeUndefined()
		await reader.refresh()
		expect(await reader.get('a')).toBe('1')
		expect(await collect(reader.entries())).toEqual([['a', '1']])
	})

	test('writes nothing to the store, whatever it does', async () => {
		const inner = new MemoryStore()
		const writer = await writerOf(inner, { inlineMaxBytes: 0 })
		for (let i = 0; i < 100; i++) await writer.put(`k${i}`, `v${i}`)
		await writer.flush()
		const store = countingStore(inner)
		const reader = owned(await openReader(store, still))
		await reader.get('k1')
		await reader.getMany(['k2', 'k3'])
		await collect(reader.keys())
		await reader.refresh()
		const snapshot = reader.snapshot()
		await snapshot.has('k4')
		await reader.close()
		const { byKind } = store.snapshot()
		for (const kind of ['put', 'createIfAbsent', 'createFromStream', 'delete', 'deleteMany'] as const) {
			expect(byKind[kind].requests).toBe(0)
		}
		expect(byKind.getRange.requests).toBeGreaterThan(0)
	})

	test('needs no GET for a table that came inside a record', async () => {
		const inner = new MemoryStore()
		const writer = await writerOf(inner)
		await writer.put('a', '1')
		await writer.flush()
		const store = countingStore(inner)
		const reader = owned(await openReader(store, still))
		const before = store.snapshot().total.requests
		expect(reader.getCached('a', 'cold')).toBe('1')
		expect(reader.getCached('b', 'cold')).toBeUndefined()
		expect(await collect(reader.values())).toEqual(['1'])
		expect(store.snapshot().total.requests).toBe(before)
	})

	test('sees at least the commit that a caller names', async () => {
		const store = new MemoryStore()
		const writer = await writerOf(store)
		const reader = owned(await openReader(store, still))
		for (let i = 0; i < 3; i++) {
			await writer.put('a', String(i))
			const atLeast = await writer.flush()
			expect(await reader.get('a', { atLeast })).toBe(String(i))
			expect(await reader.has('a', { atLeast })).toBe(true)
			expect(await reader.getMany(['a'], { atLeast })).toEqual([String(i)])
			expect(reader.stats().position >= atLeast).toBe(true)
		}
		await expect(reader.get('a', { atLeast: 'nonsense' })).rejects.toThrow(RangeError)
		const controller = new AbortController()
		const never = reader.get('a', { atLeast: '10000000000000f00000000000000', signal: controller.signal })
		controller.abort(new Error('enough'))
		await expect(never).rejects.toThrow('enough')
	})

	test('refreshes in the background, keeps the good view while that fails, and tries again', async () => {
		const inner = new MemoryStore()
		const writer = await writerOf(inner)
		await writer.put('a', '1')
		await writer.flush()
		const store = new FaultyStore(inner)
		const host = manualHost()
		const reader = owned(await openReader(store, { host, refreshIntervalMs: 1000, pool: createInlinePool(systemHost) }))
		await writer.put('a', '2')
		await writer.flush()
		expect(await reader.get('a')).toBe('1')
		expect(host.clock.pendingForegroundTimers).toBe(0)
		await host.clock.advance(1000)
		expect(await reader.get('a')).toBe('2')
		store.before = () => failBefore()
		await writer.put('a', '3')
		await writer.flush()
		await host.clock.advance(120_000)
		expect(await reader.get('a')).toBe('2')
		expect(reader.stats().refreshFailures).toBeGreaterThan(0)
		expect(reader.stats().refreshError).toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		store.before = () => undefined
		await host.clock.advance(120_000)
		expect(await reader.get('a')).toBe('3')
		expect(reader.stats().refreshFailures).toBe(0)
		await reader.close()
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('tells that it is closed, and so do its iterators and snapshots', async () => {
		const store = new MemoryStore()
		const writer = await writerOf(store)
		await writer.put('a', '1')
		await writer.put('b', '2')
		await writer.flush()
		const reader = await openReader(store, still)
		const scan = reader.entries()
		expect((await scan.next()).value).toEqual(['a', '1'])
		const snapshot = reader.snapshot()
		await Promise.all([reader.close(), reader.close()])
		const isClosed = { code: 'ISLE_CLOSED' }
		await expect(reader.get('a')).rejects.toMatchObject(isClosed)
		await expect(reader.getMany(['a'])).rejects.toMatchObject(isClosed)
		await expect(reader.refresh()).rejects.toMatchObject(isClosed)
		await expect(scan.next()).rejects.toMatchObject(isClosed)
		await expect(snapshot.get('a')).rejects.toMatchObject(isClosed)
		expect(() => scan.seek('a')).toThrow('closed')
		expect(() => reader.keys()).toThrow('closed')
		expect(() => reader.getCached('a', 0)).toThrow('closed')
	})

	test('refuses options, keys and ranges that make no sense', async () => {
		const store = new MemoryStore()
		for (const options of [
			{ refreshIntervalMs: -1 },
			{ blockCacheBytes: -1 },
			{ tableCacheBytes: 0.5 },
			{ gracePeriodMs: Number.NaN },
		]) {
			await expect(openReader(store, options)).rejects.toThrow(RangeError)
		}
		await expect(openReader(store, { keyEncoding: 'utf16' as 'utf8' })).rejects.toThrow(TypeError)
		const reader = owned(await openReader(store, still))
		await expect(reader.get('')).rejects.toThrow(RangeError)
		await expect(reader.get(5 as unknown as string)).rejects.toThrow(TypeError)
		await expect(reader.get('x'.repeat(65_537))).rejects.toThrow(RangeError)
		expect(await reader.get('x'.repeat(65_536))).toBeUndefined()
		expect(await reader.get('é'.repeat(32_768))).toBeUndefined()
		await expect(reader.get(`${'é'.repeat(32_768)}x`)).rejects.toThrow(RangeError)
		await expect(reader.getMany('ab' as unknown as string[])).rejects.toThrow(TypeError)
	})

	test('refuses a prefix that holds something else', async () => {
		const store = new MemoryStore()
		await store.put('photo.jpg', new Uint8Array(3))
		await expect(openReader(store, still)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
	})
})

describe('a snapshot', () => {
	test('repeats its reads whatever is written, refreshed or expires later', async () => {
		const store = new MemoryStore()
		const host = manualHost()
		const writer = await writerOf(store, { host })
		await writer.put('a', '1')
		await writer.put('gone soon', 'x', { ttlMs: 500 })
		await writer.flush()
		const reader = owned(await openReader(store, { ...still, host, pool: createInlinePool(systemHost) }))
		const snapshot = owned(reader.snapshot())
		await writer.put('a', '2')
		await writer.put('b', '3')
		await writer.flush()
		await reader.refresh()
		await host.clock.advance(1000)
		expect(await reader.getMany(['a', 'b', 'gone soon'])).toEqual(['2', '3', undefined])
		expect(await snapshot.getMany(['a', 'b', 'gone soon'])).toEqual(['1', undefined, 'x'])
		expect(await collect(snapshot.keys())).toEqual(['a', 'gone soon'])
		expect(reader.stats().openSnapshots).toBe(1)
		await snapshot.close()
		await snapshot.close()
		expect(reader.stats().openSnapshots).toBe(0)
		await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})
})

describe('large values', () => {
	test('come back whole by every way of reading, and as a stream', async () => {
		const store = new MemoryStore()
		const writer = await writerOf(store, { blobThresholdBytes: 1024 })
		const value = (seed: number): Buffer => Buffer.alloc(600_000, `${seed} and so on `)
		await writer.put('a', 'small')
		await writer.put('b', value(3))
		await writer.put('c', value(5))
		await writer.put('d', new Uint8Array(1024))
		await writer.flush()
		const reader = owned(await openReader(store, { ...still, valueEncoding: 'buffer' }))
		const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('latin1')
		const [b, c, d] = [text(value(3)), text(value(5)), text(new Uint8Array(1024))]
		expect(text(await reader.get('b'))).toBe(b)
		expect(reader.getCached('b', 'cold')).toBe('cold')
		expect(await reader.has('c')).toBe(true)
		expect((await reader.getMany(['c', 'a', 'c', 'x'])).map(text)).toEqual([c, 'small', c, undefined])
		const rows = (all: [string, Uint8Array][]): unknown[] => all.map(([key, bytes]) => [key, text(bytes)])
		const wanted = [
			['a', 'small'],
			['b', b],
			['c', c],
			['d', d],
		]
		expect(rows(await collect(reader.entries()))).toEqual(wanted)
		expect(rows(await collect(reader.entries({ reverse: true })))).toEqual([...wanted].reverse())
		expect(await collect(reader.keys())).toEqual(['a', 'b', 'c', 'd'])
		const pieces = await reader.getStream('c')
		expect(text(Buffer.concat(await collect(pieces ?? fail())))).toBe(c)
		expect(Buffer.concat(await collect((await reader.getStream('a')) ?? fail())).toString()).toBe('small')
		expect(await reader.getStream('x')).toBeUndefined()
	})

	test('whose pack is gone, and is not in a newer state either, are told as corruption', async () => {
		const store = new MemoryStore()
		const writer = await writerOf(store, { blobThresholdBytes: 1024 })
		await writer.put('b', 'v'.repeat(5000))
		await writer.flush()
		const reader = owned(await openReader(store, still))
		const { objects } = await store.list({ prefix: 'blobs/' })
		await store.deleteMany(objects.map(({ key }) => key))
		await expect(reader.get('b')).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
	})
})

function fail(): never {
	throw new Error('a value was expected')
}
