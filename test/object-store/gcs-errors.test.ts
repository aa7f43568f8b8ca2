/** What refusals of Google Cloud Storage become: on fake-gcs-server where it refuses, and as the SDK gives the rest. */
import { inspect } from 'node:util'
import { ApiError, Storage } from '@google-cloud/storage'
import { describe, expect, test } from 'vitest'
import { text } from '../../src/object-store/conformance-objects.ts'
import { gcsError } from '../../src/object-store/gcs-errors.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { startFakeGcs } from '../support/servers/fake-gcs.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('fake-gcs-server', startFakeGcs)

async function* pieces(): AsyncGenerator<Uint8Array> {
	yield text('1')
}

describe.skipIf(server === undefined)('the GCS store on fake-gcs-server that refuses', () => {
	if (server === undefined) return

	test('a missing bucket is ISLE_NOT_FOUND, and no absent object', async () => {
		const open = () => openGcsStore({ bucket: 'not-there', apiEndpoint: server.endpoint })
		for (const call of [
			async () => (await open()).get('a'),
			async () => (await open()).getRange('a', { offset: 0, bytes: 1 }),
			async () => (await open()).put('a', text('1')),
			async () => (await open()).createIfAbsent('a', text('1')),
			async () => (await open()).list(),
			async () => (await open()).delete('a'),
			async () => (await open()).deleteMany(['a', 'b']),
			async () => (await open()).getStream('a'),
			async () => (await open()).createFromStream('a', pieces()),
		]) {
			await expect(call(), String(call)).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		}
	})

	test('gs: URLs name the endpoint, keep to their prefix, and open the same store again', async () => {
		const bucket = await server.createBucket()
		const store = await openStore(`gs://${bucket}/team/db1?apiEndpoint=${encodeURIComponent(server.endpoint)}`)
		await store.put('a', text('1'))
		const again = await openStore(store.url)
		expect(await again.get('a')).toEqual(text('1'))
		await store.close()
		await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})

	test('a ready client gives its endpoint, its interceptors and not its retries', async () => {
		const bucket = await server.createBucket()
		const client = new Storage({ apiEndpoint: server.endpoint, projectId: 'mine' })
		const asked: string[] = []
		client.interceptors.push({
			request: request => {
				asked.push('asked')
				// What the SDK gives is what it gets; its types say otherwise.
				return request as never
			},
		})
		const store = await openGcsStore({ bucket, client })
		expect(await store.createIfAbsent('a', text('1'))).toEqual({ kind: 'created' })
		expect(await store.createIfAbsent('a', text('1'))).toEqual({ kind: 'exists' })
		expect(asked).toHaveLength(2)
	})

	test('credentials of a client are not shown by the store', async () => {
		const client = new Storage({
			apiEndpoint: server.endpoint,
			projectId: 'mine',
			credentials: { client_email: 'me@example.test', private_key: 's3cr3t' },
		})
		const store = await openGcsStore({ bucket: 'bucket', client })
		expect(inspect(store, { depth: 20, showHidden: true })).not.toContain('s3cr3t')
	})
})

describe('openGcsStore', () => {
	test('refuses bad buckets and endpoints, and an endpoint beside a client, with TypeError', async () => {
		for (const bucket of ['', 'ab', 'Upper', 'a/b', '-ab', 'ab-', 'a'.repeat(223)]) {
			await expect(openGcsStore({ bucket }), bucket).rejects.toThrow(TypeError)
		}
		await expect(openGcsStore({ bucket: 'bucket', apiEndpoint: 'https://u:p@x' })).rejects.toThrow(TypeError)
		await expect(openGcsStore({ bucket: 'bucket', client: new Storage(), apiEndpoint: 'http://x' })).rejects.toThrow(
			TypeError,
		)
	})
})

describe('gcsError', () => {
	const codeOf = (error: unknown): string => gcsError(error, 'get', 'a/b', 'bucket').code
	const answer = (code: number, reason = 'said'): ApiError => {
		const error = new ApiError(`said ${reason}`)
		return Object.assign(error, { code, errors: [{ reason, message: reason }] })
	}

	test('tells by status and reason what the caller must do', () => {
		for (const [status, expected] of [
			[400, 'ISLE_DENIED'],
			[401, 'ISLE_DENIED'],
			[403, 'ISLE_DENIED'],
			[404, 'ISLE_NOT_FOUND'],
			[408, 'ISLE_UNAVAILABLE'],
			[413, 'ISLE_UNSUPPORTED'],
			[429, 'ISLE_UNAVAILABLE'],
			[500, 'ISLE_UNAVAILABLE'],
			[502, 'ISLE_UNAVAILABLE'],
			[503, 'ISLE_UNAVAILABLE'],
		] as const) {
			expect(codeOf(answer(status)), String(status)).toBe(expected)
			expect(codeOf({ code: status, message: 'a bare object, as uploads give' }), String(status)).toBe(expected)
		}
		expect(codeOf(answer(403, 'rateLimitExceeded'))).toBe('ISLE_UNAVAILABLE')
		for (const code of ['ECONNRESET', 'ENOTFOUND', 'ERR_STREAM_PREMATURE_CLOSE']) {
			expect(codeOf(Object.assign(new Error('no answer'), { code })), code).toBe('ISLE_UNAVAILABLE')
		}
		expect(codeOf(Object.assign(new Error('no trust'), { code: 'CERT_HAS_EXPIRED' }))).toBe('ISLE_DENIED')
		expect(codeOf(undefined)).toBe('ISLE_UNAVAILABLE')
	})

	test('tells missing and expired credentials and a wrong clock apart', () => {
		for (const [message, expected] of [
			['Could not load the default credentials. Browse to…', /no credentials were found/],
			['invalid_grant: Token has been expired or revoked', /wrong or expired/],
			['invalid_grant: Invalid JWT: Token must be … in a reasonable timeframe', /clock/],
		] as const) {
			const error = gcsError(Object.assign(new Error(message), { status: 400 }), 'get', 'a/b', 'bucket')
			expect(error.code).toBe('ISLE_DENIED')
			expect(error.message).toMatch(expected)
		}
	})

	test('names the operation, the key and the bucket, and keeps no credential', () => {
		const message =
			'failed: https://x.test/o?access_token=s3cr3t Bearer s3cr3t ya29.s3cr3t -----BEGIN PRIVATE KEY-----s3cr3t-----END PRIVATE KEY-----'
		const failed = Object.assign(new Error(message), {
			code: 403,
			response: { headers: { authorization: 'Bearer s3cr3t' } },
		})
		const error = gcsError(failed, 'get', 'a/b', 'bucket')
		expect(error.message).toMatch(/operation=`get` key=`a\/b` bucket=`bucket` status=`403`/)
		expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('s3cr3t')
	})
})
