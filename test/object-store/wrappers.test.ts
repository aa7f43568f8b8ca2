import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { sleep } from '../../src/host/clock.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { prefixedStore } from '../../src/object-store/prefixed-store.ts'
import { FREE, GCS_STANDARD_PRICES, S3_STANDARD_PRICES } from '../../src/object-store/prices.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { FaultyStore, failBefore, loseReply, refuse } from '../support/faulty-store.ts'
import { manualHost } from '../support/manual-clock.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'

const BODY = new Uint8Array([1, 2, 3, 4, 5])

async function* twoPieces(): AsyncGenerator<Uint8Array> {
	yield BODY
	yield BODY
}

async function keysOf(store: ObjectStore): Promise<string[]> {
	return (await store.list()).objects.map(object => object.key)
}

describe('prefixedStore', () => {
	test('keeps databases of one store apart, those too whose prefix begins with the other', async () => {
		const store = new MemoryStore()
		const [one, ten] = [prefixedStore(store, 'db1'), prefixedStore(store, 'db10/')]
		await one.put('a', BODY)
		await ten.put('b', BODY)
		expect(await keysOf(one)).toEqual(['a'])
		expect(await keysOf(ten)).toEqual(['b'])
		expect(await keysOf(store)).toEqual(['db1/a', 'db10/b'])
		expect(await one.get('b')).toBeUndefined()
	})

	test('refuses prefixes that are no key', () => {
		for (const prefix of ['/', '..', 'a/../b', '/a', 'a//', 'a\\b']) {
			expect(() => prefixedStore(new MemoryStore(), prefix), prefix).toThrow(RangeError)
		}
	})

	test('closes the store beneath only when told to, and itself always', async () => {
		const store = new MemoryStore()
		const view = prefixedStore(store, 'db')
		await view.close()
		await expect(view.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		expect(await store.get('a')).toBeUndefined()
		await prefixedStore(store, 'db', { onClose: 'close' }).close()
		await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})

	test('names itself by its place in the store', () => {
		expect(prefixedStore(new MemoryStore({ name: 'x' }), 'a/b/').url).toBe('memory:x/a/b')
		expect(prefixedStore(new MemoryStore({ name: 'x' }), '').url).toBe('memory:x')
	})
})

describe('countingStore', () => {
	test('counts requests and bytes of each kind', async () => {
		const store = countingStore(new MemoryStore())
		await store.put('a', BODY)
		await store.createIfAbsent('b', [BODY, BODY])
		await store.createIfAbsent('b', BODY)
		await store.createFromStream('c', twoPieces())
		await store.get('a')
		await store.get('absent')
		await store.getRange('b', { offset: 0, bytes: 3 })
		for await (const _ of (await store.getStream('c')) ?? []) {
			// Only the counts matter.
		}
		await store.list()
		await store.delete('a')
		await store.deleteMany(Array.from({ length: 2001 }, (_, i) => String(i)))
		await store.deleteMany([])
		const { byKind, total } = store.snapshot()
		const numbers = Object.entries(byKind).map(([kind, count]) => [
			kind,
			count.requests,
			count.failures,
			count.sentBytes,
			count.receivedBytes,
		])
		expect(numbers).toEqual([
			['get', 2, 0, 0, 5],
			['getRange', 1, 0, 0, 3],
			['getStream', 1, 0, 0, 10],
			['list', 1, 0, 0, 0],
			['put', 1, 0, 5, 0],
			['createIfAbsent', 2, 0, 15, 0],
			['createFromStream', 1, 0, 10, 0],
			['delete', 1, 0, 0, 0],
			['deleteMany', 3, 0, 0, 0],
		])
		expect(total).toMatchObject({ requests: 13, failures: 0, sentBytes: 30, receivedBytes: 18 })
	})

	test('counts what a store reads at once as a range, and what it refuses not at all', () => {
		const now = new (class extends PassThroughStore {
			readNow(key: string): boolean | Promise<void> {
				return key === 'later' ? Promise.resolve() : key === 'now'
			}
		})()
		expect(retryingStore(countingStore(new MemoryStore())).readNow?.('now', 0, BODY)).toBe(false)
		const counts = countingStore(now)
		expect(retryingStore(prefixedStore(counts, '')).readNow?.('now', 0, new Uint8Array(7))).toBe(true)
		expect(counts.readNow?.('never', 0, new Uint8Array(7))).toBe(false)
		expect(counts.readNow?.('later', 0, new Uint8Array(7))).toBeInstanceOf(Promise)
		expect(counts.snapshot().byKind.getRange).toMatchObject({ requests: 1, receivedBytes: 7, failures: 0 })
	})

	test('estimates the cost from a table of prices: a million commits on S3 are five dollars', async () => {
		const store = countingStore(new MemoryStore())
		for (let i = 0; i < 1000; i++) await store.createIfAbsent(String(i), BODY)
		for (let i = 0; i < 1000; i++) await store.get(String(i))
		await store.deleteMany(['1', '2'])
		const { byKind, total, prices } = store.snapshot()
		expect(byKind.createIfAbsent.estimatedUsd).toBeCloseTo(0.005, 10)
		expect(byKind.get.estimatedUsd).toBeCloseTo(0.0004, 10)
		expect(total.estimatedUsd).toBeCloseTo(0.0054, 10)
		expect(prices).toBe(S3_STANDARD_PRICES)
		const free = countingStore(new MemoryStore(), { prices: FREE })
		await free.put('a', BODY)
		expect(free.snapshot().total).toMatchObject({ requests: 1, estimatedUsd: 0 })
		for (const table of [S3_STANDARD_PRICES, GCS_STANDARD_PRICES]) expect(table.source).toMatch(/^https:/)
	})

	test('counts failures and unknown outcomes, starts anew at reset, and hands out copies', async () => {
		const faulty = new FaultyStore(new MemoryStore())
		const store = countingStore(faulty)
		faulty.fail({ operation: 'get' }, failBefore()).fail({ operation: 'createIfAbsent' }, loseReply())
		await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(await store.createIfAbsent('a', BODY)).toMatchObject({ kind: 'unknown' })
		const before = store.snapshot()
		expect(before.total).toMatchObject({ requests: 2, failures: 2 })
		store.reset()
		await store.get('a')
		expect(store.snapshot().total).toMatchObject({ requests: 1, failures: 0 })
		expect(before.total.requests).toBe(2)
	})
})

describe('retryingStore', () => {
	const BUDGET = { maxAttempts: 4, budgetMs: 10_000, basePauseMs: 100, maxPauseMs: 1000 }

	function fixture(): { faulty: FaultyStore; store: ObjectStore; host: ReturnType<typeof manualHost> } {
		const host = manualHost()
		const faulty = new FaultyStore(new MemoryStore())
		return { faulty, store: retryingStore(faulty, { budget: BUDGET, host }), host }
	}

	test('repeats every call that may be repeated, until it succeeds', async () => {
		const { faulty, store, host } = fixture()
		await faulty.inner.put('a', BODY)
		const calls = {
			get: () => store.get('a'),
			getRange: () => store.getRange('a', { offset: 0, bytes: 1 }),
			getStream: () => store.getStream('a'),
			list: () => store.list(),
			put: () => store.put('b', BODY),
			delete: () => store.delete('b'),
			deleteMany: () => store.deleteMany(['b']),
		} as const
		for (const [operation, call] of Object.entries(calls)) {
			faulty.fail({ times: 3 }, failBefore())
			const running = call()
			await host.clock.advance(10_000)
			await running
			expect(faulty.calls.splice(0).map(made => made.operation)).toEqual(Array(4).fill(operation))
		}
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('offers memory for a range to the first attempt alone, which may yet write into it', async () => {
		const { faulty, store, host } = fixture()
		await faulty.inner.put('a', BODY)
		const into = new Uint8Array(1)
		expect(await store.getRange('a', { offset: 0, bytes: 1 }, { into })).toBe(into)
		faulty.fail({ times: 1 }, failBefore())
		const running = store.getRange('a', { offset: 0, bytes: 1 }, { into })
		await host.clock.advance(10_000)
		const answer = await running
		expect(answer).toEqual(into)
		expect(answer).not.toBe(into)
	})

	test('gives up after its attempts with ISLE_UNAVAILABLE whose cause is the last failure', async () => {
		const { faulty, store, host } = fixture()
		faulty.fail({ times: 99 }, failBefore(new IsleError('ISLE_UNAVAILABLE', 'the store is away')))
		const running = expect(store.get('a')).rejects.toMatchObject({
			code: 'ISLE_UNAVAILABLE',
			cause: { message: 'the store is away' },
		})
		await host.clock.advance(60_000)
		await running
		expect(faulty.count('get')).toBe(4)
	})

	test('never repeats a create, whatever became of it', async () => {
		const { faulty, store } = fixture()
		faulty.fail({ times: 9 }, loseReply())
		expect(await store.createIfAbsent('a', BODY)).toMatchObject({ kind: 'unknown' })
		expect(await store.createFromStream('b', twoPieces())).toMatchObject({ kind: 'unknown' })
		faulty.heal().fail({ times: 9 }, refuse(new IsleError('ISLE_UNAVAILABLE', 'away')))
		await expect(store.createIfAbsent('c', BODY)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(faulty.count()).toBe(3)
	})

	test('never repeats what was an answer and not an outage', async () => {
		for (const code of ['ISLE_DENIED', 'ISLE_FULL', 'ISLE_CORRUPT', 'ISLE_CLOSED'] as const) {
			const { faulty, store } = fixture()
			faulty.fail({}, refuse(new IsleError(code, 'no')))
			await expect(store.get('a')).rejects.toMatchObject({ code })
			expect(faulty.count()).toBe(1)
		}
		const { faulty, store } = fixture()
		await expect(store.get('../a')).rejects.toThrow(RangeError)
		expect(faulty.count()).toBe(1)
	})

	test('ends a pause at once when the signal aborts, with its reason', async () => {
		const { faulty, store, host } = fixture()
		faulty.fail({ times: 9 }, failBefore())
		const controller = new AbortController()
		const running = store.get('a', { signal: controller.signal })
		await host.clock.untilTimers(1)
		controller.abort('enough')
		await expect(running).rejects.toBe('enough')
		expect(host.clock.pendingTimers).toBe(0)
		expect(faulty.count()).toBe(1)
	})

	test('gives each attempt what is left of the deadline, and starts none after it', async () => {
		const { faulty, store, host } = fixture()
		const lefts: (number | undefined)[] = []
		const spy = retryingStore(
			Object.assign(Object.create(faulty) as ObjectStore, {
				get: (_key: string, options: { deadlineMs?: number }) => {
					lefts.push(options.deadlineMs)
					return Promise.reject(new IsleError('ISLE_UNAVAILABLE', 'away'))
				},
			}),
			{ budget: { ...BUDGET, maxAttempts: 100 }, host },
		)
		const running = expect(spy.get('a', { deadlineMs: 500 })).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await host.clock.advance(5000)
		await running
		expect(lefts[0]).toBe(500)
		expect(lefts.length).toBeGreaterThan(1)
		expect(lefts.every(left => left !== undefined && left >= 0 && left <= 500)).toBe(true)
		expect(lefts).toEqual(lefts.toSorted((a, b) => Number(b) - Number(a)))
		expect(store.url).toBe(faulty.url)
	})

	test('counts its time from the first failure: a long body that was cut at its end is read again', async () => {
		const host = manualHost()
		let attempts = 0
		const slow = retryingStore(
			Object.assign(Object.create(new MemoryStore()) as ObjectStore, {
				get: async () => {
					await sleep(host.clock, 600_000)
					if (++attempts < 2) throw new IsleError('ISLE_UNAVAILABLE', 'cut')
					return BODY
				},
			}),
			{ budget: BUDGET, host },
		)
		const reading = slow.get('a')
		await host.clock.advance(1_300_000)
		expect(await reading).toEqual(BODY)
		expect(attempts).toBe(2)
	})
})
