/** The S3 store on Ceph RGW behind a proxy that spoils exchanges: what it answers, and what is then on the server. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { cloudFaultTests } from '../support/cloud-faults.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import {
	answerInstead,
	cutBody,
	type FaultyProxy,
	loseReply,
	repeat,
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

const server = await serverForTests('Ceph RGW', startCephRgw)
const reached = server ?? { endpoint: 'http://127.0.0.1:9', accessKeyId: 'nobody', secretAccessKey: 'nothing' }
if (server !== undefined) await createBucket(server, BUCKET)

describe.skipIf(server === undefined)('the S3 store behind a faulty proxy', () => {
	cloudFaultTests({
		endpoint: reached.endpoint,
		openAt: (endpoint, host) => storeOn({ ...reached, endpoint }, BUCKET, { host }),
		createMethod: 'PUT',
		serverError: s3Answer(500, 'InternalError'),
		serverBusy: s3Answer(503, 'SlowDown'),
		secrets: [reached.accessKeyId, reached.secretAccessKey, 'Signature='],
	})
})

describe.skipIf(server === undefined)('the S3 store, as only S3 goes wrong,', () => {
	let proxy: FaultyProxy
	/** Past the proxy: the truth. */
	let direct: ObjectStore
	let spoilt: ObjectStore
	let keys = 0
	const freshKey = (): string => `s3/${keys++}`

	beforeAll(async () => {
		proxy = await startFaultyProxy(reached.endpoint)
		direct = await storeOn(reached, BUCKET)
		spoilt = await storeOn({ ...reached, endpoint: proxy.endpoint }, BUCKET)
	})
	afterEach(() => proxy.heal())
	afterAll(() => proxy.stop())

	test('answers unknown, not exists, when a client that repeats by itself met its own first attempt', async () => {
		const key = freshKey()
		const eager = await storeOn({ ...reached, endpoint: proxy.endpoint }, BUCKET, { client: { maxAttempts: 3 } })
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

	test('keeps the first body when a request arrives twice', async () => {
		const key = freshKey()
		proxy.spoil({ method: 'PUT', path: key, times: 1 }, repeat())
		expect(await spoilt.createIfAbsent(key, text('once'))).toEqual(CREATED)
		await proxy.met('repeat')
		expect(await direct.createIfAbsent(key, text('other'))).toEqual(EXISTS)
		expect(await direct.get(key)).toEqual(text('once'))
	})

	test('a stream that is cut rejects after whole pieces, never ends early', async () => {
		const body = sampleBytes(3 * MIB)
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

	test('a range that begins past the end of its object, as the server says, is ISLE_CORRUPT', async () => {
		proxy.spoil({ times: 1 }, answerInstead(s3Answer(416, 'InvalidRange')))
		await expect(spoilt.getRange('any', { offset: 10, bytes: 5 })).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
	})

	test('deletes key by key, 16 at a time, on a server that has no batch deletion, and remembers it', async () => {
		const refusals = [
			s3Answer(501, 'NotImplemented'),
			s3Answer(405, 'MethodNotAllowed'),
			s3Answer(400, 'MissingContentMD5'),
		]
		for (const refusal of refusals) {
			const store = await storeOn({ ...reached, endpoint: proxy.endpoint }, BUCKET)
			const prefix = freshKey()
			const deleted = Array.from({ length: 40 }, (_, i) => `${prefix}/${i}`)
			await Promise.all(deleted.map(key => direct.put(key, text('x'))))
			const before = proxy.exchanges.length
			proxy.spoil({ method: 'POST' }, answerInstead(refusal))
			await store.deleteMany([...deleted, `${prefix}/absent`])
			expect((await direct.list({ prefix })).objects).toEqual([])
			await store.deleteMany([`${prefix}/1`, `${prefix}/2`])
			const methods = proxy.exchanges.slice(before).map(({ method }) => method)
			expect(methods).toEqual(['POST', ...Array<string>(43).fill('DELETE')])
			proxy.heal()
		}
	})

	test('does not take an outage, or a refusal of the credentials, for a missing batch deletion', async () => {
		for (const [answer, code] of [
			[s3Answer(503, 'SlowDown'), 'ISLE_UNAVAILABLE'],
			[s3Answer(403, 'AccessDenied'), 'ISLE_DENIED'],
			[s3Answer(404, 'NoSuchBucket'), 'ISLE_NOT_FOUND'],
		] as const) {
			const before = proxy.exchanges.length
			proxy.spoil({ method: 'POST', times: 1 }, answerInstead(answer))
			await expect(spoilt.deleteMany(['a/1', 'a/2'])).rejects.toMatchObject({ code })
			expect(proxy.exchanges.length - before).toBe(1)
		}
	})

	test('a batch deletion reports what its reply of 200 says was not deleted', async () => {
		const refused =
			'<DeleteResult><Error><Key>a/2</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>'
		proxy.spoil({ method: 'POST', times: 1 }, answerInstead({ status: 200, body: refused }))
		await expect(spoilt.deleteMany(['a/1', 'a/2'])).rejects.toMatchObject({
			code: 'ISLE_DENIED',
			message: expect.stringMatching(/key=`a\/2` .* failedKeys=`1`/),
			details: { key: 'a/2' },
		})
		const gone = refused.replace('AccessDenied', 'NoSuchKey')
		proxy.spoil({ method: 'POST', times: 1 }, answerInstead({ status: 200, body: gone }))
		await spoilt.deleteMany(['a/1', 'a/2'])
	})
})
