/** The engine on a real S3 server, and what that server says of callers whom it does not like. */
import type { S3Client } from '@aws-sdk/client-s3'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { open, openReader, openStore, openWriter } from '../../src/index.ts'
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

/** A clock that nothing sets right: the SDK learns the server's time by changing its own offset. */
function withFrozenSkew(): S3Client {
	const client = s3Client(reached)
	Object.defineProperty(client.config, 'systemClockOffset', { get: () => DAY_MS, set() {} })
	return client
}

function stubKeys({ accessKeyId, secretAccessKey }: typeof nobody): void {
	vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId)
	vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
}

afterEach(() => vi.unstubAllEnvs())

describe.skipIf(server === undefined)('the engine on Ceph RGW', () => {
	engineTests(place => storeOn(reached, BUCKET, { prefix: place }))

	/** Each caller that may not, or cannot, and what both doors say to it. */
	const callers: readonly (readonly [string, S3Client, string, string, string])[] = [
		['a missing bucket', s3Client(reached), 'no-such-bucket', 'ISLE_NOT_FOUND', 'no such bucket'],
		['a stranger', s3Client({ ...reached, ...reached.stranger }), BUCKET, 'ISLE_DENIED', 'not allowed'],
		['a clock that stays a day off', withFrozenSkew(), BUCKET, 'ISLE_DENIED', 'clock is wrong'],
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
			await expect(openWriter(store)).rejects.toMatchObject(expected)
			await expect(openS3Store({ bucket, client, prefix: 'refused', mustExist: true })).rejects.toMatchObject(expected)
			await expect(store.createIfAbsent('log/1', BODY)).rejects.toMatchObject(expected)
			await expect(store.deleteMany(['a', 'b'])).rejects.toMatchObject(expected)
			const { objects } = await (await storeOn(reached, BUCKET, { prefix: 'refused' })).list()
			expect(objects).toEqual([])
		})
	}

	test('a bucket that must exist is looked for when a store is opened by its URL, and found or not', async () => {
		stubKeys(reached)
		const urlOf = (bucket: string): string => `s3://${bucket}/must?endpoint=${reached.endpoint}&forcePathStyle=true`
		await expect(openStore(urlOf('no-such-bucket'), { mustExist: true })).rejects.toMatchObject({
			code: 'ISLE_NOT_FOUND',
		})
		const store = await openStore(urlOf(BUCKET), { mustExist: true, prefix: 'db1' })
		expect(await store.createIfAbsent('a', BODY)).toEqual({ kind: 'created' })
		await store.close()
		await (await openStore(urlOf('no-such-bucket'))).close()
	})

	test('credentials that are nowhere are ISLE_DENIED, before anything is sent', async () => {
		stubKeys({ accessKeyId: '', secretAccessKey: '' })
		for (const name of ['AWS_PROFILE', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']) {
			vi.stubEnv(name, '')
		}
		vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
		vi.stubEnv('AWS_CONFIG_FILE', '/dev/null')
		vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null')
		const url = `s3://${BUCKET}/nobody?endpoint=${reached.endpoint}&forcePathStyle=true`
		const expected = { code: 'ISLE_DENIED', message: expect.stringContaining('no credentials') }
		await expect(open(url)).rejects.toMatchObject(expected)
		await expect(openReader(url)).rejects.toMatchObject(expected)
		await expect(openStore(url, { mustExist: true })).rejects.toMatchObject(expected)
	})

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
