/** Waiting and reading: who asks the store how often, what a fault does, and what is left when a tail goes. */
import { describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import type { Change } from '../../src/tail/change.ts'
import type { ChangeIterator } from '../../src/tail/change-iterator.ts'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { RecentCommits } from '../../src/tail/recent-commits.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { gate, lostReply } from '../support/scripted-store.ts'
import { collect, expected, seen } from '../support/tail-model.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

const keysOf = (batch: readonly Change[] | undefined): unknown[] => (batch ?? []).map(change => change.key)

function errorOf(promise: Promise<unknown>): Promise<unknown> {
	return promise.then(
		() => undefined,
		(error: unknown) => error,
	)
}

describe('in the process of the writer', () => {
	test('a commit wakes its tails within the tick, without a request and without a timer', async () => {
		const fixture = await CommitFixture.create()
		const tails = fixture.writerTails()
		const iterator = tails.changes()[Symbol.asyncIterator]()
		const got: unknown[] = []
		const loop = (async () => {
			for await (const batch of iterator) {
				got.push(...keysOf(batch))
				if (got.length === 3) return
			}
		})()
		await settle()
		fixture.takeCalls()
		for (const key of ['a', 'b', 'c']) {
			await fixture.commit([put(key, '1')])
			// Promises run to their end within the tick; nothing else does.
			for (let turn = 0; turn < 40; turn++) await Promise.resolve()
			expect(got.at(-1)).toBe(key)
			expect(fixture.host.clock.pendingTimers).toBe(0)
		}
		await loop
		expect(fixture.takeCalls().filter(call => call.startsWith('get') || call.startsWith('list'))).toEqual([])
	})

	test('a commit too large to be kept still reaches the tails that wait for it, without a request', async () => {
		const fixture = await CommitFixture.create()
		const tails = fixture.writerTails({ recentBytes: 0 })
		const iterators = [1, 2, 3].map(() => tails.changes()[Symbol.asyncIterator]())
		const nexts = iterators.map(iterator => iterator.next())
		await settle()
		fixture.takeCalls()
		await fixture.commit([put('a', '1')])
		for (const next of nexts) expect(keysOf((await next).value)).toEqual(['a'])
		expect(fixture.takeCalls().filter(call => call.startsWith('get'))).toEqual([])
		for (const iterator of iterators) await iterator.return()
	})
})

describe('the poller of a process that only reads', () => {
	test('asks once for all tails, at the smallest interval of those that wait, and not while nobody waits', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const open = (pollIntervalMs: number): ChangeIterator<string, string> =>
			tails.changes({ pollIntervalMs })[Symbol.asyncIterator]()
		const iterators = [open(1000), open(200), open(1000), open(700)]
		const nexts = iterators.map(iterator => iterator.next())
		await settle()
		expect(tails.waiting).toBe(4)
		expect(fixture.host.clock.pendingTimers).toBe(1)
		fixture.takeCalls()
		await fixture.host.clock.advance(2000)
		expect(fixture.takeCalls().filter(call => call.startsWith('get'))).toHaveLength(10)
		await iterators[1]?.return()
		await fixture.host.clock.advance(7000)
		expect(fixture.takeCalls().filter(call => call.startsWith('get'))).toHaveLength(10)
		await fixture.commit([put('a', '1')])
		await fixture.host.clock.advance(700)
		for (const i of [0, 2, 3]) expect(keysOf((await nexts[i])?.value)).toEqual(['a'])
		// The GET that found it, two behind it that found the end, and nothing more: nobody waits now.
		expect(fixture.takeCalls().filter(call => call.startsWith('get'))).toHaveLength(3)
		await fixture.host.clock.advance(10_000)
		expect(fixture.takeCalls()).toEqual([])
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('a tail that is behind reads each record once, whatever the number of tails', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 20; i++) await fixture.commit([put(`k${i}`, 'v')])
		const tails = fixture.writerTails()
		fixture.takeCalls()
		const all = await Promise.all([1, 2, 3].map(() => collect(tails.changes({ from: BEGINNING }), 20)))
		for (const changes of all) expect(changes.map(seen)).toEqual(fixture.history.map(expected))
		const calls = fixture.takeCalls()
		expect(new Set(calls).size).toBe(20)
		expect(calls).toHaveLength(20)
	})

	test('a transient failure of the poll is waited out, with growing pauses', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const iterator = tails.changes({ pollIntervalMs: 100 })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		let failures = 0
		fixture.store.onGet = async () => {
			failures++
			throw lostReply()
		}
		await fixture.host.clock.advance(3_600_000)
		// At the plain interval it would have been 36,000; twice a minute 120.
		expect(failures).toBeGreaterThan(100)
		expect(failures).toBeLessThan(400)
		fixture.store.onGet = (_key, run) => run()
		await fixture.commit([put('a', '1')])
		expect(keysOf((await fixture.until(next)).value)).toEqual(['a'])
		await iterator.return()
	})
})

describe('faults', () => {
	test('transient ones never end a tail, whatever they hit, and nothing is lost or repeated', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 12; i++) {
			if (i === 6) await fixture.takeOver()
			await fixture.commit([put(`k${i}`, `${i}`), put('large', 'x'.repeat(1000))], {
				place: i % 2 === 0 ? 'inline' : 'object',
			})
		}
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		for (const count of [1.5, 2, 5]) {
			fixture.failOneIn(count)
			const all = await fixture.until(collect(tails.changes({ from: BEGINNING }), fixture.history.length))
			expect(all.map(seen)).toEqual(fixture.history.map(expected))
		}
	})

	test('a terminal one ends the tail with a typed error that carries the last cursor, after what came before it', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 4; i++) await fixture.commit([put(`k${i}`, 'v')], { place: 'object' })
		await fixture.store.inner.delete('sst/w1-2')
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		const got: Change[] = []
		const error = await errorOf(
			(async () => {
				for await (const batch of tails.changes({ from: BEGINNING })) got.push(...batch)
			})(),
		)
		expect(got.map(change => change.key)).toEqual(['k0', 'k1'])
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details['cursor']).toBe(got.at(-1)?.cursor)
	})

	test.each([
		['ISLE_DENIED', () => new IsleError('ISLE_DENIED', 'no')],
		['ISLE_CORRUPT', () => new IsleError('ISLE_CORRUPT', 'flipped')],
	] as const)('%s of a poll ends every tail that waits, each with its cursor', async (code, make) => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const nexts = [1, 2].map(() => tails.changes({ pollIntervalMs: 10 })[Symbol.asyncIterator]().next())
		await settle()
		fixture.store.onGet = async () => {
			throw make()
		}
		const errors = Promise.all(nexts.map(errorOf))
		await fixture.host.clock.advance(10)
		for (const error of await errors) {
			expect(isIsleError(error, code) && decodeCursor(error.details['cursor'])).toMatchObject({ seq: 0 })
		}
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('a flipped bit of a record is ISLE_CORRUPT', async () => {
		const fixture = await CommitFixture.create()
		const { commit } = await fixture.commit([put('a', '1')])
		const key = fixture.log.key(commit.position)
		const bytes = (await fixture.store.inner.get(key)) ?? new Uint8Array(0)
		bytes[40] = (bytes[40] ?? 0) ^ 1
		await fixture.store.inner.put(key, bytes)
		const tails = fixture.writerTails()
		const error = await errorOf(collect(tails.changes({ from: BEGINNING }), 1))
		expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
	})

	test('what an encoding throws ends the tail, typed, with what came before it given and the cursor before it', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('"a"', '1'), put('"b"', '{'), put('"c"', '3')])
		const tails = fixture.writerTails({ keyEncoding: 'json', valueEncoding: 'json' })
		const got: Change[] = []
		const error = await errorOf(
			(async () => {
				for await (const batch of tails.changes({ from: BEGINNING })) got.push(...batch)
			})(),
		)
		expect(got.map(change => change.key)).toEqual(['a'])
		expect(isIsleError(error, 'ISLE_CLOSED') && error.cause).toBeInstanceOf(SyntaxError)
		expect(isIsleError(error) && error.details['cursor']).toBe(got[0]?.cursor)
	})
})

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
			1024 + [...of.inlineTables.values()].reduce((sum, t) => sum + t.length, 0)
		const bytes = weigh(small[0] ?? large) + weigh(small[1] ?? large)
		const recent = new RecentCommits(bytes)
		for (const loaded of [...small, large]) recent.add(loaded)
		expect(recent.bytes).toBe(bytes)
		expect(small.map(({ commit }) => recent.get(commit.position) !== undefined)).toEqual([true, true])
		expect(recent.get(large.commit.position)).toBeUndefined()
		const tight = new RecentCommits(bytes - 1)
		for (const loaded of small) tight.add(loaded)
		expect(small.map(({ commit }) => tight.get(commit.position) !== undefined)).toEqual([false, true])
	})
})
