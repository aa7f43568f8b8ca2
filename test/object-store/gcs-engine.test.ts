/** The engine on the GCS store, on fake-gcs-server. */
import { describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { startFakeGcs } from '../support/servers/fake-gcs.ts'
import { answerInstead, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('fake-gcs-server', startFakeGcs)

describe.skipIf(server === undefined)('the engine on fake-gcs-server', async () => {
	if (server === undefined) return
	const bucket = await server.createBucket()
	const url = `gs://${bucket}?apiEndpoint=${encodeURIComponent(server.endpoint)}`
	engineTests(place => openStore(url, { prefix: place }))

	test('a missing bucket is ISLE_NOT_FOUND when a database is opened', async () => {
		await expect(
			open(await openStore(`gs://not-there?apiEndpoint=${encodeURIComponent(server.endpoint)}`)),
		).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		await expect(
			openReader(await openStore(`gs://not-there?apiEndpoint=${encodeURIComponent(server.endpoint)}`)),
		).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
	})

	test('a bucket that must exist is looked for when a store is opened, by its URL too', async () => {
		const apiEndpoint = server.endpoint
		await expect(openGcsStore({ bucket: 'not-there', apiEndpoint, mustExist: true })).rejects.toMatchObject({
			code: 'ISLE_NOT_FOUND',
		})
		const missing = `gs://not-there/db1?apiEndpoint=${encodeURIComponent(apiEndpoint)}`
		await expect(openStore(missing, { mustExist: true })).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		const store = await openStore(url, { mustExist: true, prefix: 'must' })
		expect(await store.createIfAbsent('a', new Uint8Array([1]))).toEqual({ kind: 'created' })
		await store.close()
	})

	test('credentials that are missing or expired, as Google says it, are ISLE_DENIED, and nothing is written', async () => {
		// The SDK that finds none asks without, for there are public buckets.
		const proxy = await startFaultyProxy(server.endpoint)
		const body = JSON.stringify({ error: { code: 401, message: 'Anonymous caller', errors: [{ reason: 'required' }] } })
		proxy.spoil({}, answerInstead({ status: 401, body, headers: { 'content-type': 'application/json' } }))
		const refused = `gs://${new URL(url).hostname}/refused?apiEndpoint=${encodeURIComponent(proxy.endpoint)}`
		const expected = { code: 'ISLE_DENIED', message: expect.stringContaining('missing, wrong or expired') }
		await expect(open(refused)).rejects.toMatchObject(expected)
		await expect(openReader(refused)).rejects.toMatchObject(expected)
		await expect(openStore(refused, { mustExist: true })).rejects.toMatchObject(expected)
		expect(proxy.exchanges.filter(({ method }) => method !== 'GET')).toEqual([])
		await proxy.stop()
	})

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await openStore(url, { prefix: 'foreign' })
		await store.put('photos/cat.jpg', new Uint8Array([1]))
		await expect(open(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
