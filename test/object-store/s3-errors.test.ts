/** What failures of S3 become, by a server that answers whatever the test wants; no real one is needed. */
import { inspect } from 'node:util'
import { S3Client } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type IsleErrorCode, isIsleError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { answerInstead, type FaultyProxy, hang, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { s3Answer, s3Client, storeOn } from '../support/servers/s3-test-store.ts'
import { freePorts } from '../support/servers/test-server.ts'

const KEYS = {
	accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
	secretAccessKey: 'wJalrXUtnFEMI/K7MDENG',
	sessionToken: 'FwoGZXIvYXdzEBY',
}
const BODY = new Uint8Array([1])

let proxy: FaultyProxy
let store: ObjectStore
beforeAll(async () => {
	const [nobody] = await freePorts(1)
	proxy = await startFaultyProxy(`http://127.0.0.1:${nobody}`)
	store = await storeOn({ endpoint: proxy.endpoint, ...KEYS }, 'bucket', { client: { credentials: KEYS } })
})
afterEach(() => proxy.heal())
afterAll(() => proxy.stop())

async function failureOf(call: Promise<unknown>): Promise<unknown> {
	return call.then(
		value => value,
		(error: unknown) => error,
	)
}

/** Status, S3's code, our code, a part of the advice, and what a create answers: it throws, or has no verdict. */
const TABLE: readonly (readonly [number, string, IsleErrorCode, string, 'throws' | 'unknown'])[] = [
	[403, 'AccessDenied', 'ISLE_DENIED', 'not allowed', 'throws'],
	[403, 'InvalidAccessKeyId', 'ISLE_DENIED', 'does not accept the credentials', 'throws'],
	[403, 'SignatureDoesNotMatch', 'ISLE_DENIED', 'does not accept the credentials', 'throws'],
	[400, 'ExpiredToken', 'ISLE_DENIED', 'have expired, renew', 'throws'],
	[403, 'RequestTimeTooSkewed', 'ISLE_DENIED', 'clock is wrong', 'throws'],
	[403, 'SomethingNew', 'ISLE_DENIED', 'not allowed', 'throws'],
	[404, 'NoSuchBucket', 'ISLE_NOT_FOUND', 'no such bucket', 'throws'],
	[404, 'PageNotFound', 'ISLE_NOT_FOUND', 'look at the endpoint', 'throws'],
	[400, 'AuthorizationHeaderMalformed', 'ISLE_DENIED', 'another region', 'throws'],
	[400, 'InvalidArgument', 'ISLE_DENIED', 'refuses the request', 'throws'],
	[400, 'RequestTimeout', 'ISLE_UNAVAILABLE', 'could not be reached', 'unknown'],
	[400, 'BadDigest', 'ISLE_UNAVAILABLE', 'damaged on its way', 'unknown'],
	[408, 'Whatever', 'ISLE_UNAVAILABLE', 'unavailable', 'unknown'],
	[429, 'TooManyRequests', 'ISLE_UNAVAILABLE', 'slow down', 'unknown'],
	[503, 'SlowDown', 'ISLE_UNAVAILABLE', 'slow down', 'unknown'],
	[503, 'ServiceUnavailable', 'ISLE_UNAVAILABLE', 'unavailable', 'unknown'],
	[500, 'InternalError', 'ISLE_UNAVAILABLE', 'unavailable', 'unknown'],
	[502, 'Whatever', 'ISLE_UNAVAILABLE', 'unavailable', 'unknown'],
	[507, 'XMinioStorageFull', 'ISLE_FULL', 'full', 'unknown'],
	[403, 'QuotaExceeded', 'ISLE_FULL', 'full', 'throws'],
	[501, 'NotImplemented', 'ISLE_UNSUPPORTED', 'does not have this function', 'throws'],
	[403, 'InvalidObjectState', 'ISLE_DENIED', 'archived', 'throws'],
]

describe('a failure of S3', () => {
	for (const [status, code, expected, advice, created] of TABLE) {
		test(`${status} ${code} is ${expected} that says "${advice}"`, async () => {
			proxy.spoil({}, answerInstead(s3Answer(status, code)))
			const error = await failureOf(store.get('log/1'))
			expect(error).toMatchObject({ code: expected, message: expect.stringContaining(advice) })
			expect(error).toMatchObject({ message: expect.stringMatching(/key=`log\/1` url=`s3:\/\/bucket`/) })
			expect(error).toMatchObject({ message: expect.stringContaining(`status=\`${status}\``) })
			const outcome = await failureOf(store.createIfAbsent('log/1', BODY))
			if (created === 'throws') expect(outcome).toMatchObject({ code: expected })
			else expect(outcome).toMatchObject({ kind: 'unknown' })
		})
	}

	test('names the region where the bucket is', async () => {
		const malformed = s3Answer(400, 'AuthorizationHeaderMalformed', { Region: 'eu-west-3' })
		const redirect = s3Answer(301, 'PermanentRedirect')
		const moved = { ...redirect, headers: { ...redirect.headers, 'x-amz-bucket-region': 'eu-west-3' } }
		for (const answer of [malformed, moved]) {
			proxy.spoil({ times: 2 }, answerInstead(answer))
			const call = [store.list(), store.createIfAbsent('log/1', BODY)]
			for (const error of await Promise.all(call.map(failureOf))) {
				expect(error).toMatchObject({ code: 'ISLE_DENIED', message: expect.stringContaining('region=`eu-west-3`') })
			}
		}
	})

	test('names the permission that was missing', async () => {
		proxy.spoil({}, answerInstead(s3Answer(403, 'AccessDenied')))
		const calls: Readonly<Record<string, () => Promise<unknown>>> = {
			's3:GetObject and s3:ListBucket': () => store.get('k'),
			's3:ListBucket': () => store.list(),
			's3:PutObject': () => store.createIfAbsent('k', BODY),
			's3:DeleteObject': () => store.delete('k'),
		}
		for (const [permission, call] of Object.entries(calls)) {
			expect(await failureOf(call())).toMatchObject({ message: expect.stringContaining(`needed=\`${permission}\``) })
		}
	})

	test('that the object is not there is no failure, that the bucket is not there is one', async () => {
		proxy.spoil({}, answerInstead(s3Answer(404, 'NoSuchKey')))
		expect(await store.get('k')).toBeUndefined()
		expect(await store.getRange('k', { offset: 0, bytes: 1 })).toBeUndefined()
		expect(await store.getStream('k')).toBeUndefined()
		await store.delete('k')
	})

	test('a clock that is wrong is set right by one more request, of a create too', async () => {
		proxy.spoil({ times: 1 }, answerInstead(s3Answer(403, 'RequestTimeTooSkewed')))
		proxy.spoil({ times: 1 }, answerInstead({ status: 200, body: '' }))
		const before = proxy.exchanges.length
		expect(await store.createIfAbsent('k', BODY)).toEqual({ kind: 'created' })
		expect(proxy.exchanges.length - before).toBe(2)
	})

	test('no server, no host and no answer are ISLE_UNAVAILABLE; a create then has no verdict', async () => {
		const [closed] = await freePorts(1)
		for (const endpoint of [`http://127.0.0.1:${closed}`, 'http://isledb.invalid']) {
			const nowhere = await storeOn({ endpoint, ...KEYS }, 'bucket')
			expect(await failureOf(nowhere.get('k'))).toMatchObject({ code: 'ISLE_UNAVAILABLE' })
			expect(await nowhere.createIfAbsent('k', BODY)).toMatchObject({ kind: 'unknown' })
			await nowhere.close()
		}
		proxy.spoil({}, hang())
		expect(await failureOf(store.list({ deadlineMs: 100 }))).toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	})

	test('missing credentials and a missing region are ISLE_DENIED before anything is sent', async () => {
		const before = proxy.exchanges.length
		const withoutCredentials = s3Client(
			{ endpoint: proxy.endpoint, ...KEYS },
			{
				credentials: async () => {
					throw Object.assign(new Error('Could not load credentials from any providers'), {
						name: 'CredentialsProviderError',
					})
				},
			},
		)
		const withoutRegion = new S3Client({
			endpoint: proxy.endpoint,
			credentials: KEYS,
			region: async () => {
				throw new Error('Region is missing')
			},
		})
		for (const [client, advice] of [
			[withoutCredentials, 'no credentials'],
			[withoutRegion, 'no region'],
		] as const) {
			const opened = await openS3Store({ bucket: 'bucket', client })
			for (const call of [opened.get('k'), opened.createIfAbsent('k', BODY)]) {
				expect(await failureOf(call)).toMatchObject({ code: 'ISLE_DENIED', message: expect.stringContaining(advice) })
			}
		}
		expect(proxy.exchanges.length).toBe(before)
	})
})

describe('credentials', () => {
	const SECRETS = [...Object.values(KEYS), 'StringToSign', 'X-Amz-Signature=0', 'AWS4-HMAC', '0123456789abcdef0123']

	test('are in no error and nothing that it leads to, whatever the server says', async () => {
		const answer = s3Answer(403, 'SignatureDoesNotMatch', {
			AWSAccessKeyId: KEYS.accessKeyId,
			StringToSign: `AWS4-HMAC-SHA256 ${KEYS.sessionToken}`,
			SignatureProvided: '0123456789abcdef0123',
			CanonicalRequest: `x-amz-security-token:${KEYS.sessionToken}`,
		})
		const message = `no: https://u:p@host/?X-Amz-Credential=${KEYS.accessKeyId}/x&amp;X-Amz-Signature=0123456789abcdef0123`
		const talkative = s3Answer(400, 'ExpiredToken', { Message: message, 'Token-0': KEYS.sessionToken })
		for (const spoken of [answer, talkative]) {
			proxy.spoil({ times: 2 }, answerInstead(spoken))
			const outcomes = [await failureOf(store.get('k')), await failureOf(store.createIfAbsent('k', BODY))]
			for (const error of outcomes) {
				expect(isIsleError(error)).toBe(true)
				const shown = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error)
				for (const secret of SECRETS) expect(shown).not.toContain(secret)
			}
		}
	})

	test('are not shown by inspecting the store', () => {
		const shown = inspect(store, { depth: 20, showHidden: true })
		for (const secret of Object.values(KEYS)) expect(shown).not.toContain(secret)
	})
})
