/** The S3 store on Ceph RGW behind a proxy that spoils exchanges: what it answers, and what is then on the server. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import {
	answerAfter,
	answerInstead,
	cutBody,
	hang,
	loseReply,
	repeat,
	resetBefore,
	stallBody,
	startFaultyProxy,
} from '../support/servers/faulty-proxy.ts'
import { createBucket, s3Answer, storeOn } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const MIB = 1024 * 1024
const BUCKET = 'faults'
const CREATED = { kind: 'created' }
const EXISTS = { kind: 'exists' }
const UNKNOWN = { kind: 'unknown', cause: { code: 'ISLE_UNAVAILABLE' } }
const UNAVAILABLE = { code: 'ISLE_UNAVAILABLE' }
/** Retries without pauses. */
const AT_ONCE = { maxAttempts: 5, budgetMs: 60_000, basePauseMs: 0, maxPauseMs: 0 }
const SLOW_DOWN = s3Answer(503, 'SlowDown')
const INTERNAL_ERROR = s3Answer(500, 'InternalError')

const server = await serverForTests('Ceph RGW', startCephRgw)

describe.skipIf(server === undefined)('the S3 store behind a faulty proxy', async () => {
	if (server === undefined) return
	await createBucket(server, BUCKET)
	const proxy = await startFaultyProxy(server.endpoint)
	afterAll(() => proxy.stop())
	afterEach(() => proxy.heal())
	const reached = { ...server, endpoint: proxy.endpoint }
	/** Past the proxy: the truth. */
	const direct = await storeOn(server, BUCKET)
	const spoilt = await storeOn(reached, BUCKET)
	const retrying = retryingStore(spoilt, { budget: AT_ONCE })
	let keys = 0
	const freshKey = (): string => `key/${keys++}`

	describe('create-if-absent', () => {
		for (const [name, fault] of Object.entries({
			'a lost reply': loseReply(),
			'500 after the effect': answerAfter(INTERNAL_ERROR),
		})) {
			test(`answers unknown after ${name}; the object is there, and a second create sees it`, async () => {
				const key = freshKey()
				proxy.spoil({ method: 'PUT', path: key, times: 1 }, fault)
				expect(await spoilt.createIfAbsent(key, text('ours'))).toMatchObject(UNKNOWN)
				expect(await direct.get(key)).toEqual(text('ours'))
				expect(await spoilt.createIfAbsent(key, text('ours'))).toEqual(EXISTS)
			})
		}

		for (const [name, fault] of Object.entries({ 'a reset': resetBefore(), 'a 503': answerInstead(SLOW_DOWN) })) {
			test(`answers unknown after ${name} before the effect, after one request, and the key is free`, async () => {
				const key = freshKey()
				proxy.spoil({ method: 'PUT', path: key, times: 1 }, fault)
				expect(await spoilt.createIfAbsent(key, text('1'))).toMatchObject(UNKNOWN)
				expect(proxy.exchanges.filter(({ path }) => path.includes(key))).toHaveLength(1)
				expect(await direct.get(key)).toBeUndefined()
				expect(await spoilt.createIfAbsent(key, text('2'))).toEqual(CREATED)
			})
		}

		test('answers unknown, not exists, when a client that repeats by itself met its own first attempt', async () => {
			const key = freshKey()
			const eager = await storeOn(reached, BUCKET, { client: { maxAttempts: 3 } })
			proxy.spoil({ method: 'PUT', path: key, times: 1 }, loseReply())
			expect(await eager.createIfAbsent(key, text('ours'))).toMatchObject(UNKNOWN)
			expect(proxy.exchanges.filter(({ path }) => path.includes(key)).map(({ status }) => status)).toEqual([200, 412])
			expect(await eager.createIfAbsent(key, text('theirs'))).toEqual(EXISTS)
		})

		test('asks again after a 409 of a race, which had no effect, and answers unknown when it does not end', async () => {
			for (const code of ['ConditionalRequestConflict', 'ConcurrentModification', 'OperationAborted']) {
				const key = freshKey()
				proxy.spoil({ method: 'PUT', path: key, times: 2 }, answerInstead(s3Answer(409, code)))
				expect(await spoilt.createIfAbsent(key, text('1')), code).toEqual(CREATED)
				proxy.spoil({ method: 'PUT', path: key, times: 1 }, answerInstead(s3Answer(409, code)))
				expect(await spoilt.createIfAbsent(key, text('2')), code).toEqual(EXISTS)
			}
			const key = freshKey()
			proxy.spoil({ method: 'PUT', path: key }, answerInstead(s3Answer(409, 'ConditionalRequestConflict')))
			expect(await spoilt.createIfAbsent(key, text('1'))).toMatchObject(UNKNOWN)
			expect(proxy.exchanges.filter(({ path }) => path.includes(key))).toHaveLength(6)
		})

		test('answers unknown when nothing comes: by its deadline, or with the reason of its abort', async () => {
			const late = freshKey()
			proxy.spoil({ method: 'PUT' }, hang())
			expect(await spoilt.createIfAbsent(late, text('late'), { deadlineMs: 300 })).toMatchObject(UNKNOWN)
			expect(await direct.get(late)).toEqual(text('late'))
			const aborted = freshKey()
			const controller = new AbortController()
			const creating = spoilt.createIfAbsent(aborted, text('aborted'), { signal: controller.signal })
			await proxy.met('hang', 2)
			controller.abort('enough')
			expect(await creating).toEqual({ kind: 'unknown', cause: 'enough' })
			expect(await direct.get(aborted)).toEqual(text('aborted'))
		})

		test('keeps the first body when a request arrives twice', async () => {
			const key = freshKey()
			proxy.spoil({ method: 'PUT', path: key, times: 1 }, repeat())
			expect(await spoilt.createIfAbsent(key, text('once'))).toEqual(CREATED)
			await proxy.met('repeat')
			expect(await direct.createIfAbsent(key, text('other'))).toEqual(EXISTS)
			expect(await direct.get(key)).toEqual(text('once'))
		})

		test('lets exactly one of 50 clients win, in every round, while replies are lost', async () => {
			const stores = await Promise.all(Array.from({ length: 50 }, () => storeOn(reached, BUCKET)))
			for (let round = 0; round < 3; round++) {
				const key = freshKey()
				proxy.spoil({ method: 'PUT', path: key, times: 5 * round }, loseReply())
				const outcomes = await Promise.all(stores.map((store, i) => store.createIfAbsent(key, text(`${i}`))))
				const winner = Number(Buffer.from((await direct.get(key)) ?? []).toString())
				const created = outcomes.flatMap(({ kind }, i) => (kind === 'created' ? [i] : []))
				expect(created.every(i => i === winner)).toBe(true)
				expect(outcomes[winner]?.kind).toMatch(/created|unknown/)
				expect(outcomes.filter(({ kind }) => kind === 'unknown')).toHaveLength(5 * round)
				proxy.heal()
			}
		})
	})

	describe('reading', () => {
		const body = sampleBytes(3 * MIB)

		test('a body that is cut is ISLE_UNAVAILABLE, and the retrying wrapper reads the whole of it again', async () => {
			const key = freshKey()
			await direct.put(key, body)
			const range = { offset: 5, bytes: 2 * MIB }
			for (const bytes of [0, 1, 100_000, MIB]) {
				proxy.spoil({ method: 'GET', path: key, times: 2 }, cutBody(bytes))
				await expect(spoilt.get(key)).rejects.toMatchObject({ ...UNAVAILABLE, message: expect.stringContaining(key) })
				await expect(spoilt.getRange(key, range)).rejects.toMatchObject(UNAVAILABLE)
				proxy.spoil({ method: 'GET', path: key, times: 4 }, cutBody(bytes))
				expect(Buffer.compare((await retrying.get(key)) ?? text(''), body)).toBe(0)
				proxy.heal()
			}
		})

		test('a stream that is cut rejects after whole pieces, never ends early', async () => {
			const key = freshKey()
			await direct.put(key, body)
			proxy.spoil({ method: 'GET', path: key, times: 1 }, cutBody(MIB + 10))
			const pieces: Uint8Array[] = []
			const reading = async (): Promise<void> => {
				for await (const piece of (await spoilt.getStream(key)) ?? []) pieces.push(piece)
			}
			await expect(reading()).rejects.toMatchObject(UNAVAILABLE)
			expect(pieces.map(piece => piece.byteLength)).toEqual([MIB])
		})

		test('a body that stalls ends by the deadline, or with the reason of the abort', async () => {
			const key = freshKey()
			await direct.put(key, body)
			proxy.spoil({ method: 'GET', path: key }, stallBody(1000))
			await expect(spoilt.get(key, { deadlineMs: 300 })).rejects.toMatchObject(UNAVAILABLE)
			const controller = new AbortController()
			const reading = spoilt.get(key, { signal: controller.signal })
			await proxy.met('stall-body', 2)
			controller.abort('enough')
			await expect(reading).rejects.toBe('enough')
			const stream = await spoilt.getStream(key, undefined, { deadlineMs: 300 })
			await expect(stream?.[Symbol.asyncIterator]().next()).rejects.toMatchObject(UNAVAILABLE)
		})

		test('a storm of 503s and resets is waited out by the retrying wrapper, in reads, listings, puts and deletions', async () => {
			const key = freshKey()
			await direct.put(key, text('there'))
			const calls: Readonly<Record<string, () => Promise<unknown>>> = {
				get: async () => expect(await retrying.get(key)).toEqual(text('there')),
				list: async () => expect((await retrying.list({ prefix: key })).objects).toHaveLength(1),
				put: () => retrying.put(key, text('again')),
				delete: () => retrying.delete(key),
				deleteMany: () => retrying.deleteMany([key, 'other']),
			}
			for (const fault of [answerInstead(SLOW_DOWN), resetBefore(), loseReply(), answerAfter(INTERNAL_ERROR)]) {
				await direct.put(key, text('there'))
				for (const [name, call] of Object.entries(calls)) {
					proxy.spoil({ times: 4 }, fault)
					await call()
					proxy.spoil({ times: 5 }, fault)
					await expect(call(), `${name} ${fault.kind}`).rejects.toMatchObject(UNAVAILABLE)
					proxy.heal()
				}
			}
		})

		test('a server that answers another range, or ignores ranges, is not believed', async () => {
			const answer = (status: number, range: string | undefined, body: string) =>
				answerInstead({ status, body, headers: range === undefined ? {} : { 'content-range': range } })
			const range = { offset: 10, bytes: 5 }
			const cases: readonly [ReturnType<typeof answer>, string][] = [
				[answer(206, 'bytes 10-12/100', 'abc'), 'ISLE_UNAVAILABLE'],
				[answer(206, 'bytes 11-15/100', 'abcde'), 'ISLE_UNAVAILABLE'],
				[answer(206, 'bytes 10-14/100', 'abc'), 'ISLE_UNAVAILABLE'],
				[answer(200, undefined, 'abcde'), 'ISLE_UNSUPPORTED'],
				[answer(206, 'bytes 10-12/13', 'abc'), 'ISLE_CORRUPT'],
				[answerInstead(s3Answer(416, 'InvalidRange')), 'ISLE_CORRUPT'],
			]
			for (const [fault, code] of cases) {
				proxy.spoil({ times: 1 }, fault)
				await expect(spoilt.getRange('any', range), JSON.stringify(fault)).rejects.toMatchObject({ code })
			}
			proxy.spoil({ times: 1 }, answer(206, 'bytes 10-14/100', 'abcde'))
			expect(await spoilt.getRange('any', range), 'the control').toEqual(text('abcde'))
		})
	})

	test('a batch deletion reports what its reply of 200 says was not deleted', async () => {
		const refused =
			'<DeleteResult><Error><Key>a/2</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>'
		proxy.spoil({ method: 'POST', times: 1 }, answerInstead({ status: 200, body: refused }))
		await expect(spoilt.deleteMany(['a/1', 'a/2'])).rejects.toMatchObject({
			code: 'ISLE_DENIED',
			message: expect.stringContaining('a/2'),
		})
		const gone = refused.replace('AccessDenied', 'NoSuchKey')
		proxy.spoil({ method: 'POST', times: 1 }, answerInstead({ status: 200, body: gone }))
		await spoilt.deleteMany(['a/1', 'a/2'])
	})
})
