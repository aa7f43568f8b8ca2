/** The engine on a real S3 server, and what that server says of callers whom it does not like. */
import type { S3Client } from '@aws-sdk/client-s3'
import { describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket, s3Client, storeOn } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const BUCKET = 'engine'
const BODY = new Uint8Array([1])
const DAY_MS = 86_400_000

const server = await serverForTests('Ceph RGW', startCephRgw)

const nobody = { accessKeyId: 'nobody', secretAccessKey: 'nothing' }
const reached = server ?? { endpoint: 'http://127.0.0.1:9', ...nobody, stranger: nobody }
if (server !== undefined) await createBucket(server, BUCKET)

describe.skipIf(server === undefined)('the engine on Ceph RGW', () => {
	engineTests(place => storeOn(reached, BUCKET, { prefix: place }))

	/** Each caller that may not, or cannot, and what both doors say to it. */
	const callers: readonly (readonly [string, S3Client, string, string, string])[] = [
		['a missing bucket', s3Client(reached), 'no-such-bucket', 'ISLE_NOT_FOUND', 'no such bucket'],
		['a stranger', s3Client({ ...reached, ...reached.stranger }), BUCKET, 'ISLE_DENIED', 'not allowed'],
		[
			'a wrong secret',
			s3Client({ ...reached, secretAccessKey: 'wrong' }),
			BUCKET,
			'ISLE_DENIED',
			'accept the credentials',
		],
		[
			'an unknown key',
			s3Client({ ...reached, accessKeyId: 'nobody' }),
			BUCKET,
			'ISLE_DENIED',
			'accept the credentials',
		],
	]
	for (const [name, client, bucket, code, advice] of callers) {
		test(`${name} is ${code} when a database is opened, at once, and nothing is written`, async () => {
			const store = await openS3Store({ bucket, client, prefix: 'refused' })
			const expected = { code, message: expect.stringContaining(advice) }
			await expect(open(store)).rejects.toMatchObject(expected)
			await expect(openReader(store)).rejects.toMatchObject(expected)
			await expect(store.createIfAbsent('log/1', BODY)).rejects.toMatchObject(expected)
			await expect(store.deleteMany(['a', 'b'])).rejects.toMatchObject(expected)
			const { objects } = await (await storeOn(reached, BUCKET, { prefix: 'refused' })).list()
			expect(objects).toEqual([])
		})
	}

	test('a clock that is a day off is set right by the first refusal', async () => {
		const skewed = s3Client(reached, { systemClockOffset: DAY_MS })
		const store = await openS3Store({ bucket: BUCKET, client: skewed, prefix: 'skewed' })
		expect(await store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
		expect(await store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'exists' })
		expect(await store.get('log/1')).toEqual(BODY)
	})

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await storeOn(reached, BUCKET, { prefix: 'foreign' })
		await store.put('photos/cat.jpg', BODY)
		await expect(open(await storeOn(reached, BUCKET, { prefix: 'foreign' }))).rejects.toMatchObject({
			code: 'ISLE_FOREIGN_PREFIX',
		})
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
