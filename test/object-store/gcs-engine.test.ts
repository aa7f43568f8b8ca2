/** The engine on the GCS store, on fake-gcs-server. */
import { describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { startFakeGcs } from '../support/servers/fake-gcs.ts'
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

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await openStore(url, { prefix: 'foreign' })
		await store.put('photos/cat.jpg', new Uint8Array([1]))
		await expect(open(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
