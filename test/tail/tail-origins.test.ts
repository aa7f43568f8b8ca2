/** Where a tail can begin, and what it then emits first; over writers that take over. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { decodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, del, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { collect, expected, expectedRow, seen } from '../support/tail-model.ts'

describe("from 'now'", () => {
	test('emits only what is committed after the subscription, also in the same tick', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('earlier', '1')])
		const iterator = fixture.writerTails().changes()[Symbol.asyncIterator]()
		const committed = fixture.commit([put('later', '1')])
		expect((await iterator.next()).value?.map(change => change.key)).toEqual(['later'])
		await committed
		await iterator.return()
	})

	test('in a process that only reads, looks where the log stands first', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		await fixture.commit([put('before', '1')])
		const iterator = tails.changes({ pollIntervalMs: 10 })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		await fixture.commit([put('after', '2')])
		await fixture.host.clock.advance(10)
		expect((await next).value?.map(change => change.key)).toEqual(['after'])
		await iterator.return()
	})
})

describe("from 'start'", () => {
	test('emits the current state by key, then what follows it', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('m', '1'), put('z', '2'), put('m', '3')])
		await fixture.host.clock.advance(100)
		await fixture.commit([put('a', '4'), del('z'), put('m', '5', 1_800_000_000_000), put('é', '✓')], { tables: 2 })
		const stateMs = fixture.manifest.lastCommitMs
		const rows = fixture.stateAt(fixture.manifest.lastSeq)
		const iterator = fixture.writerTails().changes({ from: 'start' })[Symbol.asyncIterator]()
		expect((await iterator.next()).value?.map(seen)).toEqual(rows.map(row => expectedRow(row, stateMs)))
		const next = iterator.next()
		await fixture.commit([put('m', '8'), del('a')])
		expect((await next).value?.map(seen)).toEqual(fixture.history.slice(-2).map(expected))
		await iterator.return()
	})

	test('an empty database begins with what follows', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const iterator = tails.changes({ from: 'start', pollIntervalMs: 5 })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		await fixture.commit([put('a', '1')])
		await fixture.host.clock.advance(5)
		expect((await next).value?.map(seen)).toEqual(fixture.history.map(expected))
		await iterator.return()
	})

	test('a state of thousands of rows comes in full batches, and its last row points behind it', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 3; i++) {
			await fixture.commit(
				Array.from({ length: 1024 }, (_, j) => put(`k${j * 3 + i}`, `${i}`)),
				{ blockBytes: 4096 },
			)
		}
		const { tails } = await fixture.readerTails()
		const sizes: number[] = []
		const all = []
		for await (const batch of tails.changes({ from: 'start' })) {
			sizes.push(batch.length)
			all.push(...batch)
			if (all.length === 3072) break
		}
		expect(sizes).toEqual([1024, 1024, 1024])
		expect(all.map(change => change.key)).toEqual(fixture.stateAt(3072).map(row => row.key))
		expect(all.slice(0, -1).every(change => decodeCursor(change.cursor).kind === 'row')).toBe(true)
		expect(decodeCursor(all.at(-1)?.cursor)).toEqual({
			kind: 'change',
			seq: 3072,
			position: fixture.manifest.writerPosition,
		})
	})
})

describe('from a time', () => {
	test.each([undefined, 0, 5])(
		'begins with the first commit at or after it, also behind barriers (%s)',
		async barrier => {
			const fixture = await CommitFixture.create()
			for (let i = 0; i < 40; i++) {
				if (i % 13 === 12) {
					if (barrier !== undefined) await fixture.placeBarrier(barrier)
					await fixture.takeOver()
				}
				await fixture.commit(i % 5 === 4 ? [] : [put(`k${i}`, `${i}`)])
				await fixture.host.clock.advance(i % 3 === 0 ? 0 : 50)
			}
			const { tails } = await fixture.readerTails({ recentBytes: 0 })
			const firstMs = fixture.commits[0]?.commit.committedAtMs ?? 0
			for (let timeMs = firstMs - 60; timeMs <= fixture.manifest.lastCommitMs; timeMs += 25) {
				const wanted = fixture.history.filter(recorded => recorded.committedAtMs >= timeMs)
				const all = await collect(tails.changes({ from: { timeMs } }), wanted.length)
				expect(all.map(seen)).toEqual(wanted.map(expected))
			}
		},
	)

	test('a time to come waits for the first commit at or after it', async () => {
		const fixture = await CommitFixture.create()
		const timeMs = fixture.host.clock.nowMs() + 100
		const iterator = fixture.writerTails().changes({ from: { timeMs } })[Symbol.asyncIterator]()
		const next = iterator.next()
		await fixture.commit([put('early', '1')])
		await fixture.host.clock.advance(100)
		await fixture.commit([put('late', '2')])
		expect((await next).value?.map(change => change.key)).toEqual(['late'])
		await iterator.return()
	})

	test('costs a logarithm of the commits in GETs', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 256; i++) {
			await fixture.commit([put('k', `${i}`)])
			await fixture.host.clock.advance(1)
		}
		const tails = fixture.writerTails()
		const timeMs = fixture.commits[255]?.commit.committedAtMs ?? 0
		fixture.takeCalls()
		const [first] = await collect(tails.changes({ from: { timeMs } }), 1)
		expect(first?.seq).toBe(256)
		const calls = fixture.takeCalls()
		expect(calls.filter(call => call.startsWith('list'))).toHaveLength(0)
		// 1 for the epoch, 8 for the slot, 1 for the one before it, and 1 of the tail itself.
		expect(calls.length).toBeLessThanOrEqual(11)
	})

	test('a time whose commits were collected is a typed error that says from where it goes on', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 10; i++) {
			await fixture.commit([put('k', `${i}`)])
			await fixture.host.clock.advance(1)
		}
		await fixture.collect(4)
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		const timeMs = fixture.commits[2]?.commit.committedAtMs ?? 0
		const error: unknown = await collect(tails.changes({ from: { timeMs } }), 1).catch((thrown: unknown) => thrown)
		expect(isIsleError(error, 'ISLE_EXPIRED')).toBe(true)
		const earliest = isIsleError(error) ? String(error.details['earliest']) : ''
		const left = await collect(tails.changes({ from: earliest }), 4)
		expect(left.map(change => change.seq)).toEqual([7, 8, 9, 10])
		const known = fixture.commits[7]?.commit.committedAtMs ?? 0
		expect((await collect(tails.changes({ from: { timeMs: known } }), 3)).map(change => change.seq)).toEqual([8, 9, 10])
	})
})

describe('takeover', () => {
	test('a tail goes on over writers that take over, and over commits without changes', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const got: unknown[] = []
		const iterator = tails.changes({ from: 'now', pollIntervalMs: 10 })[Symbol.asyncIterator]()
		for (let round = 0; round < 4; round++) {
			const next = iterator.next()
			await settle()
			if (round > 0) await fixture.takeOver()
			await fixture.commit([])
			await fixture.takeOver()
			await fixture.commit([put(`k${round}`, 'v'), put('same', `${round}`)])
			await fixture.host.clock.advance(10)
			got.push(...((await next).value ?? []).map(seen))
		}
		expect(got).toEqual(fixture.history.map(expected))
		await iterator.return()
	})
})
