/** Leaving a tail, the end of its owner, and what a tail holds meanwhile. */
import { describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import type { Change } from '../../src/tail/change.ts'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { RecentCommits } from '../../src/tail/recent-commits.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { gate } from '../support/scripted-store.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

const keysOf = (batch: readonly Change[] | undefined): unknown[] => (batch ?? []).map(change => change.key)

function errorOf(promise: Promise<unknown>): Promise<unknown> {
	return promise.then(
		() => undefined,
		(error: unknown) => error,
	)
}

describe('leaving', () => {
	test.each(['return', 'abort', 'throw'] as const)(
		'by %s while idle ends the wait at once and leaves no timer',
		async how => {
			const fixture = await CommitFixture.create()
			const { tails } = await fixture.readerTails()
			const controller = new AbortController()
			const iterator = tails.changes({ signal: controller.signal })[Symbol.asyncIterator]()
			if (how === 'throw') {
				await fixture.commit([put('a', '1')])
				const error = await errorOf(
					(async () => {
						for await (const batch of fixture.writerTails().changes({ from: BEGINNING }))
							throw new Error(`boom ${batch.length}`)
					})(),
				)
				expect(String(error)).toContain('boom 1')
			} else {
				const next = iterator.next()
				await settle()
				expect(fixture.host.clock.pendingTimers).toBe(1)
				if (how === 'abort') {
					controller.abort(new Error('enough'))
					expect(String(await errorOf(next))).toContain('enough')
				} else {
					await iterator.return()
					expect(await next).toEqual({ done: true, value: undefined })
				}
				expect(await iterator.next()).toEqual({ done: true, value: undefined })
			}
			expect(tails.waiting).toBe(0)
			expect(fixture.host.clock.pendingTimers).toBe(0)
		},
	)

	test('while a read is under way aborts it', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1')])
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		const never = gate()
		let signal: AbortSignal | undefined
		fixture.store.onGet = async (_key, run, options) => {
			signal = options?.signal
			await never.opened
			return await run()
		}
		const iterator = tails.changes({ from: BEGINNING })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		expect(signal?.aborted).toBe(false)
		await iterator.return()
		expect(signal?.aborted).toBe(true)
		expect(await next).toEqual({ done: true, value: undefined })
	})

	test('one of two tails that wait for the same record leaves the other its read', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1')])
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		const hold = gate()
		fixture.store.onGet = async (_key, run) => {
			await hold.opened
			return await run()
		}
		const [leaves, stays] = [1, 2].map(() => tails.changes({ from: BEGINNING })[Symbol.asyncIterator]())
		const left = leaves?.next()
		const kept = stays?.next()
		await settle()
		await leaves?.return()
		hold.open()
		expect((await left)?.done).toBe(true)
		expect(keysOf((await kept)?.value)).toEqual(['a'])
	})

	test('when the owner closes, every tail ends with ISLE_CLOSED and its cursor, and later ones do not begin', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1')])
		const { tails } = await fixture.readerTails()
		const waits = tails.changes()[Symbol.asyncIterator]()
		const rests = tails.changes({ from: BEGINNING })[Symbol.asyncIterator]()
		const made = tails.changes()
		await rests.next()
		const next = errorOf(waits.next())
		await settle()
		tails.close()
		tails.close()
		for (const error of [await next, await errorOf(rests.next())]) {
			expect(isIsleError(error, 'ISLE_CLOSED') && decodeCursor(error.details['cursor'])).toMatchObject({ seq: 1 })
		}
		expect(isIsleError(await errorOf(made[Symbol.asyncIterator]().next()), 'ISLE_CLOSED')).toBe(true)
		expect(() => tails.changes()).toThrow('closed')
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('the error of an owner that failed is the error of its tails', async () => {
		const fixture = await CommitFixture.create()
		const tails = fixture.writerTails()
		const next = errorOf(tails.changes()[Symbol.asyncIterator]().next())
		await settle()
		tails.fail(new IsleError('ISLE_FENCED', 'another owner'))
		expect(isIsleError(await next, 'ISLE_FENCED')).toBe(true)
	})
})

describe('memory', () => {
	test('nothing is fetched for a subscriber that does not ask, but a few records ahead', async () => {
		const fixture = await CommitFixture.create()
		const many = Array.from({ length: 1100 }, (_, i) => put(`k${i}`, 'v'))
		for (let i = 0; i < 30; i++) await fixture.commit(many, { blockBytes: 4096 })
		const tails = fixture.writerTails({ recentBytes: 0 })
		fixture.takeCalls()
		const iterator = tails.changes({ from: BEGINNING })[Symbol.asyncIterator]()
		await iterator.next()
		await fixture.host.clock.advance(1_000_000)
		expect(fixture.takeCalls().filter(call => call.startsWith('get ')).length).toBeLessThanOrEqual(5)
		await iterator.return()
	})

	test('recent commits stay within their bytes, the oldest go first, and one that is too large is not kept', async () => {
		const fixture = await CommitFixture.create()
		const small = [await fixture.commit([put('a', '1')]), await fixture.commit([put('b', '2')])]
		const large = await fixture.commit([put('c', 'x'.repeat(20_000))])
		const weigh = (of: typeof large): number =>
			2048 + [...of.inlineTables.values()].reduce((sum, t) => sum + t.length, 0)
		const bytes = weigh(small[0] ?? large) + weigh(small[1] ?? large)
		const recent = new RecentCommits(bytes)
		recent.want()
		for (const loaded of [...small, large]) recent.add(loaded)
		expect(recent.bytes).toBe(bytes)
		expect(small.map(({ commit }) => recent.get(commit.position) !== undefined)).toEqual([true, true])
		expect(recent.get(large.commit.position)).toBeUndefined()
		const tight = new RecentCommits(bytes - 1)
		tight.want()
		for (const loaded of small) tight.add(loaded)
		expect(small.map(({ commit }) => tight.get(commit.position) !== undefined)).toEqual([false, true])
	})
})
