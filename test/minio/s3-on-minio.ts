/**
 * The S3 store and the engine on MinIO: `npm run test:minio`.
 *
 * Whoever asks for this wants MinIO: where it cannot be had the run fails, and says why. Nothing is skipped.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { afterAll, describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { cloudFaultTests } from '../support/cloud-faults.ts'
import { type Minio, startMinio } from '../support/servers/minio.ts'
import { createBucket, s3Answer, s3Client, storeOn } from '../support/servers/s3-test-store.ts'

const BODY = new Uint8Array([1])
const DAY_MS = 86_400_000

const server = await startOrSayWhy()
afterAll(() => server.stop())
for (const bucket of ['engine', 'faults']) await createBucket(server, bucket)

async function startOrSayWhy(): Promise<Minio> {
	console.log('servers: MinIO is built where it is not there yet, which takes minutes …')
	try {
		const minio = await startMinio()
		console.log(`servers: ${minio.name} runs at ${minio.endpoint}`)
		return minio
	} catch (cause) {
		const reason = cause instanceof Error ? cause.message : String(cause)
		throw new Error(`!!! NO MINIO ON THIS MACHINE, nothing was tested: ${reason}`, { cause })
	}
}

describe('the S3 store on MinIO', () => {
	let stores = 0
	storeConformance({
		test,
		async createStore() {
			const bucket = `conformance-${stores++}`
			await createBucket(server, bucket)
			return storeOn(server, bucket, stores % 2 === 0 ? { prefix: 'team/db1' } : {})
		},
	})
})

describe('the S3 store on MinIO behind a faulty proxy', () => {
	cloudFaultTests({
		endpoint: server.endpoint,
		openAt: (endpoint, host) => storeOn({ ...server, endpoint }, 'faults', { host }),
		createMethod: 'PUT',
		serverError: s3Answer(500, 'InternalError'),
		serverBusy: s3Answer(503, 'SlowDown'),
		secrets: [server.accessKeyId, server.secretAccessKey, 'Signature='],
	})
})

describe('the engine on MinIO', () => {
	engineTests(place => storeOn(server, 'engine', { prefix: place }))

	/** Each caller that may not, or cannot, and what both doors say to it. */
	const callers: readonly (readonly [string, S3Client, string, string, string])[] = [
		['a missing bucket', s3Client(server), 'no-such-bucket', 'ISLE_NOT_FOUND', 'no such bucket'],
		['a wrong region', s3Client(server, { region: 'eu-west-3' }), 'engine', 'ISLE_DENIED', 'another region'],
		[
			'a wrong secret',
			s3Client({ ...server, secretAccessKey: 'wrong' }),
			'engine',
			'ISLE_DENIED',
			'accept the credentials',
		],
		[
			'an unknown key',
			s3Client({ ...server, accessKeyId: 'nobody' }),
			'engine',
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
			const { objects } = await (await storeOn(server, 'engine', { prefix: 'refused' })).list()
			expect(objects).toEqual([])
		})
	}

	test('a clock that is a day off is set right by the first refusal', async () => {
		const skewed = s3Client(server, { systemClockOffset: DAY_MS })
		const store = await openS3Store({ bucket: 'engine', client: skewed, prefix: 'skewed' })
		expect(await store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
		expect(await store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'exists' })
	})

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await storeOn(server, 'engine', { prefix: 'foreign' })
		await store.put('photos/cat.jpg', BODY)
		await expect(open(await storeOn(server, 'engine', { prefix: 'foreign' }))).rejects.toMatchObject({
			code: 'ISLE_FOREIGN_PREFIX',
		})
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
