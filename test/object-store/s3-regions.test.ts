/**
 * A bucket in another region, as AWS and MinIO say it: to the engine as to the store, with the region where the server
 * names it, and without a write. The servers of these tests do not look at regions, so the answers are made here.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { open, openReader, openWriter } from '../../src/index.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { answerInstead, type FaultyProxy, type FixedAnswer, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { s3Answer, s3Client } from '../support/servers/s3-test-store.ts'

let proxy: FaultyProxy
beforeAll(async () => {
	proxy = await startFaultyProxy('http://127.0.0.1:9')
})
afterEach(() => proxy.heal())
afterAll(() => proxy.stop())

function withRegionHeader(answer: FixedAnswer): FixedAnswer {
	return { ...answer, headers: { ...answer.headers, 'x-amz-bucket-region': 'eu-west-3' } }
}

const malformed = {
	Message: "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-3'",
	Region: 'eu-west-3',
}
/** As they are documented and were seen; the last two name no region. */
const ANSWERS: Readonly<Record<string, readonly [answer: FixedAnswer, isNamed: boolean]>> = {
	'400 AuthorizationHeaderMalformed': [s3Answer(400, 'AuthorizationHeaderMalformed', malformed), true],
	'301 PermanentRedirect': [withRegionHeader(s3Answer(301, 'PermanentRedirect')), true],
	'307 TemporaryRedirect': [withRegionHeader(s3Answer(307, 'TemporaryRedirect')), true],
	'301 without a body': [withRegionHeader({ status: 301, body: '' }), true],
	'400 IllegalLocationConstraintException': [s3Answer(400, 'IllegalLocationConstraintException'), false],
	'301 PermanentRedirect, and no more': [s3Answer(301, 'PermanentRedirect'), false],
}

describe('a bucket in another region', () => {
	for (const [name, [answer, isNamed]] of Object.entries(ANSWERS)) {
		test(`is ISLE_DENIED that says so, and nothing is written: ${name}`, async () => {
			const client = s3Client({ endpoint: proxy.endpoint, accessKeyId: 'access', secretAccessKey: 'secret' })
			const store = await openS3Store({ bucket: 'bucket', client, prefix: 'db1' })
			const expected = {
				code: 'ISLE_DENIED',
				message: expect.stringMatching(isNamed ? /another region.*region=`eu-west-3`/ : /another region/),
			}
			const before = proxy.exchanges.length
			proxy.spoil({}, answerInstead(answer))
			for (const call of [
				() => open(store),
				() => openReader(store),
				() => openWriter(store),
				() => store.get('k'),
				() => store.list(),
				() => openS3Store({ bucket: 'bucket', client, mustExist: true }),
			]) {
				await expect(call(), String(call)).rejects.toMatchObject(expected)
			}
			const asked = proxy.exchanges.slice(before)
			expect(asked.filter(({ method }) => method !== 'GET')).toEqual([])
			// No request is sent again: waiting does not move a bucket.
			expect(asked.length).toBeLessThan(40)
			await expect(store.createIfAbsent('k', new Uint8Array(1))).rejects.toMatchObject(expected)
			await expect(store.deleteMany(['k', 'l'])).rejects.toMatchObject(expected)
		})
	}
})
