import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { type CoreOptions, collect, manifestOf, put, readsOf, runOf, storeTable, tableOf } from './fixture.ts'
import { RoundStore, turn } from './round-store.ts'

const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`

/** `count` L0 tables that all cover the whole key range; table t holds the keys i with i % count = t. */
async function overlapping(count: number, keys = 2000): Promise<{ store: RoundStore; manifest: Manifest }> {
	const store = new RoundStore(new MemoryStore())
	const tables = Array.from({ length: count }, (_, t) => {
		const versions = Array.from({ length: keys / count }, (__, i) => put(keyOf(i * count + t), t * keys + i + 1))
		const ends = [put('key', t * keys + keys - 1), put('kez', t * keys + keys)]
		return tableOf(`t${t}`, [...versions, ...ends], { blockBytes: 512 })
	})
	const l0 = await Promise.all(tables.map(table => storeTable(store, table)))
	return { store, manifest: manifestOf({ l0 }) }
}

describe('requests of a get', () => {
	test.each([1, 10, 200])('that is cold with %i tables are at most two in sequence', async count => {
		const { store, manifest } = await overlapping(count)
		for (const [key, wanted] of [
			[keyOf(777), `${keyOf(777)}@`],
			['key', `key@${count * 2000 - 1}`],
			[`${keyOf(5)}5`, undefined],
		] as const) {
			store.reset()
			const reads = readsOf(store, viewOf(manifest))
			const value = await store.settle(reads.get(key))
			if (wanted === undefined) expect(value).toBeUndefined()
			else expect(value).toContain(wanted)
			expect(store.rounds.length).toBeLessThanOrEqual(2)
			expect(store.rounds[0]?.length).toBe(count)
			store.reset()
			expect(await store.settle(reads.get(key))).toBe(value)
			expect(store.requests).toBe(0)
			store.reset()
			await store.settle(reads.get(keyOf(778)))
			expect(store.rounds.length).toBeLessThanOrEqual(1)
		}
	})

	test('with all tables open cost one, and the tables that cannot hold the key cost none', async () => {
		const store = new RoundStore(new MemoryStore())
		const tables = Array.from({ length: 50 }, (_, t) =>
			tableOf(`t${t}`, [put(keyOf(t), t + 1), put(`${keyOf(t)}z`, t + 100)]),
		)
		const l0 = await Promise.all(tables.map(table => storeTable(store, table)))
		const reads = readsOf(store, viewOf(manifestOf({ l0, runs: [] })))
		expect(await store.settle(reads.get(keyOf(7)))).toBe(`${keyOf(7)}@8`)
		expect(store.rounds).toEqual([['sst/t7']])
		const asRun = readsOf(store, viewOf(manifestOf({ runs: [runOf('r', l0)] })))
		store.reset()
		expect(await store.settle(asRun.get(keyOf(9)))).toBe(`${keyOf(9)}@10`)
		expect(store.rounds).toEqual([['sst/t9']])
		store.reset()
		expect(await store.settle(asRun.get('zzz'))).toBeUndefined()
		expect(store.requests).toBe(0)
	})

	test('whose newest value is in memory ask for nothing older', async () => {
		const { store, manifest } = await overlapping(10)
		const newest = manifest.l0[9]
		if (newest === undefined) throw new Error('ten tables')
		const only = readsOf(store, viewOf(manifestOf({ l0: [newest] })))
		await store.settle(only.get('key'))
		store.reset()
		const all = readsOf(store, viewOf(manifest), { source: only.source })
		expect(await store.settle(all.get('key'))).toBe('key@19999')
		expect(store.requests).toBe(0)
	})

	test('by many callers of one key are shared', async () => {
		const { store, manifest } = await overlapping(3)
		const reads = readsOf(store, viewOf(manifest))
		const values = await store.settle(Promise.all(Array.from({ length: 20 }, () => reads.get(keyOf(12)))))
		expect(new Set(values).size).toBe(1)
		// Tables of a few kilobytes come whole.
		expect(store.rounds.length).toBe(1)
		for (const round of store.rounds) expect(new Set(round).size).toBe(round.length)
	})

	test('need no memory to stay at two in sequence: caches of 0 bytes', async () => {
		const { store, manifest } = await overlapping(10)
		const reads = readsOf(store, viewOf(manifest), { blockCacheBytes: 0, tableCacheBytes: 0 })
		for (let i = 0; i < 3; i++) {
			store.reset()
			expect(await store.settle(reads.get(keyOf(42)))).toContain(keyOf(42))
			expect(store.rounds.length).toBe(2)
		}
	})

	test('of a table that was offered are none', async () => {
		const store = new RoundStore(new MemoryStore())
		const table = tableOf('t', [put('a', 1), put('b', 2)])
		const reads = readsOf(store, viewOf(manifestOf({ l0: [table.ref] })))
		reads.source.offerTable(table.ref, table.bytes)
		expect(reads.getCached('a', 'cold')).toBe('a@1')
		expect(await reads.get('b')).toBe('b@2')
		expect((await collect(reads.keys())).length).toBe(2)
		expect(store.requests).toBe(0)
		expect(() => reads.source.offerTable({ ...table.ref, id: 'x' }, table.bytes.subarray(1))).toThrow('bytes')
	})
})

describe('requests of getMany', () => {
	test('are two rounds for any number of keys and tables, neighbouring blocks come together, and small tables whole', async () => {
		const { store, manifest } = await overlapping(4)
		const keys = [...Array.from({ length: 300 }, (_, i) => keyOf(i)), keyOf(3), 'missing', keyOf(0)]
		for (const [blockCacheBytes, rounds] of [
			[0, [4, 4]],
			[1_048_576, [4]],
		] as const) {
			store.reset()
			const reads = readsOf(store, viewOf(manifest), { blockCacheBytes })
			const values = await store.settle(reads.getMany(keys))
			expect(values.map(value => value?.split('@')[0])).toEqual(keys.map(key => (key === 'missing' ? undefined : key)))
			expect(store.rounds.map(round => round.length)).toEqual(rounds)
		}
	})

	test('of what is in memory are none', async () => {
		const { store, manifest } = await overlapping(4)
		const reads = readsOf(store, viewOf(manifest))
		await store.settle(reads.getMany([keyOf(1), keyOf(2)]))
		store.reset()
		expect(await reads.getMany([keyOf(2), keyOf(1)])).toEqual([`${keyOf(2)}@4001`, `${keyOf(1)}@2001`])
		expect(await reads.getMany([])).toEqual([])
		expect(store.requests).toBe(0)
	})
})

describe('requests of a scan', () => {
	/** `count` tables one behind the other. */
	async function sideBySide(count: number, asRun: boolean, options: CoreOptions = {}) {
		const store = new RoundStore(new MemoryStore())
		const tables = Array.from({ length: count }, (_, t) =>
			tableOf(
				`t${t}`,
				Array.from({ length: 100 }, (__, i) => put(keyOf(t * 100 + i), t * 100 + i + 1)),
				{ blockBytes: 512 },
			),
		)
		const refs = await Promise.all(tables.map(table => storeTable(store, table)))
		const manifest = asRun ? manifestOf({ runs: [runOf('r', refs)] }) : manifestOf({ l0: refs })
		return { store, reads: readsOf(store, viewOf(manifest), options) }
	}

	test.each([true, false])('with limit 1 open one table (in a run: %s)', async asRun => {
		for (const reverse of [false, true]) {
			const { store, reads } = await sideBySide(30, asRun)
			const rows = await store.settle(collect(reads.entries({ limit: 1, reverse })))
			expect(rows).toEqual([[keyOf(reverse ? 2999 : 0), `${keyOf(reverse ? 2999 : 0)}@${reverse ? 3000 : 1}`]])
			expect(store.rounds.map(round => round.length)).toEqual([1])
		}
	})

	test('open all tables that hold the first key side by side', async () => {
		const { store, manifest } = await overlapping(50)
		const reads = readsOf(store, viewOf(manifest))
		const rows = await store.settle(collect(reads.entries({ gte: keyOf(500), limit: 3 })))
		expect(rows.map(([key]) => key)).toEqual([keyOf(500), keyOf(501), keyOf(502)])
		expect(store.rounds.map(round => round.length)).toEqual([50])
	})

	test('read neighbouring blocks together, so that they are far fewer than blocks', async () => {
		for (const [blockCacheBytes, first, again] of [
			[0, 2, 1],
			[1_048_576, 1, 0],
		] as const) {
			const { store, reads } = await sideBySide(1, true, { blockCacheBytes })
			for (const requests of [first, again]) {
				store.reset()
				expect((await store.settle(collect(reads.keys()))).length).toBe(100)
				expect(store.requests).toBe(requests)
			}
		}
	})

	test('end at once when the iteration ends', async () => {
		for (const end of ['abort', 'return', 'reader'] as const) {
			const { store, manifest } = await overlapping(8)
			const reads = readsOf(store, viewOf(manifest))
			const controller = new AbortController()
			const scan = reads.entries({ signal: controller.signal })
			const pending = scan.next()
			pending.catch(() => undefined)
			await turn()
			expect(store.waiting).toBeGreaterThan(0)
			if (end === 'abort') controller.abort(new Error('enough'))
			else if (end === 'return') await scan.return()
			else await reads.core.close()
			await turn()
			expect(store.waiting).toBe(0)
			await expect(pending).rejects.toThrow(end === 'abort' ? 'enough' : 'closed')
			await expect(scan.next()).rejects.toThrow(end === 'abort' ? 'enough' : 'closed')
			expect(reads.core.openScans).toBe(0)
		}
	})
})

describe('an abort', () => {
	test('of one get leaves the others their shared download, and of the last one ends it', async () => {
		const { store, manifest } = await overlapping(2)
		const reads = readsOf(store, viewOf(manifest))
		const [a, b] = [new AbortController(), new AbortController()]
		const first = reads.get(keyOf(1), { signal: a.signal })
		const second = reads.get(keyOf(1), { signal: b.signal })
		await turn()
		a.abort(new Error('first'))
		await expect(first).rejects.toThrow('first')
		expect(store.waiting).toBe(2)
		expect(await store.settle(second)).toBe(`${keyOf(1)}@2001`)

		const lone = new AbortController()
		const third = reads.get(keyOf(900), { signal: lone.signal })
		await turn()
		expect(store.waiting).toBe(1)
		lone.abort(new Error('alone'))
		await expect(third).rejects.toThrow('alone')
		expect(store.waiting).toBe(0)
		expect(await store.settle(reads.get(keyOf(900)))).toContain(keyOf(900))
	})

	test('before the call means that nothing is asked', async () => {
		const { store, manifest } = await overlapping(2)
		const reads = readsOf(store, viewOf(manifest))
		const signal = AbortSignal.abort(new Error('early'))
		await expect(reads.get(keyOf(1), { signal })).rejects.toThrow('early')
		await expect(reads.getMany([keyOf(1)], { signal })).rejects.toThrow('early')
		await expect(reads.has(keyOf(1), { signal })).rejects.toThrow('early')
		await expect(reads.entries({ signal }).next()).rejects.toThrow('early')
		expect(store.waiting).toBe(0)
	})
})
