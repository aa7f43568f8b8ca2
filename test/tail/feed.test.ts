/** Waiting and reading: who asks the store how often, and what a fault does. */
import { describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { sleep } from '../../src/host/clock.ts'
import type { Change } from '../../src/tail/change.ts'
import type { ChangeIterator } from '../../src/tail/change-iterator.ts'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { lostReply } from '../support/scripted-store.ts'
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

	test('begins a poll one interval after the last one began, at once where that took longer', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const iterator = tails.changes({ pollIntervalMs: 100 })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		const { clock } = fixture.host
		const began: number[] = []
		let slowMs = 30
		fixture.store.onGet = async (_key, run) => {
			began.push(clock.monotonicMs())
			await sleep(clock, slowMs)
			return await run()
		}
		const apart = async (): Promise<number[]> => {
			began.length = 0
			await clock.advance(1000)
			return began.slice(2).map((ms, i) => ms - (began[i + 1] ?? 0))
		}
		expect(new Set(await apart())).toEqual(new Set([100]))
		slowMs = 250
		await apart()
		expect(new Set(await apart())).toEqual(new Set([250]))
		fixture.store.onGet = (_key, run) => run()
		await fixture.commit([put('a', '1')])
		expect(keysOf((await fixture.until(next)).value)).toEqual(['a'])
		await iterator.return()
	})

	test('a transient failure of the poll is waited out, with growing pauses', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		const iterator = tails.changes({ pollIntervalMs: 100 })[Symbol.asyncIterator]()
		const next = iterator.next()
		await settle()
		let failures = 0
		fixture.store.onGet = async key => {
			if (key.startsWith('log/')) failures++
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
