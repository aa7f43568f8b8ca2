import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { joinBody } from '../../src/object-store/body.ts'
import type { Body } from '../../src/object-store/object-store.ts'
import type { RangeOptions } from '../../src/reader/key-range.ts'
import { type ReadView, viewOf } from '../../src/reader/read-view.ts'
import { KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import {
	type CoreReads,
	collect,
	inOrder,
	manifestOf,
	memtableOf,
	modelOf,
	NOW_MS,
	put,
	readsOf,
	runOf,
	storeTable,
	tableOf,
	type Version,
} from './fixture.ts'

/** Keys that share prefixes, end in 0x00 and 0xFF, and are prefixes of one another. */
const keyArbitrary = fc
	.array(fc.constantFrom(0x00, 0x01, 0x61, 0x62, 0xfe, 0xff), { minLength: 1, maxLength: 4 })
	.map(bytes => new Uint8Array(bytes))

const operation = fc.record({
	key: keyArbitrary,
	kind: fc.constantFrom<typeof KIND_VALUE | typeof KIND_TOMBSTONE>(KIND_VALUE, KIND_VALUE, KIND_VALUE, KIND_TOMBSTONE),
	expiresAtMs: fc.constantFrom(0, 0, 0, NOW_MS - 1, NOW_MS, NOW_MS + 1),
	valueBytes: fc.nat({ max: 40 }),
})

const scenario = fc.record({
	operations: fc.array(operation, { minLength: 1, maxLength: 300 }),
	/** Where the history is cut: into runs, L0 tables and memtables. */
	cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 7 }),
	runs: fc.nat({ max: 3 }),
	memtables: fc.nat({ max: 2 }),
	blockBytes: fc.constantFrom(64, 100, 1000),
	codec: fc.constantFrom<'none' | 'lz4'>('none', 'lz4'),
	cacheBytes: fc.constantFrom(0, 2_000, 1_000_000),
	/** How many of three reads the store answers at once; another of them it answers a turn later. */
	answersNow: fc.constantFrom(0, 1, 2, 3),
	/** The first part of the key space is written only by the first operations, so that some tables do not overlap. */
	isShifted: fc.boolean(),
	maxSeqShare: fc.constantFrom(1, 1, 0.5, 0.1),
	bounds: fc.record({
		low: fc.option(keyArbitrary, { nil: undefined }),
		high: fc.option(keyArbitrary, { nil: undefined }),
		lowKind: fc.constantFrom<'gt' | 'gte'>('gt', 'gte'),
		highKind: fc.constantFrom<'lt' | 'lte'>('lt', 'lte'),
		prefix: fc.option(keyArbitrary, { nil: undefined }),
		reverse: fc.boolean(),
		limit: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1, 3, 50),
	}),
	seeks: fc.array(keyArbitrary, { maxLength: 4 }),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never

interface Built {
	readonly versions: readonly Version[]
	readonly view: ReadView
	readonly reads: CoreReads<Uint8Array, Uint8Array>
}

async function build(given: Scenario): Promise<Built> {
	const versions = given.operations.map(({ key, kind, expiresAtMs, valueBytes }, i): Version => {
		const shifted = given.isShifted ? Uint8Array.of(Math.floor((i * 4) / given.operations.length), ...key) : key
		const value = new Uint8Array(kind === KIND_TOMBSTONE ? 0 : valueBytes).fill(i)
		return { key: shifted, seq: i + 1, kind, expiresAtMs: kind === KIND_TOMBSTONE ? 0 : expiresAtMs, value }
	})
	const ends = given.cuts.map(cut => Math.floor(cut * versions.length)).sort((a, b) => a - b)
	const pieces = [...ends, versions.length].map((end, i) => versions.slice(ends[i - 1] ?? 0, end))
	const parts = pieces.filter(piece => piece.length > 0)
	const memtables = parts.splice(Math.max(0, parts.length - given.memtables)).reverse()
	const runs = parts.splice(0, given.runs)
	const store = new NowStore(given.answersNow)
	const options = { blockBytes: given.blockBytes, codec: given.codec }
	let ids = 0
	const stored = (piece: readonly Version[]) => storeTable(store, tableOf(`t${ids++}`, piece, options))
	const manifest: Manifest = manifestOf({
		l0: await Promise.all(parts.map(stored)),
		// In an order that says nothing: the newest wins by sequence number.
		runs: await Promise.all(
			runs.map(async (run, i) => runOf(`r${i}`, await Promise.all(splitByKey(run, 3).map(stored)))),
		),
		lastSeq: versions.length,
	})
	const view: ReadView = {
		manifest,
		memtables: memtables.map(memtableOf),
		maxSeq: Math.ceil(versions.length * given.maxSeqShare),
	}
	const reads = readsOf<Uint8Array, Uint8Array>(store, view, {
		keyEncoding: 'buffer',
		valueEncoding: 'buffer',
		blockCacheBytes: given.cacheBytes,
		tableCacheBytes: given.cacheBytes,
	})
	return { versions, view, reads }
}

class NowStore extends PassThroughStore {
	readonly #answers: number
	#asked = 0
	readonly #objects = new Map<string, Uint8Array>()

	constructor(answers: number) {
		super()
		this.#answers = answers
	}

	override async put(key: string, body: Body): Promise<void> {
		await super.put(key, body)
		this.#objects.set(key, joinBody(body))
	}

	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		const place = this.#asked++ % 3
		if (place >= this.#answers) return place === this.#answers ? Promise.resolve() : false
		target.set((this.#objects.get(key) as Uint8Array).subarray(offset, offset + target.length))
		return true
	}
}

/** Tables of one run: no key in two of them. */
function splitByKey(run: readonly Version[], count: number): Version[][] {
	const sorted = inOrder(run)
	const tables: Version[][] = []
	for (const version of sorted) {
		const last = tables.at(-1)
		const before = last?.at(-1)
		const isNewKey = before === undefined || Buffer.compare(before.key, version.key) !== 0
		if (last === undefined || (isNewKey && last.length >= sorted.length / count)) tables.push([version])
		else last.push(version)
	}
	return tables
}

function rangeOf({
	low,
	high,
	lowKind,
	highKind,
	prefix,
	reverse,
	limit,
}: Scenario['bounds']): RangeOptions<Uint8Array> {
	return { [lowKind]: low, [highKind]: high, prefix, reverse, limit }
}

type Row = readonly [key: Uint8Array, value: Uint8Array]

function expected(rows: readonly Row[], range: RangeOptions<Uint8Array>, from?: Uint8Array): Row[] {
	const inRange = rows.filter(([key]) => {
		const { gt, gte, lt, lte, prefix } = range
		return (
			(gt === undefined || Buffer.compare(key, gt) > 0) &&
			(gte === undefined || Buffer.compare(key, gte) >= 0) &&
			(lt === undefined || Buffer.compare(key, lt) < 0) &&
			(lte === undefined || Buffer.compare(key, lte) <= 0) &&
			(prefix === undefined || Buffer.from(key).subarray(0, prefix.length).equals(prefix)) &&
			(from === undefined || Buffer.compare(key, from) * (range.reverse === true ? -1 : 1) >= 0)
		)
	})
	return range.reverse === true ? inRange.reverse() : inRange
}

const plain = (rows: readonly Row[]): string[] =>
	rows.map(([key, value]) => `${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`)

const RUNS = 150

describe('any mixture of runs, L0 tables and memtables reads like one sorted map', () => {
	test('get, getMany, has and getCached give the newest visible version of each key', async () => {
		await fc.assert(
			fc.asyncProperty(scenario, async given => {
				const { versions, view, reads } = await build(given)
				const model = new Map(modelOf(versions, view.maxSeq).map(([key, value]) => [hex(key), hex(value)]))
				const keys = [...versions.map(({ key }) => key), Uint8Array.of(7, 7, 7), Uint8Array.of(0xff, 0xff)]
				const many = await reads.getMany(keys)
				const together = await Promise.all(keys.map(key => reads.get(key)))
				for (const [i, key] of keys.entries()) {
					const wanted = model.get(hex(key))
					expect(hex(many[i])).toBe(wanted)
					expect(hex(together[i])).toBe(wanted)
					if (i % 7 !== 0) continue
					expect(hex(await reads.get(key))).toBe(wanted)
					expect(await reads.has(key)).toBe(wanted !== undefined)
					const cached = reads.getCached(key, 'cold')
					if (cached !== 'cold') expect(hex(cached as Uint8Array | undefined)).toBe(wanted)
				}
			}),
			{ numRuns: RUNS },
		)
	})

	test('entries, keys, values and batches give what lies in the range, forwards and backwards', async () => {
		await fc.assert(
			fc.asyncProperty(scenario, async given => {
				const { versions, view, reads } = await build(given)
				const range = rangeOf(given.bounds)
				const limit = given.bounds.limit
				const wanted = expected(modelOf(versions, view.maxSeq), range).slice(0, limit)
				expect(plain(await collect(reads.entries(range)))).toEqual(plain(wanted))
				expect((await collect(reads.entries(range).batches())).flat().length).toBe(wanted.length)
				expect((await collect(reads.keys(range))).map(hex)).toEqual(wanted.map(([key]) => hex(key)))
				expect((await collect(reads.values(range))).map(hex)).toEqual(wanted.map(([, value]) => hex(value)))
				const whole = modelOf(versions, view.maxSeq)
				expect(plain(await collect(reads.entries()))).toEqual(plain(whole))
				expect(plain(await collect(reads.entries({ reverse: true })))).toEqual(plain([...whole].reverse()))
			}),
			{ numRuns: RUNS },
		)
	})

	test('seek goes to any key, forwards and backwards, also after the end', async () => {
		await fc.assert(
			fc.asyncProperty(scenario, async given => {
				const { versions, view, reads } = await build(given)
				const range = { ...rangeOf(given.bounds), limit: Number.POSITIVE_INFINITY }
				const model = modelOf(versions, view.maxSeq)
				const scan = reads.entries(range)
				let rest = expected(model, range)
				for (const [i, target] of given.seeks.entries()) {
					for (let taken = 0; taken < i * 10; taken++) {
						const { value } = await scan.next()
						expect(value === undefined ? [] : plain([value])).toEqual(plain(rest.slice(taken, taken + 1)))
					}
					scan.seek(target)
					rest = expected(model, range, target)
				}
				expect(plain(await collect(scan))).toEqual(plain(rest))
				await scan.close()
			}),
			{ numRuns: RUNS },
		)
	})

	test('a value stays as it is while a table that might have had a newer one is read behind it', async () => {
		const store = new NowStore(3)
		const first = await storeTable(store, tableOf('a', [put('k', 5, 'newer'), put('x', 10)]))
		const second = await storeTable(store, tableOf('b', [put('k', 3, 'older'), put('x', 9)]))
		const view = viewOf(manifestOf({ l0: [first, second] }))
		const reads = readsOf(store, view, { blockCacheBytes: 0 })
		expect(await reads.get('k')).toBe('newer')
		expect(await reads.get('k')).toBe('newer')
	})

	test('what getMany looks at ahead counts as no use, and it finds what is there', async () => {
		const store = new NowStore(0)
		const versions = Array.from({ length: 100 }, (_, i) => put(`k${i}`, i + 1))
		const l0 = [await storeTable(store, tableOf('a', versions, { blockBytes: 200 }))]
		const reads = readsOf(store, viewOf(manifestOf({ l0 })))
		const keys = Array.from({ length: 120 }, (_, i) => `k${i}`)
		const wanted = keys.map((key, i) => (i < 100 ? `${key}@${i + 1}` : undefined))
		expect(await reads.getMany(keys)).toEqual(wanted)
		const before = reads.source.stats().blocks
		expect(await reads.getMany(keys)).toEqual(wanted)
		const { hits, misses } = reads.source.stats().blocks
		expect({ hits: hits - before.hits, misses: misses - before.misses }).toEqual({ hits: 100, misses: 0 })
	})

	test('the model does notice a version that is lost', async () => {
		const { versions, view } = await build({
			...fc.sample(scenario, 1)[0],
			operations: [{ key: Uint8Array.of(1), kind: KIND_VALUE, expiresAtMs: 0, valueBytes: 3 }],
		} as Scenario)
		expect(modelOf(versions.slice(1), view.maxSeq)).not.toEqual(modelOf(versions, view.maxSeq))
	})
})

function hex(bytes: Uint8Array | undefined): string | undefined {
	return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')
}
