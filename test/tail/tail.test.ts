/** What a tail emits: history in commit order, from each place where it can begin, in the writer's process and elsewhere. */
import { describe, expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, del, type Mutation, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { collect, expected, seen } from '../support/tail-model.ts'

const SAMPLE: readonly (readonly Mutation[])[] = [
	[put('m', '1'), put('z', '2'), put('m', '3')],
	[put('a', '4'), del('z'), put('m', '5', 1_800_000_000_000)],
	[],
	[put('a', ''), put('é', '✓'), del('never-there'), put('0', '6'), put('z', '7')],
]

async function sampleFixture(): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	for (const [i, mutations] of SAMPLE.entries()) {
		await fixture.commit(mutations, { tables: i % 2 === 0 ? 1 : 2, place: i % 2 === 0 ? 'inline' : 'object' })
		await fixture.host.clock.advance(100)
	}
	return fixture
}

/** A cursor before everything. */
const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

describe('commit order', () => {
	test('a tail emits every version: overwrites, deletes, expiries and smaller keys', async () => {
		const fixture = await sampleFixture()
		const { tails } = await fixture.readerTails()
		const all = await collect(tails.changes({ from: BEGINNING }), fixture.history.length)
		expect(all.map(seen)).toEqual(fixture.history.map(expected))
	})

	test('a tail in the process of the writer emits the same', async () => {
		const fixture = await sampleFixture()
		const all = await collect(fixture.writerTails().changes({ from: BEGINNING }), fixture.history.length)
		expect(all.map(seen)).toEqual(fixture.history.map(expected))
	})

	test('an entry that has expired is part of the history', async () => {
		const fixture = await CommitFixture.create()
		const startMs = fixture.host.clock.nowMs()
		await fixture.commit([put('a', '1', startMs + 10), put('b', '2')])
		await fixture.host.clock.advance(20)
		const { tails } = await fixture.readerTails()
		const all = await collect(tails.changes({ from: BEGINNING }), 2)
		expect(all.map(change => change.expiresAtMs)).toEqual([startMs + 10, 0])
		const [row] = await collect(tails.changes({ from: 'start' }), 1)
		expect(row?.key).toBe('b')
	})

	test('a change is plain data: it survives JSON, structuredClone and spreading, cursor included', async () => {
		const fixture = await sampleFixture()
		const [change] = await collect(fixture.writerTails().changes({ from: BEGINNING }), 1)
		expect(change?.cursor).toMatch(/^1/)
		expect(structuredClone(change)).toEqual(change)
		expect(JSON.parse(JSON.stringify(change))).toEqual(change)
		expect({ ...change }).toEqual(change)
	})

	test('a commit of several thousand changes comes in batches of at most 1024', async () => {
		const fixture = await CommitFixture.create()
		const mutations = Array.from({ length: 2500 }, (_, i) => put(`key-${(i * 7919) % 2500}`, `value-${i}`))
		await fixture.commit(mutations, { blockBytes: 4096 })
		const sizes: number[] = []
		const all = []
		for await (const batch of fixture.writerTails().changes({ from: BEGINNING })) {
			sizes.push(batch.length)
			all.push(...batch)
			if (all.length === 2500) break
		}
		expect(sizes).toEqual([1024, 1024, 452])
		expect(all.map(seen)).toEqual(fixture.history.map(expected))
	})

	test('a batch ends when its values pass 1 MiB', async () => {
		const fixture = await CommitFixture.create()
		const value = 'v'.repeat(300_000)
		await fixture.commit(Array.from({ length: 9 }, (_, i) => put(`k${i}`, value)))
		const sizes: number[] = []
		let count = 0
		for await (const batch of fixture.writerTails().changes({ from: BEGINNING })) {
			sizes.push(batch.length)
			count += batch.length
			if (count === 9) break
		}
		expect(sizes).toEqual([4, 4, 1])
	})

	test('keys and values come as the encodings of the database give them', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('"a"', '{"n":1}'), del('"b"')])
		const asJson = fixture.writerTails({ keyEncoding: 'json', valueEncoding: 'json' })
		expect((await collect(asJson.changes({ from: BEGINNING }), 2)).map(({ key, value }) => [key, value])).toEqual([
			['a', { n: 1 }],
			['b', undefined],
		])
		const asBytes = fixture.writerTails({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
		const [first] = await collect(asBytes.changes({ from: BEGINNING }), 1)
		expect(first?.key).toEqual(new TextEncoder().encode('"a"'))
		expect(first?.value).toEqual(new TextEncoder().encode('{"n":1}'))
	})
})

describe('filters', () => {
	test.each([
		['prefix', { prefix: 'b' }, ['b', 'b1', 'bz']],
		['gte and lt', { gte: 'b', lt: 'c' }, ['b', 'b1', 'bz']],
		['gt and lte', { gt: 'b', lte: 'c' }, ['b1', 'bz', 'c']],
		['nothing', { gte: 'x', lt: 'y' }, []],
		['a prefix of all', { prefix: '' }, ['a', 'b', 'b1', 'bz', 'c']],
	])('%s keeps the wanted keys, in commit order, before and after the seam', async (_name, filter, wanted) => {
		const fixture = await CommitFixture.create()
		const keys = ['c', 'b1', 'a', 'bz', 'b']
		await fixture.commit(keys.map(key => put(key, '1')))
		const iterator = fixture
			.writerTails()
			.changes({ from: 'start', ...filter })
			[Symbol.asyncIterator]()
		const rows = wanted.length === 0 ? [] : (await iterator.next()).value
		expect(rows?.map(change => change.key)).toEqual(wanted)
		const next = iterator.next()
		await settle()
		await fixture.commit(keys.map(key => put(key, '2')))
		if (wanted.length > 0) {
			const following = (await next).value
			expect(following?.map(change => change.key)).toEqual(keys.filter(key => wanted.includes(key)))
		}
		await iterator.return()
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('blocks and tables without wanted keys are not read', async () => {
		const fixture = await CommitFixture.create()
		const many = (prefix: string): Mutation[] =>
			Array.from({ length: 300 }, (_, i) => put(`${prefix}${1000 + i}`, 'v'.repeat(50)))
		const { tails } = await fixture.readerTails()
		await fixture.commit(many('a'), { place: 'object' })
		await fixture.commit([...many('b'), ...many('c')], { place: 'object' })
		const position = fixture.commits[0]?.commit.position ?? { epoch: 0, slot: 0 }
		const from = encodeCursor({ kind: 'change', seq: 0, position })
		fixture.takeCalls()
		const all = collect(tails.changes({ from, prefix: 'c12' }), 100)
		await fixture.host.clock.advance(0)
		expect(await all).toHaveLength(100)
		const ranges = fixture.takeCalls().filter(call => call.startsWith('getRange'))
		expect(ranges.length).toBeGreaterThan(0)
		expect(ranges.every(call => call.includes('sst/w1-1'))).toBe(true)
	})

	test('the cursor of an iterator moves on over commits that its filter passes over', async () => {
		const fixture = await CommitFixture.create()
		const iterator = fixture.writerTails().changes({ from: 'now', prefix: 'x' })[Symbol.asyncIterator]()
		const pending = iterator.next()
		await settle()
		await fixture.commit([put('a', '1'), put('b', '2')])
		await settle()
		expect(decodeCursor(iterator.cursor)).toMatchObject({ seq: 2, position: { epoch: 1, slot: 1 } })
		await fixture.commit([put('x', '3')])
		expect((await pending).value?.map(change => change.key)).toEqual(['x'])
		await iterator.return()
	})
})
