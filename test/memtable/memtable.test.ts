import { describe, expect, test } from 'vitest'
import { hashKey } from '../../src/bytes/hash.ts'
import { systemHost } from '../../src/host/host.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { hashWords } from '../../src/memtable/key-words.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { INLINE_SORT_MAX_ENTRIES, MAX_RUNS, type SortPool } from '../../src/memtable/sorted-runs.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { KEY_MAX_BYTES, toSeq } from '../../src/sst/entry.ts'
import { CHUNK_BYTES } from '../../src/sst/entry-arena.ts'
import { contentsOf, mergeRuns } from './memtable-model.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)

function newMemtable(pool = new ArenaPool(), maxBytes?: number): Memtable {
	return new Memtable({ baseSeq: toSeq(1), pool, ...(maxBytes === undefined ? {} : { maxBytes }) })
}

const get = (memtable: Memtable, key: string, maxSeq = Number.MAX_SAFE_INTEGER): string | undefined =>
	textOf(memtable.get(utf8(key), maxSeq)?.value)

/** A pool that counts, and fails when told to. */
function sortPool(): SortPool & { jobs: number; failure: Error | undefined } {
	const jobs = createInlinePool(systemHost)
	return {
		jobs: 0,
		failure: undefined,
		run(name, make) {
			this.jobs++
			return this.failure === undefined ? jobs.run(name, make) : Promise.reject(this.failure)
		},
	}
}

describe('limits', () => {
	test.each([1, 3, 4, 5, KEY_MAX_BYTES])('a key of %d bytes is kept', bytes => {
		const memtable = newMemtable()
		const key = new Uint8Array(bytes).fill(0xff)
		memtable.put(key, 'v', 1, 0)
		memtable.put('k'.repeat(bytes), 'w', 1, 0)
		expect(textOf(memtable.get(key, 9)?.value)).toBe('v')
		expect(get(memtable, 'k'.repeat(bytes))).toBe('w')
	})

	test('a key of no bytes, or of one too many, changes nothing and uses no sequence number', () => {
		const memtable = newMemtable()
		memtable.put('k', 'v', 1, 0)
		const before = memtable.entryBytes
		for (const bytes of [0, KEY_MAX_BYTES + 1]) {
			expect(() => memtable.put(new Uint8Array(bytes), 'v', 1, 0)).toThrow(RangeError)
			expect(() => memtable.put('k'.repeat(bytes), 'v', 1, 0)).toThrow(RangeError)
			expect(memtable.get(new Uint8Array(bytes), 9)).toBeUndefined()
		}
		expect(memtable.entryBytes).toBe(before)
		expect(memtable.lastSeq).toBe(1)
		memtable.put('k', 'w', 1, 0)
		expect(memtable.get(utf8('k'), 9)).toMatchObject({ seq: 2 })
	})

	test('a value larger than a chunk stands in a chunk of its own, and small ones go on beside it', () => {
		const memtable = newMemtable()
		const large = new Uint8Array(3 * CHUNK_BYTES + 1).map((_, i) => i)
		memtable.put('a', 'before', 1, 0)
		memtable.put('b', large, 1, 12_345_678_901_234)
		memtable.put('c', 'x'.repeat(2 * CHUNK_BYTES), 1, 0)
		memtable.put('d', 'after', 1, 0)
		expect(memtable.get(utf8('b'), 9)).toMatchObject({ value: large, expiresAtMs: 12_345_678_901_234, seq: 2 })
		expect(get(memtable, 'c')).toBe('x'.repeat(2 * CHUNK_BYTES))
		expect([get(memtable, 'a'), get(memtable, 'd')]).toEqual(['before', 'after'])
	})

	test('text that is not ASCII is kept as UTF-8, at every length and wherever a chunk ends', () => {
		const memtable = newMemtable()
		const texts = Array.from(
			{ length: 600 },
			(_, i) => ['é', '鍵', '\u{1f5dd}', 'a'][i % 4]?.repeat(1 + (i % 97)) ?? '',
		)
		for (const [i, text] of texts.entries()) memtable.put(`${i}/${text}`, text, 1, 0)
		for (const [i, text] of texts.entries()) expect(get(memtable, `${i}/${text}`)).toBe(text)
	})
})

describe('the index', () => {
	test('finds every key while it grows from hundreds to a hundred thousand', () => {
		const memtable = newMemtable()
		for (let i = 0; i < 100_000; i++) memtable.put(`key ${i}`, `${i}`, 1, 0)
		for (let i = 0; i < 100_000; i += 7) expect(get(memtable, `key ${i}`)).toBe(`${i}`)
		expect(get(memtable, 'key 100000')).toBeUndefined()
		expect(memtable.keyCount).toBe(100_000)
	})

	test('hashes words as the filters of tables hash bytes', () => {
		for (let bytes = 1; bytes < 40; bytes++) {
			const words = new Int32Array(12)
			const view = new Uint8Array(words.buffer)
			for (let i = 0; i < bytes; i++) view[i + 4] = (i * 37 + 200) & 0xff
			expect(hashWords(words, view, 1, bytes)).toBe(hashKey(view, 4, 4 + bytes))
		}
	})
})

describe('versions', () => {
	test('a read sees the newest version at or below its sequence number, tombstones included', () => {
		const memtable = newMemtable()
		memtable.put('k', 'one', 1, 0)
		memtable.put('other', 'two', 1, 0)
		memtable.put('k', '', 0, 0)
		memtable.put('k', '', 1, 0)
		expect([0, 1, 2].map(seq => get(memtable, 'k', seq))).toEqual([undefined, 'one', 'one'])
		expect(memtable.get(utf8('k'), 3)).toMatchObject({ kind: 0, seq: 3 })
		expect(memtable.get(utf8('k'), 4)).toMatchObject({ kind: 1, seq: 4, value: new Uint8Array(0) })
	})
})

describe('memory', () => {
	test('a memtable of one entry takes a few pages', () => {
		const memtable = newMemtable()
		memtable.put('k', 'v', 1, 0)
		memtable.freeze()
		expect(memtable.bytes).toBeLessThanOrEqual(16_384)
	})

	test('hasRoom says no from the soft limit on, but puts succeed and one entry always fits', () => {
		const memtable = newMemtable(new ArenaPool(), 1_000)
		expect(memtable.hasRoom(5_000)).toBe(true)
		memtable.put('k', 'v'.repeat(900), 1, 0)
		const left = 1_000 - memtable.entryBytes
		expect([memtable.hasRoom(left), memtable.hasRoom(left + 1)]).toEqual([true, false])
		memtable.put('k', 'v'.repeat(900), 1, 0)
		expect(memtable.entryCount).toBe(2)
	})

	test('all that was taken is counted while it is held, and is given back after recycle and the last unref', () => {
		const pool = new ArenaPool()
		const memtable = newMemtable(pool)
		for (let i = 0; i < 5_000; i++) memtable.put(`key ${i}`, 'x'.repeat(100), 1, 0)
		memtable.freeze()
		// Chunks and copies: the entries twice. What was outgrown waits in the pool.
		expect(memtable.bytes).toBeGreaterThan(2 * memtable.entryBytes)
		const waiting = pool.bytes
		memtable.ref()
		memtable.recycle()
		expect(get(memtable, 'key 1')).toBe('x'.repeat(100))
		expect(pool.bytes).toBe(waiting)
		const held = memtable.bytes
		memtable.unref()
		expect(memtable.bytes).toBe(0)
		expect(pool.bytes).toBeGreaterThan(waiting + 0.98 * held - 4_096)
		expect(pool.bytes).toBeLessThanOrEqual(waiting + held)
		expect(() => memtable.get(utf8('key 1'), 9)).toThrow('recycled')
		expect(() => memtable.ref()).toThrow('recycled')
	})

	test('a memtable in used memory shows nothing of the one before', async () => {
		const pool = new ArenaPool()
		const first = newMemtable(pool)
		for (let i = 0; i < 3_000; i++) first.put(`old ${i}`, 'secret'.repeat(10), 1, 0)
		first.freeze()
		first.recycle()
		const second = newMemtable(pool)
		for (let i = 0; i < 3_000; i++) second.put(`new ${i}`, `${i}`, 1, 0)
		for (let i = 0; i < 3_000; i += 11) expect(get(second, `old ${i}`)).toBeUndefined()
		// Keys end within a word, and the rest of that word held something else before.
		for (let i = 0; i < 3_000; i++) expect(get(second, `new ${i}`)).toBe(`${i}`)
		const [run] = await second.sortedRuns(sortPool())
		expect(run && contentsOf(run).every(entry => textOf(entry.key)?.startsWith('new '))).toBe(true)
	})
})

describe('the sorted view', () => {
	const fill = (memtable: Memtable, count: number): void => {
		for (let i = 0; i < count; i++) memtable.put(`key ${(memtable.entryCount * 7_919) % 10_007}`, 'v', 1, 0)
	}

	test.each([
		[INLINE_SORT_MAX_ENTRIES, 0],
		[INLINE_SORT_MAX_ENTRIES + 1, 1],
	])('of %d entries takes %d jobs', async (count, jobs) => {
		const pool = sortPool()
		const memtable = newMemtable()
		fill(memtable, count)
		const runs = await memtable.sortedRuns(pool)
		expect(runs.map(run => run.count)).toEqual([count])
		expect(pool.jobs).toBe(jobs)
	})

	test('is kept, extended by what is new, and made one run again after eight', async () => {
		const pool = sortPool()
		const memtable = newMemtable()
		expect(await memtable.sortedRuns(pool)).toEqual([])
		for (let round = 1; round <= MAX_RUNS; round++) {
			fill(memtable, 600)
			const runs = await memtable.sortedRuns(pool)
			expect(await memtable.sortedRuns(pool)).toEqual(runs)
			expect(runs.map(run => run.count)).toEqual(Array.from({ length: round }, () => 600))
		}
		expect(pool.jobs).toBe(MAX_RUNS)
		fill(memtable, 600)
		const [run, ...others] = await memtable.sortedRuns(pool)
		expect([run?.count, others, pool.jobs]).toEqual([600 * (MAX_RUNS + 1), [], MAX_RUNS + 1])
		const entries = run ? contentsOf(run) : []
		expect(entries).toEqual(mergeRuns([entries]))
	})

	test('grows by small steps without jobs and without many runs', async () => {
		const pool = sortPool()
		const memtable = newMemtable()
		for (let i = 0; i < 500; i++) {
			fill(memtable, 1)
			expect(await memtable.sortedRuns(pool)).toHaveLength(1)
		}
		expect(pool.jobs).toBe(0)
	})

	test('sorts once for two scans at a time, and covers what came between them', async () => {
		const pool = sortPool()
		const memtable = newMemtable()
		fill(memtable, 2_000)
		const first = memtable.sortedRuns(pool)
		const second = memtable.sortedRuns(pool)
		fill(memtable, 100)
		const third = memtable.sortedRuns(pool)
		const counts = (await Promise.all([first, second, third])).map(runs =>
			runs.reduce((sum, run) => sum + run.count, 0),
		)
		expect(counts).toEqual([2_000, 2_000, 2_100])
		expect(pool.jobs).toBe(1)
	})

	test('a sort that fails fails its scan only', async () => {
		const pool = sortPool()
		const memtable = newMemtable()
		fill(memtable, 2_000)
		pool.failure = new Error('no worker')
		await expect(memtable.sortedRuns(pool)).rejects.toBe(pool.failure)
		pool.failure = undefined
		expect((await memtable.sortedRuns(pool)).map(run => run.count)).toEqual([2_000])
	})

	test('outlives recycle while a scan holds the memtable', async () => {
		const pool = sortPool()
		const memtable = newMemtable()
		fill(memtable, 2_000)
		memtable.freeze()
		memtable.ref()
		const sorting = memtable.sortedRuns(pool)
		memtable.recycle()
		const [run] = await sorting
		expect(run && contentsOf(run)).toHaveLength(2_000)
		memtable.unref()
		expect(memtable.bytes).toBe(0)
	})
})
