import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ReadView } from '../../src/reader/read-view.ts'
import { KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import {
	type CoreReads,
	collect,
	manifestOf,
	memtableOf,
	modelOf,
	NOW_MS,
	put,
	readsOf,
	storeTable,
	tableOf,
	type Version,
} from './fixture.ts'

/** Keys are numbers below this; batches have 512 rows, so that scans take several. */
const KEYS = 1_600

/** A table, or the memtable: every `step`th key from `from` on, most of them plain. */
const layer = fc.record({
	from: fc.nat({ max: KEYS }),
	count: fc.integer({ min: 1, max: 1_200 }),
	step: fc.constantFrom(1, 1, 2, 5),
	/** Of so many entries one is a tombstone, one expires, one has an older version, and one is not ASCII; 0: none. */
	tombstoneEvery: fc.constantFrom(0, 0, 7, 100),
	expiryEvery: fc.constantFrom(0, 0, 9, 300),
	versionEvery: fc.constantFrom(0, 0, 30, 200),
	umlautEvery: fc.constantFrom(0, 0, 40, 500),
})

const scenario = fc.record({
	layers: fc.array(layer, { minLength: 1, maxLength: 4 }),
	hasMemtable: fc.boolean(),
	keyPrefix: fc.constantFrom('', 'a/long/prefix/of/all/keys/', 'ü'),
	valueBytes: fc.constantFrom(0, 5, 60, 900),
	blockBytes: fc.constantFrom(300, 4_096, 16_384, 100_000),
	codec: fc.constantFrom<'none' | 'lz4'>('none', 'lz4'),
	maxSeqShare: fc.constantFrom(1, 1, 1, 0.5),
	start: fc.option(fc.nat({ max: KEYS }), { nil: undefined }),
	limit: fc.constantFrom(Number.POSITIVE_INFINITY, 1, 3, 10, 37, 511, 513),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never

const isEvery = (i: number, every: number): boolean => every > 0 && i % every === every - 1

function versionsOf(given: Scenario, which: number, firstSeq: number): Version[] {
	const { from, count, step, ...every } = given.layers[which] as Scenario['layers'][number]
	const versions: Version[] = []
	for (let i = 0; i < count && from + i * step < KEYS; i++) {
		const key = `${given.keyPrefix}${String(from + i * step).padStart(5, '0')}`
		const text = `${isEvery(i, every.umlautEvery) ? 'ä' : 'a'}${which}-${i}`.padEnd(given.valueBytes, '.')
		if (isEvery(i, every.versionEvery)) versions.push(put(key, firstSeq + versions.length, 'older'))
		const version = put(key, firstSeq + versions.length, text)
		if (isEvery(i, every.tombstoneEvery)) versions.push({ ...version, kind: KIND_TOMBSTONE, value: new Uint8Array(0) })
		else versions.push(isEvery(i, every.expiryEvery) ? { ...version, expiresAtMs: NOW_MS + (i % 3) - 1 } : version)
	}
	return versions.length > 0 ? versions : [{ ...put('00000', firstSeq, 'one'), kind: KIND_VALUE }]
}

async function build(given: Scenario): Promise<{ reads: CoreReads<string, string>; rows: [string, string][] }> {
	const store = new MemoryStore()
	const parts: Version[][] = []
	for (const which of given.layers.keys()) parts.push(versionsOf(given, which, parts.flat().length + 1))
	const versions = parts.flat()
	const memtable = given.hasMemtable ? parts.pop() : undefined
	const options = { blockBytes: given.blockBytes, codec: given.codec }
	const l0 = await Promise.all(parts.map((part, i) => storeTable(store, tableOf(`t${i}`, part, options))))
	const view: ReadView = {
		manifest: manifestOf({ l0, lastSeq: versions.length }),
		memtables: memtable === undefined ? [] : [memtableOf(memtable)],
		maxSeq: Math.ceil(versions.length * given.maxSeqShare),
	}
	const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
	const rows = modelOf(versions, view.maxSeq).map(([key, value]): [string, string] => [text(key), text(value)])
	return { reads: readsOf(store, view), rows }
}

test('rows of text are those of the model, in runs and one by one, forwards and backwards', async () => {
	await fc.assert(
		fc.asyncProperty(scenario, async given => {
			const { reads, rows } = await build(given)
			const { limit } = given
			const bound = given.start === undefined ? undefined : `${given.keyPrefix}${String(given.start).padStart(5, '0')}`
			const isAtLeast = (key: string): boolean => bound === undefined || key >= bound
			const isAtMost = (key: string): boolean => bound === undefined || key <= bound
			const forward = rows.filter(([key]) => isAtLeast(key)).slice(0, limit)
			const backward = [...rows]
				.reverse()
				.filter(([key]) => isAtMost(key))
				.slice(0, limit)
			const up = { gte: bound, limit }
			const down = { lte: bound, limit, reverse: true }
			for (const [range, wanted] of [
				[up, forward],
				[down, backward],
			] as const) {
				expect((await collect(reads.entries(range).batches())).flat()).toEqual(wanted)
				expect(await collect(reads.keys(range))).toEqual(wanted.map(([key]) => key))
				expect(await collect(reads.values(range))).toEqual(wanted.map(([, value]) => value))
			}
			// Again from what is cached now, some rows one by one and the rest by batches.
			const scan = reads.entries(up)
			const some: unknown[] = []
			for (let i = 0; i < Math.min(3, forward.length); i++) some.push((await scan.next()).value)
			expect([...some, ...(await collect(scan.batches())).flat()]).toEqual(forward)
		}),
		{ numRuns: 80 },
	)
})

test('an older version that begins a block is no row, whatever follows', async () => {
	const store = new MemoryStore()
	const text = (i: number): string => String(10_000 + i)
	for (let twice = 0; twice < 60; twice++) {
		const keys = Array.from({ length: 120 }, (_, i) => i)
		const versions = [put(text(twice), 1, 'older'), ...keys.map(i => put(text(i), i + 2, `row ${i}`))]
		const ref = await storeTable(store, tableOf(`t${twice}`, versions, { blockBytes: 400, codec: 'none' }))
		const manifest = manifestOf({ l0: [ref], lastSeq: versions.length })
		const reads = readsOf(store, { manifest, memtables: [], maxSeq: versions.length })
		const wanted = keys.map(i => [text(i), `row ${i}`])
		expect((await collect(reads.entries().batches())).flat()).toEqual(wanted)
		expect((await collect(reads.entries({ reverse: true }).batches())).flat()).toEqual([...wanted].reverse())
	}
})
