/**
 * What every cloud adapter must answer when the wire or the server fails, as one set of tests: the store under test
 * speaks to a real server through a proxy that spoils exchanges, and a second store, past the proxy, tells the truth.
 */
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Host } from '../../src/host/host.ts'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { engineFaultTests } from './cloud-engine-faults.ts'
import { cloudHangTests } from './cloud-hangs.ts'
import {
	answerAfter,
	answerInstead,
	cutBody,
	type FaultyProxy,
	type FixedAnswer,
	hang,
	loseReply,
	resetBefore,
	stallBody,
	startFaultyProxy,
} from './servers/faulty-proxy.ts'

export interface CloudFaultOptions {
	/** Address of the real server. */
	readonly endpoint: string
	/** A store of the one bucket of these tests, through a client of its own that reaches the server at `endpoint`. */
	readonly openAt: (endpoint: string, host?: Host) => Promise<ObjectStore>
	/** How the server creates an object. */
	readonly createMethod: 'PUT' | 'POST'
	readonly serverError: FixedAnswer
	readonly serverBusy: FixedAnswer
	/** What may never be in an error. */
	readonly secrets: readonly string[]
}

const MIB = 1024 * 1024
const CREATED = { kind: 'created' }
const EXISTS = { kind: 'exists' }
const UNKNOWN = { kind: 'unknown', cause: { code: 'ISLE_UNAVAILABLE' } }
const UNAVAILABLE = { code: 'ISLE_UNAVAILABLE' }
/** Retries without pauses. */
const AT_ONCE = { maxAttempts: 5, budgetMs: 60_000, basePauseMs: 0, maxPauseMs: 0 }

export function cloudFaultTests(options: CloudFaultOptions): void {
	const { createMethod, serverError, serverBusy } = options
	let proxy: FaultyProxy
	/** Past the proxy: the truth. */
	let direct: ObjectStore
	let spoilt: ObjectStore
	let retrying: ObjectStore
	let keys = 0
	const freshKey = (): string => `key-${keys++}-of-${process.pid}`
	const asked = (key: string): number => proxy.exchanges.filter(({ path }) => path.includes(key)).length

	beforeAll(async () => {
		proxy = await startFaultyProxy(options.endpoint)
		direct = await options.openAt(options.endpoint)
		spoilt = await options.openAt(options.endpoint.replace(/\/\/[^/]+/, `//${new URL(proxy.endpoint).host}`))
		retrying = retryingStore(spoilt, { budget: AT_ONCE })
	})
	afterEach(() => proxy.heal())
	afterAll(() => proxy.stop())

	const noSecrets = (error: unknown): void => {
		const shown = `${String(error)} ${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)}`
		for (const secret of options.secrets) expect(shown).not.toContain(secret)
	}
	const failureOf = (call: Promise<unknown>): Promise<unknown> =>
		call.then(
			value => expect.fail(`expected a failure, got ${String(value)}`),
			(error: unknown) => {
				noSecrets(error)
				return error
			},
		)

	describe('create-if-absent', () => {
		for (const [name, fault] of Object.entries({
			'a lost reply': loseReply(),
			'500 after the effect': answerAfter(serverError),
			'503 after the effect': answerAfter(serverBusy),
		})) {
			test(`answers unknown after ${name}; the object is there, and a second create sees it`, async () => {
				const key = freshKey()
				proxy.spoil({ method: createMethod, path: key, times: 1 }, fault)
				const outcome = await spoilt.createIfAbsent(key, text('ours'))
				expect(outcome).toMatchObject(UNKNOWN)
				noSecrets(outcome)
				expect(asked(key)).toBe(1)
				expect(await direct.get(key)).toEqual(text('ours'))
				expect(await spoilt.createIfAbsent(key, text('theirs'))).toEqual(EXISTS)
			})
		}

		for (const [name, fault] of Object.entries({ 'a reset': resetBefore(), 'a 503': answerInstead(serverBusy) })) {
			test(`answers unknown after ${name} before the effect, after one request, and the key is free`, async () => {
				const key = freshKey()
				proxy.spoil({ method: createMethod, path: key, times: 1 }, fault)
				expect(await spoilt.createIfAbsent(key, text('1'))).toMatchObject(UNKNOWN)
				expect(asked(key)).toBe(1)
				expect(await direct.get(key)).toBeUndefined()
				expect(await spoilt.createIfAbsent(key, text('2'))).toEqual(CREATED)
			})
		}

		test('answers unknown when nothing comes: by its deadline, or with the reason of its abort', async () => {
			const late = freshKey()
			proxy.spoil({ method: createMethod }, hang())
			expect(await spoilt.createIfAbsent(late, text('late'), { deadlineMs: 300 })).toMatchObject(UNKNOWN)
			proxy.heal()
			const aborted = freshKey()
			proxy.spoil({ method: createMethod, path: aborted }, hang())
			const controller = new AbortController()
			const hung = proxy.exchanges.filter(({ fault }) => fault === 'hang').length
			const creating = spoilt.createIfAbsent(aborted, text('aborted'), { signal: controller.signal })
			await proxy.met('hang', hung + 1)
			controller.abort('enough')
			expect(await creating).toEqual({ kind: 'unknown', cause: 'enough' })
			expect(await direct.get(aborted)).toEqual(text('aborted'))
		})

		test('lets exactly one of 50 clients win, in every round, while replies are lost', async () => {
			for (let round = 0; round < 3; round++) {
				const key = freshKey()
				proxy.spoil({ method: createMethod, path: key, times: 5 * round }, loseReply())
				const bodies = Array.from({ length: 50 }, (_, i) => text(String(i)))
				const outcomes = await Promise.all(bodies.map(body => spoilt.createIfAbsent(key, body)))
				const winner = Number(Buffer.from((await direct.get(key)) ?? []).toString())
				const created = outcomes.flatMap(({ kind }, i) => (kind === 'created' ? [i] : []))
				expect(created.every(i => i === winner)).toBe(true)
				expect(outcomes[winner]?.kind).toMatch(/created|unknown/)
				expect(outcomes.filter(({ kind }) => kind === 'unknown')).toHaveLength(5 * round)
				proxy.heal()
			}
		})

		test('of two large uploads of one key at once exactly one wins, and the object is its body', async () => {
			const bodies = [1, 2].map(seed => sampleBytes(17 * MIB + 11, seed))
			for (const create of [
				(key: string, body: Uint8Array) => direct.createIfAbsent(key, body),
				(key: string, body: Uint8Array) => direct.createFromStream(key, piecesOf(body)),
			]) {
				const key = freshKey()
				const outcomes = await Promise.all(bodies.map(body => create(key, body)))
				expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['created', 'exists'])
				const winner = bodies[outcomes.findIndex(({ kind }) => kind === 'created')] ?? new Uint8Array(0)
				expect(Buffer.compare((await direct.get(key)) ?? new Uint8Array(0), winner)).toBe(0)
			}
		})
	})

	describe('reading', () => {
		const body = sampleBytes(3 * MIB)

		test('a body that is cut is ISLE_UNAVAILABLE, and the retrying wrapper reads the whole of it again', async () => {
			const key = freshKey()
			await direct.put(key, body)
			for (const bytes of [0, 1000, 2 * MIB]) {
				proxy.spoil({ method: 'GET', path: key, times: 1 }, cutBody(bytes))
				expect(await failureOf(spoilt.get(key))).toMatchObject(UNAVAILABLE)
				proxy.spoil({ method: 'GET', path: key, times: 2 }, cutBody(bytes))
				expect(Buffer.compare((await retrying.get(key)) ?? new Uint8Array(0), body)).toBe(0)
				proxy.spoil({ method: 'GET', path: key, times: 1 }, cutBody(bytes))
				const part = await retrying.getRange(key, { offset: 7, bytes: 2 * MIB + 5 })
				expect(Buffer.compare(part ?? new Uint8Array(0), body.subarray(7, 2 * MIB + 12))).toBe(0)
				proxy.heal()
			}
		})

		test('a stream that is cut fails, and never ends early', async () => {
			const key = freshKey()
			await direct.put(key, body)
			proxy.spoil({ method: 'GET', path: key, times: 1 }, cutBody(MIB + 1000))
			const stream = await spoilt.getStream(key)
			const reading = (async () => {
				for await (const piece of stream ?? []) expect(piece.byteLength).toBe(MIB)
			})()
			expect(await failureOf(reading)).toMatchObject(UNAVAILABLE)
		})

		test('a body that stalls, and an answer that never comes, end with the deadline', async () => {
			const key = freshKey()
			await direct.put(key, body)
			for (const fault of [stallBody(1000), hang()]) {
				proxy.spoil({ method: 'GET', path: key }, fault)
				expect(await failureOf(spoilt.get(key, { deadlineMs: 500 }))).toMatchObject(UNAVAILABLE)
				proxy.heal()
			}
			expect(Buffer.compare((await spoilt.get(key)) ?? new Uint8Array(0), body)).toBe(0)
		})

		test('an abort in the middle of a body rejects with the reason, and other calls go on', async () => {
			const key = freshKey()
			await direct.put(key, body)
			proxy.spoil({ method: 'GET', path: key, times: 1 }, stallBody(1000))
			const controller = new AbortController()
			const reading = spoilt.get(key, { signal: controller.signal })
			await proxy.met('stall-body', proxy.exchanges.filter(({ fault }) => fault === 'stall-body').length + 1)
			const others = Array.from({ length: 10 }, () => spoilt.get(key))
			controller.abort('enough')
			await expect(reading).rejects.toBe('enough')
			for (const other of await Promise.all(others)) expect(other?.byteLength).toBe(body.byteLength)
		})
	})

	test('a storm of 503 and resets is sat out by the wrapper, for every call that may be repeated', async () => {
		const key = freshKey()
		const storm = (): void => {
			proxy.heal()
			proxy.spoil({ times: 2 }, answerInstead(serverBusy))
			proxy.spoil({ times: 1 }, resetBefore())
		}
		storm()
		await retrying.put(key, text('calm'))
		storm()
		expect(await retrying.get(key)).toEqual(text('calm'))
		storm()
		expect((await retrying.list({ prefix: key })).objects.map(object => object.key)).toEqual([key])
		storm()
		await retrying.delete(key)
		storm()
		expect(await retrying.get(key)).toBeUndefined()
		proxy.spoil({}, answerInstead(serverBusy))
		expect(await failureOf(retrying.get(key))).toMatchObject(UNAVAILABLE)
		expect(await failureOf(retrying.deleteMany([key, 'other']))).toMatchObject(UNAVAILABLE)
	})

	cloudHangTests(options)
	engineFaultTests(options)

	test('nothing that is inspected shows a credential', () => {
		noSecrets(direct)
		noSecrets(spoilt)
	})
}

async function* piecesOf(body: Uint8Array): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < body.byteLength; at += 700_001) yield body.subarray(at, at + 700_001)
}
