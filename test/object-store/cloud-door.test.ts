/** The three doors to clouds take the same options, as options and in a URL. */
import { createServer } from 'node:http'
import { BlobServiceClient } from '@azure/storage-blob'
import { Storage } from '@google-cloud/storage'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import type { CloudStoreOptions } from '../../src/object-store/cloud-door.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { manualHost } from '../support/manual-clock.ts'
import { s3Client } from '../support/servers/s3-test-store.ts'

/** It takes every request, and answers none. */
let asked = 0
const server = createServer(request => {
	asked++
	request.resume()
})
let endpoint = ''
beforeAll(async () => {
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
	const address = server.address()
	endpoint = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
})
afterEach(() => vi.unstubAllEnvs())
afterAll(() => {
	server.closeAllConnections()
	server.close()
})

const DOORS: Readonly<Record<string, (options: CloudStoreOptions) => Promise<ObjectStore>>> = {
	s3: options => {
		const client = s3Client({ endpoint, accessKeyId: 'access', secretAccessKey: 'secret' })
		return openS3Store({ bucket: 'bucket', client, ...options })
	},
	gcs: options => {
		const client = new Storage({ apiEndpoint: endpoint, projectId: 'mine' })
		return openGcsStore({ bucket: 'bucket', client, ...options })
	},
	azure: options => {
		const client = new BlobServiceClient(`${endpoint}/me?sig=x`)
		return openAzureStore({ container: 'bucket', client, ...options })
	},
}

const URLS: Readonly<Record<string, () => string>> = {
	s3: () => `s3://bucket/team?endpoint=${endpoint}&forcePathStyle=true`,
	gs: () => `gs://bucket/team?apiEndpoint=${endpoint}`,
	azblob: () => `azblob://bucket/team?account=someone&endpoint=${endpoint}/someone`,
}

function stubCredentials(): void {
	vi.stubEnv('AWS_ACCESS_KEY_ID', 'access')
	vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
	vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', '')
	vi.stubEnv('AZURE_STORAGE_SAS_TOKEN', 'sig=x')
}

for (const [name, open] of Object.entries(DOORS)) {
	describe(`the door to ${name}`, () => {
		test('asks for nothing, keeps to its prefix, and gives up by its own deadline', async () => {
			const host = manualHost()
			const before = asked
			const store = await open({ prefix: 'team/db1', answerDeadlineMs: 2_000, uploadDeadlineMsPerMib: 500, host })
			expect(asked).toBe(before)
			expect(store.url).toMatch(/\/team\/db1\?/)
			expect(store.url).toContain('answerDeadlineMs=2000&uploadDeadlineMsPerMib=500')
			for (const [deadlineMs, call] of [
				[2_000, () => store.get('k')],
				[3_000, () => store.put('k', new Uint8Array(2 * 1024 * 1024))],
			] as const) {
				const outcome = expect(call()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
				await host.clock.untilTimers(1)
				expect(host.clock.nextTimerMs).toBe(deadlineMs)
				await host.clock.advance(deadlineMs)
				await outcome
			}
			await store.close()
		})

		test('refuses bad options', async () => {
			for (const options of [{ prefix: 5 }, { mustExist: 'yes' }, { answerDeadlineMs: '10' }]) {
				// @ts-expect-error passes what JavaScript callers may pass
				await expect(open(options), JSON.stringify(options)).rejects.toThrow(TypeError)
			}
			for (const options of [
				{ prefix: '../x' },
				{ answerDeadlineMs: 0 },
				{ answerDeadlineMs: Number.NaN },
				{ answerDeadlineMs: 86_400_001 },
				{ uploadDeadlineMsPerMib: -1 },
			]) {
				await expect(open(options), JSON.stringify(options)).rejects.toThrow(RangeError)
			}
			for (const edge of [1, 86_400_000]) await (await open({ answerDeadlineMs: edge })).close()
		})
	})
}

for (const [scheme, urlOf] of Object.entries(URLS)) {
	test(`a ${scheme}: URL takes deadlines, and opens the same store again`, async () => {
		stubCredentials()
		const url = `${urlOf()}&answerDeadlineMs=250&uploadDeadlineMsPerMib=4000`
		const store = await openStore(url)
		expect(new URL(store.url).searchParams).toEqual(new URL(url).searchParams)
		expect((await openStore(store.url)).url).toBe(store.url)
		for (const bad of ['answerDeadlineMs=1.5', 'answerDeadlineMs=-1', 'uploadDeadlineMsPerMib=soon']) {
			await expect(openStore(`${urlOf()}&${bad}`), bad).rejects.toThrow(TypeError)
		}
		await expect(openStore(`${urlOf()}&answerDeadlineMs=0`)).rejects.toThrow(RangeError)
		await store.close()
	})
}
