/**
 * What every cloud adapter does about requests that hang, bodies that crawl and answers to another question: on a real
 * server, through a proxy, with the time in the test's hand.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_RETRY_BUDGET } from '../../src/host/backoff.ts'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore, RequestOptions } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import type { CloudFaultOptions } from './cloud-faults.ts'
import { type ManualHost, manualHost } from './manual-clock.ts'
import {
	answerInstead,
	cutBody,
	type FaultyProxy,
	hang,
	stallBody,
	startFaultyProxy,
	stepBody,
} from './servers/faulty-proxy.ts'

const MIB = 1024 * 1024
const UNAVAILABLE = { code: 'ISLE_UNAVAILABLE' }
/** Longer than the first pause of the wrapper. */
const PAUSE_MS = 100
const MAX_TURNS = 100_000

type Call = (store: ObjectStore, key: string, options?: RequestOptions) => Promise<unknown>

/**
 * Lets the wrapper's pause pass, whenever it begins: of several requests at once the others end first, and they are on a real
 * network. Resolves when `calling` has ended.
 */
export async function passPauses(host: ManualHost, calling: Promise<unknown>): Promise<void> {
	let isSettled = false
	const settle = (): void => {
		isSettled = true
	}
	calling.then(settle, settle)
	while (!isSettled) {
		const nextMs = host.clock.nextTimerMs
		if (nextMs !== undefined && nextMs <= PAUSE_MS) await host.clock.advance(nextMs)
		await new Promise<void>(resolve => setImmediate(resolve))
	}
}

/** Lets the time of what hangs run out, whenever its clock began, until the wrapper makes its pause. */
async function passDeadline(host: ManualHost): Promise<void> {
	for (let turn = 0; turn < MAX_TURNS; turn++) {
		const nextMs = host.clock.nextTimerMs
		if (nextMs !== undefined && nextMs <= PAUSE_MS) return
		if (nextMs !== undefined) await host.clock.advance(nextMs)
		await new Promise<void>(resolve => setImmediate(resolve))
	}
	throw new Error(`no pause, the next timer is due in ${host.clock.nextTimerMs}`)
}

export function cloudHangTests(cloud: CloudFaultOptions): void {
	let proxy: FaultyProxy
	/** Past the proxy: the truth. */
	let direct: ObjectStore
	let keys = 0
	const body = sampleBytes(3 * MIB, 7)
	const freshKey = (): string => `hang-${keys++}-of-${process.pid}`
	const spoiltOn = (host?: ManualHost): Promise<ObjectStore> =>
		cloud.openAt(cloud.endpoint.replace(/\/\/[^/]+/, `//${new URL(proxy.endpoint).host}`), host)
	const hung = (): number => proxy.exchanges.filter(({ fault }) => fault === 'hang').length
	const isBody = (found: unknown): boolean => found instanceof Uint8Array && Buffer.compare(found, body) === 0

	beforeAll(async () => {
		proxy = await startFaultyProxy(cloud.endpoint)
		direct = await cloud.openAt(cloud.endpoint)
	})
	afterEach(() => proxy.heal())
	afterAll(() => proxy.stop())

	/** Every call that may be repeated, with its deadline: 10 s, a second for each MiB sent, 10 ms for each key deleted. */
	const repeatable: Readonly<Record<string, readonly [deadlineMs: number, call: Call]>> = {
		get: [10_000, (store, key, options) => store.get(key, options)],
		getRange: [10_000, (store, key, options) => store.getRange(key, { offset: 1, bytes: MIB }, options)],
		getStream: [10_000, (store, key, options) => store.getStream(key, undefined, options)],
		list: [10_000, (store, key, options) => store.list({ prefix: key, ...options })],
		put: [13_000, (store, key, options) => store.put(key, body, options)],
		delete: [10_000, (store, key, options) => store.delete(key, options)],
		deleteMany: [10_020, (store, key, options) => store.deleteMany([key, `${key}-2`], options)],
	}
	const creating: Readonly<Record<string, Call>> = {
		createIfAbsent: (store, key, options) => store.createIfAbsent(key, text('new'), options),
		createFromStream: (store, key, options) => store.createFromStream(key, onePiece(), options),
	}

	describe('a request that hangs', () => {
		for (const [name, [deadlineMs, call]] of Object.entries(repeatable)) {
			test(`is given up and sent again well within the time of an outage: ${name}`, async () => {
				const host = manualHost()
				const store = retryingStore(await spoiltOn(host), { host })
				const key = freshKey()
				await direct.put(key, body)
				const before = hung()
				proxy.spoil({ times: 1 }, hang())
				const calling = call(store, key)
				await proxy.met('hang', before + 1)
				await host.clock.untilTimers(1)
				await host.clock.advance(deadlineMs)
				await passPauses(host, calling)
				const answer = await calling
				if (name === 'get') expect(isBody(answer)).toBe(true)
				expect(host.clock.monotonicMs()).toBeLessThan(DEFAULT_RETRY_BUDGET.budgetMs / 2)
				expect(hung()).toBe(before + 1)
			})
		}

		test('is unknown of a create, after one request, and what it did is there', async () => {
			for (const call of Object.values(creating)) {
				const host = manualHost()
				const store = retryingStore(await spoiltOn(host), { host })
				const key = freshKey()
				const before = hung()
				proxy.spoil({ method: cloud.createMethod }, hang())
				const outcome = call(store, key)
				await proxy.met('hang', before + 1)
				await host.clock.untilTimers(1)
				await host.clock.advance(120_000)
				expect(await outcome).toMatchObject({ kind: 'unknown', cause: UNAVAILABLE })
				expect(hung()).toBe(before + 1)
				proxy.heal()
				expect(await direct.get(key)).toEqual(text('new'))
			}
		})

		test('is ended by an abort at once, whatever it is, with the reason; of a create nothing is then known', async () => {
			const store = await spoiltOn()
			const calls = Object.fromEntries(Object.entries(repeatable).map(([name, [, call]]) => [name, call]))
			for (const [name, call] of Object.entries({ ...calls, ...creating })) {
				const key = freshKey()
				const controller = new AbortController()
				const before = hung()
				proxy.spoil({}, hang())
				const calling = call(store, key, { signal: controller.signal })
				await proxy.met('hang', before + 1)
				controller.abort('enough')
				if (name in creating) expect(await calling, name).toEqual({ kind: 'unknown', cause: 'enough' })
				else await expect(calling, name).rejects.toBe('enough')
				proxy.heal()
			}
		})
	})

	describe('a refusal that is cut on its way', () => {
		test('is an outage, or what its status says beyond doubt: never another refusal', async () => {
			const store = await spoiltOn()
			const [taken, absent] = [freshKey(), freshKey()]
			await direct.put(taken, text('first'))
			for (const bytes of [0, 10]) {
				proxy.spoil({}, cutBody(bytes))
				for (const call of [
					() => store.get(absent),
					() => store.getRange(absent, { offset: 0, bytes: 1 }),
					() => store.getStream(absent),
				]) {
					const outcome: unknown = await call().catch((error: unknown) => error)
					if (outcome !== undefined) expect(outcome).toMatchObject(UNAVAILABLE)
				}
				const created = await store.createIfAbsent(taken, text('second'))
				if (created.kind !== 'exists') expect(created).toMatchObject({ kind: 'unknown', cause: UNAVAILABLE })
				proxy.heal()
			}
			expect(await direct.get(taken)).toEqual(text('first'))
		})
	})

	describe('a body', () => {
		test('that stalls is given up 10 s after the last MiB of it, and the whole is read again', async () => {
			for (const bytes of [0, 1000, MIB + 1000]) {
				const host = manualHost()
				const store = retryingStore(await spoiltOn(host), { host })
				const key = freshKey()
				await direct.put(key, body)
				const stalled = proxy.exchanges.filter(({ fault }) => fault === 'stall-body').length
				proxy.spoil({ method: 'GET', times: 1 }, stallBody(bytes))
				const reading = store.get(key)
				await proxy.met('stall-body', stalled + 1)
				await host.clock.untilTimers(1)
				await passDeadline(host)
				// The next MiB must not come later than that; where one came before it stalled, its clock may have begun anew.
				expect([10_000, 20_000]).toContain(host.clock.monotonicMs())
				await passPauses(host, reading)
				expect(isBody(await reading)).toBe(true)
			}
		})

		test('that stalls in a stream fails it, and never ends it early', async () => {
			const host = manualHost()
			const key = freshKey()
			await direct.put(key, body)
			proxy.spoil({ method: 'GET', times: 1 }, stallBody(MIB + 1000))
			const stream = await (await spoiltOn(host)).getStream(key)
			const pieces = stream?.[Symbol.asyncIterator]()
			expect((await pieces?.next())?.done).toBe(false)
			const failing = expect(pieces?.next()).rejects.toMatchObject(UNAVAILABLE)
			await host.clock.untilTimers(1)
			await host.clock.advance(10_000)
			await failing
		})

		test('that crawls is read to its end: 9 s for each MiB, 27 s in all', async () => {
			const host = manualHost()
			const store = await spoiltOn(host)
			const key = freshKey()
			await direct.put(key, body)
			const before = proxy.exchanges.length
			proxy.spoil({ method: 'GET' }, stepBody(MIB))
			const reading = store.get(key)
			await proxy.met('step-body', 1)
			for (let step = 0; step < 3; step++) {
				await untilNextTimerIs(host, 10_000)
				await host.clock.advance(9_000)
				proxy.step()
			}
			expect(isBody(await reading)).toBe(true)
			expect(host.clock.monotonicMs()).toBe(27_000)
			expect(proxy.exchanges.length).toBe(before + 1)
		})

		test('of another range than was asked for, or of the whole object, is not believed', async () => {
			const store = await spoiltOn()
			const answer = (status: number, range: string | undefined, bytes: string) =>
				answerInstead({ status, body: bytes, headers: { etag: '"1"', ...(range && { 'content-range': range }) } })
			const range = { offset: 10, bytes: 5 }
			// A client library may itself refuse the whole object where it asked for a range.
			const either = expect.stringMatching(/^ISLE_(UNSUPPORTED|UNAVAILABLE)$/)
			const cases: readonly [ReturnType<typeof answer>, string][] = [
				[answer(206, 'bytes 10-12/100', 'abc'), 'ISLE_UNAVAILABLE'],
				[answer(206, 'bytes 11-15/100', 'abcde'), 'ISLE_UNAVAILABLE'],
				[answer(206, 'bytes 10-14/100', 'abc'), 'ISLE_UNAVAILABLE'],
				[answer(200, undefined, 'abcde'), either],
				[answer(206, 'bytes 10-12/13', 'abc'), 'ISLE_CORRUPT'],
			]
			for (const [fault, code] of cases) {
				proxy.spoil({ times: 1 }, fault)
				await expect(store.getRange('any', range), JSON.stringify(fault)).rejects.toMatchObject({ code })
				proxy.spoil({ times: 1 }, fault)
				await expect(store.getStream('any', range), JSON.stringify(fault)).rejects.toMatchObject({ code })
			}
			proxy.spoil({ times: 1 }, answer(206, 'bytes 10-14/100', 'abcde'))
			expect(await store.getRange('any', range), 'the control').toEqual(text('abcde'))
		})
	})
}

async function* onePiece(): AsyncGenerator<Uint8Array> {
	yield text('new')
}

/** What arrives over a socket arrives in real time: the clock stands until it has. */
async function untilNextTimerIs(host: ManualHost, delayMs: number): Promise<void> {
	for (let turn = 0; host.clock.nextTimerMs !== delayMs; turn++) {
		if (turn === MAX_TURNS) throw new Error(`no timer of ${delayMs} ms, the next is due in ${host.clock.nextTimerMs}`)
		await new Promise(resolve => setImmediate(resolve))
	}
}
