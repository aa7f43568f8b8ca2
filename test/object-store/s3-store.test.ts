/** Opening S3: options, URLs, and the package that has to be there. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openStore } from '../../src/object-store/open-store.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { answerInstead, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { s3Client } from '../support/servers/s3-test-store.ts'

const OK = answerInstead({ status: 200, body: '' })
const LISTING = answerInstead({
	status: 200,
	body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>',
})

afterEach(() => vi.unstubAllEnvs())

function stubCredentials(): void {
	vi.stubEnv('AWS_ACCESS_KEY_ID', 'access')
	vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
}

describe('openStore with an s3: URL', () => {
	test('opens a bucket, under the prefix of the path and of the options, with credentials from the environment', async () => {
		stubCredentials()
		const proxy = await startFaultyProxy('http://127.0.0.1:9')
		proxy.spoil({}, OK)
		const url = `s3://bucket/team/a%20b?region=eu-west-3&endpoint=${proxy.endpoint}&forcePathStyle=true`
		const store = await openStore(url, { prefix: 'db1' })
		await store.put('log/1', new Uint8Array(3))
		expect(store.url).toBe(`s3://bucket/team/a b/db1?region=eu-west-3&endpoint=${proxy.endpoint}&forcePathStyle=true`)
		const [exchange] = proxy.exchanges
		expect(exchange).toMatchObject({ method: 'PUT', path: '/bucket/team/a%20b/db1/log/1?x-id=PutObject' })
		expect(exchange?.headers.authorization).toMatch(/Credential=access\/\d+\/eu-west-3\/s3/)
		const again = await openStore(store.url)
		await again.put('log/2', new Uint8Array(3))
		expect(proxy.exchanges[1]).toMatchObject({ path: '/bucket/team/a%20b/db1/log/2?x-id=PutObject' })
		await store.close()
		await again.close()
		await proxy.stop()
	})

	test('sends bodies as they are: no trailers, no chunks, no checksum that only AWS knows, the condition where it belongs', async () => {
		stubCredentials()
		const proxy = await startFaultyProxy('http://127.0.0.1:9')
		proxy.spoil({}, OK)
		const store = await openStore(`s3://bucket?endpoint=${proxy.endpoint}&forcePathStyle=true`)
		await store.put('a', new Uint8Array(3_000_000))
		expect(await store.createIfAbsent('a', [new Uint8Array(2), new Uint8Array(3)])).toEqual({ kind: 'created' })
		const [put, create] = proxy.exchanges.map(({ headers }) => headers)
		expect([put?.['content-length'], create?.['content-length']]).toEqual(['3000000', '5'])
		expect([put?.['if-none-match'], create?.['if-none-match']]).toEqual([undefined, '*'])
		for (const headers of [put, create]) {
			const names = Object.keys(headers ?? {}).join(' ')
			expect(names).not.toMatch(/trailer|transfer-encoding|checksum|content-encoding|expect/)
			expect(headers?.authorization).toContain('/us-east-1/')
		}
		await store.close()
		await proxy.stop()
	})

	test('refuses unknown parameters, credentials, and what is no bucket, and repeats no secret', async () => {
		const refused = [
			's3://key:hunter2@bucket',
			's3://hunter2@bucket',
			's3://bucket?accessKeyId=hunter2&secretAccessKey=hunter2',
			's3://bucket?X-Amz-Signature=hunter2',
			's3://bucket?hunter2',
			's3://bucket?region=hunter2&region=hunter2',
			's3://bucket?region=',
			's3://bucket?region=hunter2%20x',
			's3://bucket?forcePathStyle=hunter2',
			's3://bucket?endpoint=hunter2',
			's3://bucket?endpoint=https://me:hunter2@host',
			's3://bucket?endpoint=https://host/?token=hunter2',
			's3://bucket:9000/hunter2',
			's3://bucket#hunter2',
			's3://',
			's3:bucket',
			's3://x',
			's3://bucket/%zz',
		]
		for (const url of refused) {
			const error: unknown = await openStore(url).catch((thrown: unknown) => thrown)
			expect(error, url).toBeInstanceOf(TypeError)
			expect(String(error), url).not.toContain('hunter2')
		}
		await expect(openStore('s3://bucket/a/../../b//c')).rejects.toThrow(RangeError)
	})
})

describe('openS3Store', () => {
	test('takes a ready client, uses it, and leaves it open', async () => {
		const proxy = await startFaultyProxy('http://127.0.0.1:9')
		proxy.spoil({}, LISTING)
		const client = s3Client({ endpoint: proxy.endpoint, accessKeyId: 'mine', secretAccessKey: 'secret' })
		const store = await openS3Store({ bucket: 'bucket', prefix: 'db1/', client })
		await store.list()
		await store.close()
		await store.close()
		await expect(store.list()).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		const second = await openS3Store({ bucket: 'bucket', client })
		await second.list({ startAfter: 'a b', limit: 7 })
		const [first, last] = proxy.exchanges
		expect(first?.headers.authorization).toContain('Credential=mine/')
		expect(first?.path).toBe('/bucket/?encoding-type=url&list-type=2&max-keys=1000&prefix=db1%2F')
		expect(last?.path).toBe('/bucket/?encoding-type=url&list-type=2&max-keys=7&start-after=a%20b')
		await proxy.stop()
	})

	test('refuses options that are none with TypeError, and bad prefixes with RangeError', async () => {
		const client = s3Client({ endpoint: 'http://127.0.0.1:9', accessKeyId: 'a', secretAccessKey: 'b' })
		const wrong: readonly unknown[] = [
			undefined,
			{},
			{ bucket: 5 },
			{ bucket: 'a' },
			{ bucket: 'a/b' },
			{ bucket: 'bucket', region: 'not a region' },
			{ bucket: 'bucket', endpoint: 'ftp://host' },
			{ bucket: 'bucket', forcePathStyle: 'true' },
			{ bucket: 'bucket', prefix: 5 },
			{ bucket: 'bucket', client, region: 'eu-west-3' },
			{ bucket: 'bucket', client, forcePathStyle: true },
		]
		for (const [index, options] of wrong.entries()) {
			// @ts-expect-error passes what JavaScript callers may pass
			await expect(openS3Store(options), String(index)).rejects.toThrow(TypeError)
		}
		await expect(openS3Store({ bucket: 'bucket', prefix: '../x' })).rejects.toThrow(RangeError)
	})
})
