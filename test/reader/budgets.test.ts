/** How many requests reads cost, and how many of them come one after another: each number that is promised. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import {
	type CoreOptions,
	type CoreReads,
	collect,
	manifestOf,
	put,
	readsOf,
	runOf,
	storeTable,
	tableOf,
} from './fixture.ts'
import { RoundStore, turn } from './round-store.ts'

const KEYS = 24_000
const keyOf = (i: number): string => `key${String(i).padStart(6, '0')}`
const valueAt = (i: number): string => `${i}`.padStart(40, '.')

interface Rig {
	readonly store: RoundStore
	readonly manifest: Manifest
	/** New reads of it whose tables are open and whose blocks are not kept, unless `options` say otherwise. */
	readonly warm: (options?: CoreOptions) => Promise<CoreReads<string, string>>
}

/** `KEYS` keys dealt out to `runs` runs, key i to run i % runs; each run is `tables` tables, one behind the other. */
async function makeRig(runs: number, tables = 1): Promise<Rig> {
	const store = new RoundStore(new MemoryStore())
	store.isHolding = false
	const perTable = KEYS / runs / tables
	const made = await Promise.all(
		Array.from({ length: runs }, async (_, r) => {
			const parts = Array.from({ length: tables }, (__, t) => {
				const versions = Array.from({ length: perTable }, (___, n) => {
					const i = (t * perTable + n) * runs + r
					return put(keyOf(i), r * (KEYS / runs) + t * perTable + n + 1, valueAt(i))
				})
				return storeTable(store, tableOf(`r${r}t${t}`, versions, { codec: 'none' }))
			})
			return runOf(`r${r}`, await Promise.all(parts))
		}),
	)
	const manifest = manifestOf({ runs: made })
	const warm = async (options: CoreOptions = {}): Promise<CoreReads<string, string>> => {
		const reads = readsOf<string, string>(store, viewOf(manifest), { blockCacheBytes: 0, ...options })
		store.isHolding = false
		for (const run of made) {
			for (const ref of run.tables) await reads.source.openTable(reads.source.slot(ref), undefined)
		}
		store.isHolding = true
		store.reset()
		return reads
	}
	return { store, manifest, warm }
}

describe('a get', () => {
	test('costs two requests in sequence cold, one with the table open, none with the block in memory', async () => {
		const { store, manifest } = await makeRig(1)
		store.isHolding = true
		const reads = readsOf<string, string>(store, viewOf(manifest))
		expect(await store.settle(reads.get(keyOf(5_000)))).toBe(valueAt(5_000))
		expect(store.rounds.map(round => round.length)).toEqual([1, 1])
		store.reset()
		expect(await store.settle(reads.get(keyOf(20_000)))).toBe(valueAt(20_000))
		expect(store.rounds.map(round => round.length)).toEqual([1])
		store.reset()
		expect(await store.settle(reads.get(keyOf(20_000)))).toBe(valueAt(20_000))
		expect(await store.settle(reads.get(`${keyOf(20_000)}-`))).toBeUndefined()
		expect(store.requests).toBe(0)
	})

	test('of a key that is not there costs the ends of the tables, and then next to nothing', async () => {
		const { store, manifest } = await makeRig(4)
		store.isHolding = true
		const reads = readsOf<string, string>(store, viewOf(manifest), { blockCacheBytes: 0 })
		expect(await store.settle(reads.get(`${keyOf(7)}-`))).toBeUndefined()
		expect(store.rounds[0]?.length).toBe(4)
		store.reset()
		for (let i = 0; i < 500; i++) expect(await store.settle(reads.get(`${keyOf(i * 40)}-`))).toBeUndefined()
		// 2,000 filters were asked; one in a hundred says maybe, and costs one request.
		expect(store.requests).toBeLessThan(60)
	})

	test('reads one block and no more than it', async () => {
		const counting = countingStore(new MemoryStore())
		const table = tableOf(
			't',
			Array.from({ length: 5_000 }, (_, i) => put(keyOf(i), i + 1, valueAt(i))),
			{ codec: 'none' },
		)
		const ref = await storeTable(counting, table)
		const reads = readsOf<string, string>(counting, viewOf(manifestOf({ l0: [ref] })))
		await reads.get(keyOf(10))
		counting.reset()
		await reads.get(keyOf(4_000))
		const { requests, receivedBytes } = counting.snapshot().total
		expect(requests).toBe(1)
		expect(receivedBytes).toBeLessThan(8_300)
	})
})

describe('getMany', () => {
	test('reads neighbouring blocks by one request, far ones side by side, and each key once', async () => {
		const { store, warm } = await makeRig(1)
		const reads = await warm()
		const near = Array.from({ length: 300 }, (_, i) => keyOf(3_000 + i))
		const values = await store.settle(reads.getMany([...near, ...near]))
		expect(values).toEqual([...near, ...near].map(key => valueAt(Number(key.slice(3)))))
		expect(store.rounds.map(round => round.length)).toEqual([1])
		store.reset()
		const far = [100, 12_000, 23_000, 100].map(keyOf)
		expect(await store.settle(reads.getMany(far))).toEqual([100, 12_000, 23_000, 100].map(valueAt))
		expect(store.rounds.map(round => round.length)).toEqual([3])
	})

	test('takes one round trip over any number of runs, and a request for each run at the most', async () => {
		const { store, warm } = await makeRig(8)
		const reads = await warm()
		const keys = Array.from({ length: 100 }, (_, i) => keyOf(6_000 + i))
		await store.settle(reads.getMany(keys))
		expect(store.rounds.map(round => round.length)).toEqual([8])
	})
})

describe.each([1, 2, 8])('a scan of ten rows over %i overlapping runs', runs => {
	let rig: Rig
	beforeAll(async () => {
		rig = await makeRig(runs)
	})

	test.each([false, true])(
		'takes one round trip and a request for each run, wherever it begins (reverse: %s)',
		async reverse => {
			const reads = await rig.warm()
			await fc.assert(
				fc.asyncProperty(
					fc.oneof(fc.nat(KEYS - 1), fc.constantFrom(0, 9, 10, KEYS - 11, KEYS - 10, KEYS - 1)),
					fc.boolean(),
					async (start, isBounded) => {
						rig.store.reset()
						const from = isBounded ? start : reverse ? KEYS - 1 : 0
						const bound = isBounded ? (reverse ? { lte: keyOf(start) } : { gte: keyOf(start) }) : {}
						const rows = await rig.store.settle(collect(reads.entries({ ...bound, reverse, limit: 10 })))
						const length = Math.min(10, reverse ? from + 1 : KEYS - from)
						const indexes = Array.from({ length }, (_, i) => (reverse ? from - i : from + i))
						expect(rows).toEqual(indexes.map(i => [keyOf(i), valueAt(i)]))
						expect(rig.store.rounds.length).toBe(1)
						expect(rig.store.requests).toBeLessThanOrEqual(runs)
					},
				),
				{ numRuns: 40 },
			)
		},
	)

	test('reads little more than it gives', async () => {
		const counting = countingStore(rig.store)
		const reads = readsOf<string, string>(counting, viewOf(rig.manifest), { blockCacheBytes: 0 })
		rig.store.isHolding = false
		await collect(reads.entries({ gte: keyOf(7_777), limit: 10 }))
		counting.reset()
		await collect(reads.entries({ gte: keyOf(7_777), limit: 10 }))
		// Two blocks of 8 KiB of each run.
		expect(counting.snapshot().total.receivedBytes).toBeLessThan(runs * 16_600)
	})
})

describe.each([3, 40, 400])('a cold scan of ten rows over %i tables that overlap', count => {
	let store: RoundStore
	let manifest: Manifest
	/** Table t holds the keys i with i % count = t, so that each begins and ends elsewhere. */
	const keys = 100 * count

	beforeAll(async () => {
		store = new RoundStore(new MemoryStore())
		store.isHolding = false
		const l0 = Array.from({ length: count }, (_, t) => {
			const versions = Array.from({ length: 100 }, (__, n) => put(keyOf(n * count + t), t * 100 + n + 1))
			return storeTable(store, tableOf(`t${t}`, versions, { blockBytes: 1_024 }))
		})
		manifest = manifestOf({ l0: await Promise.all(l0) })
		store.isHolding = true
	})

	const cases = [false, true].flatMap(reverse => [0, 0.5].map(start => [reverse, start] as const))
	test.each(cases)('takes two round trips, and then one (reverse: %s, from: %s)', async (reverse, start) => {
		const from = Math.floor((reverse ? 1 - start : start) * keys)
		const bound = start === 0 ? {} : reverse ? { lt: keyOf(from) } : { gte: keyOf(from) }
		const wanted = Array.from({ length: 10 }, (_, i) => keyOf(reverse ? from - 1 - i : from + i))
		const reads = readsOf<string, string>(store, viewOf(manifest), { blockCacheBytes: 0 })
		for (const rounds of [2, 1]) {
			store.reset()
			expect(await store.settle(collect(reads.keys({ ...bound, reverse, limit: 10 })))).toEqual(wanted)
			expect(store.rounds.length).toBe(rounds)
			// Without a bound the ten nearest tables are enough; each is asked once a round.
			const most = start === 0 ? Math.min(10, count) : count
			for (const round of store.rounds) {
				expect(round.length).toBeLessThanOrEqual(most)
				expect(new Set(round).size).toBe(round.length)
			}
		}
	})

	test.each(cases)('that are small takes one, and a request each (reverse: %s, from: %s)', async (reverse, start) => {
		const from = Math.floor((reverse ? 1 - start : start) * keys)
		const bound = start === 0 ? {} : reverse ? { lt: keyOf(from) } : { gte: keyOf(from) }
		const wanted = Array.from({ length: 10 }, (_, i) => keyOf(reverse ? from - 1 - i : from + i))
		const reads = readsOf(store, viewOf(manifest))
		for (const rounds of [1, 0]) {
			store.reset()
			expect(await store.settle(collect(reads.keys({ ...bound, reverse, limit: 10 })))).toEqual(wanted)
			expect(store.rounds.length).toBe(rounds)
			expect(store.requests).toBeLessThanOrEqual(count)
		}
	})
})

test('a scan over very many tables keeps what it reads ahead within 16 MiB and a block of each', async () => {
	const count = 600
	const counting = countingStore(new MemoryStore())
	const filler = 'x'.repeat(1_000)
	const l0 = Array.from({ length: count }, (_, t) => {
		const versions = Array.from({ length: 100 }, (__, n) => put(keyOf(n * count + t), t * 100 + n + 1, filler))
		return storeTable(counting, tableOf(`t${t}`, versions, { codec: 'none' }))
	})
	const manifest = manifestOf({ l0: await Promise.all(l0) })
	const reads = readsOf<string, string>(counting, viewOf(manifest), { blockCacheBytes: 0 })
	counting.reset()
	const scan = reads.keys()
	expect(await scan.next()).toEqual({ done: false, value: keyOf(0) })
	await scan.close()
	const ends = manifest.l0.reduce((sum, { meta }) => sum + meta.storedBytes - meta.metaOffset, 0)
	// 60 MB lie there.
	expect(counting.snapshot().total.receivedBytes - ends).toBeLessThan(16 * 1_048_576 + count * 5_200)
})

describe.each([false, true])('a scan of everything (reverse: %s)', reverse => {
	test('reads ahead in windows that double, so that requests are few', async () => {
		const { store, warm } = await makeRig(1)
		const reads = await warm()
		const rows = await store.settle(collect(reads.keys({ reverse })))
		expect(rows.length).toBe(KEYS)
		// 1.3 MB: 64, 128, 256, 512 KiB, and the rest; each is asked for while the one before is read.
		expect(store.requests).toBeLessThanOrEqual(6)
		expect(store.rounds.length).toBe(store.requests)
	})

	test('reads its runs side by side', async () => {
		const { store, warm } = await makeRig(4)
		const reads = await warm()
		expect((await store.settle(collect(reads.keys({ reverse })))).length).toBe(KEYS)
		expect(store.rounds[0]?.length).toBe(4)
		// A quarter of the bytes each: 64, 128 and the rest.
		expect(store.requests).toBeLessThanOrEqual(4 * 4)
		expect(store.rounds.length).toBeLessThanOrEqual(2 * 4)
	})

	test('asks for each byte once', async () => {
		const rig = await makeRig(2, 3)
		const counting = countingStore(rig.store)
		const reads = readsOf<string, string>(counting, viewOf(rig.manifest))
		rig.store.isHolding = false
		expect((await collect(reads.keys({ reverse }))).length).toBe(KEYS)
		const stored = rig.manifest.runs.flatMap(run => run.tables).reduce((sum, { meta }) => sum + meta.storedBytes, 0)
		expect(counting.snapshot().total.receivedBytes).toBe(stored)
	})
})

describe('the traffic of a scan', () => {
	test.each(['break', 'abort', 'close'])('ends with it: %s', async how => {
		const { store, warm } = await makeRig(4)
		const reads = await warm()
		const controller = new AbortController()
		const scan = reads.entries({ signal: controller.signal })
		await store.settle(scan.next())
		await turn()
		// What was read ahead waits for its answer.
		expect(store.waiting).toBeGreaterThan(0)
		store.reset()
		if (how === 'break') for await (const _ of scan) break
		else if (how === 'abort') controller.abort(new Error('enough'))
		else await scan.close()
		await turn()
		expect(store.waiting).toBe(0)
		store.releaseRound()
		await turn()
		expect(store.waiting).toBe(0)
		expect(reads.core.openScans).toBe(0)
	})
})
