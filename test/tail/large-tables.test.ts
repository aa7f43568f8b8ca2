/** Tables that are worth a thread of the pool: what a tail gives is the same, and the next one is prepared meanwhile. */
import { afterAll, describe, expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, del, type Mutation, put } from '../support/commit-fixture.ts'
import { collect, expected, seen } from '../support/tail-model.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })
const COMMITS = 4
const PER_COMMIT = 9_000
const pool = acquireWorkerPool(systemHost)
afterAll(() => pool.close())

/** 9,000 changes of 140 bytes: more than a megabyte. Some are not ASCII, some delete, some expire, some stand in packs. */
async function history(): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	const random = seededRandom(3)
	for (let c = 0; c < COMMITS; c++) {
		const mutations = Array.from({ length: PER_COMMIT }, (_, i): Mutation => {
			const key = `${i % 50 === 0 ? 'ü' : 'key'}/${Math.floor(random.next() * 1e9)}`
			if (c === 1 && i % 10 === 0) return del(key)
			const value = `${c}-${i}-${i % 70 === 0 && c === 2 ? 'größer' : 'x'}`.padEnd(i % 1_000 === 1 ? 5_000 : 130, '.')
			return c === 2 && i % 3_000 === 7 ? { key, value, isLarge: true } : put(key, value, i % 100 === 3 ? 9e12 + i : 0)
		})
		await fixture.commit(mutations, { codec: c % 2 === 0 ? 'lz4' : 'none', place: 'object', blockBytes: 4_096 })
	}
	return fixture
}

describe('large tables', () => {
	test('are given as they were written, by threads as without', async () => {
		const fixture = await history()
		const all = fixture.history.map(expected)
		for (const options of [{ pool }, {}]) {
			const { tails } = await fixture.readerTails(options)
			const changes = await collect(tails.changes({ from: BEGINNING }), all.length)
			expect(changes.map(seen)).toEqual(all)
			// Resumed in the middle of a table.
			const rest = await collect(tails.changes({ from: changes[12_345]?.cursor ?? '' }), all.length - 12_346)
			expect(rest.map(seen)).toEqual(all.slice(12_346))
			tails.close()
		}
	})

	test('are given as bytes, and by an encoding of the application', async () => {
		const fixture = await history()
		const hex = {
			name: 'hex',
			encode: (text: string) => Buffer.from(text, 'hex'),
			decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('hex'),
		}
		for (const [keyEncoding, valueEncoding, encoding] of [
			['buffer', 'buffer', 'hex'],
			[hex, hex, 'hex'],
		] as const) {
			const { tails } = await fixture.readerTails({ pool, keyEncoding, valueEncoding })
			const changes = await collect(tails.changes({ from: BEGINNING }), fixture.history.length)
			const text = (value: unknown): string | undefined =>
				value instanceof Uint8Array ? Buffer.from(value).toString(encoding) : (value as string | undefined)
			expect(changes.map(({ key, value }) => [text(key), text(value)])).toEqual(
				fixture.history.map(({ key, value }) => [
					Buffer.from(key).toString('hex'),
					value === undefined ? undefined : Buffer.from(value).toString('hex'),
				]),
			)
			tails.close()
		}
	})

	test('that are gone when they are wanted are told behind what came before them', async () => {
		const fixture = await history()
		const third = fixture.commits[2]?.commit.tables[0]?.objectKey ?? ''
		await fixture.store.inner.delete(third)
		const { tails } = await fixture.readerTails({ pool })
		const given: unknown[] = []
		const following = (async () => {
			for await (const batch of tails.changes({ from: BEGINNING })) given.push(...batch.map(seen))
		})()
		await expect(following).rejects.toMatchObject({ code: 'ISLE_EXPIRED', details: { key: third } })
		expect(given).toEqual(fixture.history.slice(0, 2 * PER_COMMIT).map(expected))
	})

	test('are ordered once for tails that go side by side', async () => {
		const fixture = await history()
		const readsOf = async (tailCount: number): Promise<number> => {
			const { tails } = await fixture.readerTails({ pool })
			fixture.takeCalls()
			const iterators = Array.from({ length: tailCount }, () =>
				tails.changes({ from: BEGINNING })[Symbol.asyncIterator](),
			)
			for (let given = 0; given < fixture.history.length; ) {
				const batches = await Promise.all(iterators.map(iterator => iterator.next()))
				given += batches[0]?.value?.length ?? 0
			}
			tails.close()
			return fixture.takeCalls().filter(call => call.includes('sst/')).length
		}
		const readsOfOne = await readsOf(1)
		expect(readsOfOne).toBeGreaterThan(COMMITS)
		expect(await readsOf(2)).toBe(readsOfOne)
	})
})
