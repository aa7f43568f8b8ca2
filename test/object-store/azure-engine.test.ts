/** The engine on the Azure store, on Azurite. */
import { describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Azurite', startAzurite)

describe.skipIf(server === undefined)('the engine on Azurite', async () => {
	if (server === undefined) return
	const container = await server.createContainer()
	engineTests(async place => openStore(await openAzureStore({ container, client: server.client() }), { prefix: place }))

	test('a missing container is ISLE_NOT_FOUND when a database is opened', async () => {
		await expect(open(await openAzureStore({ container: 'not-there', client: server.client() }))).rejects.toMatchObject(
			{ code: 'ISLE_NOT_FOUND' },
		)
		await expect(
			openReader(await openAzureStore({ container: 'not-there', client: server.client() })),
		).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
	})

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await openStore(await openAzureStore({ container, client: server.client() }), { prefix: 'foreign' })
		await store.put('photos/cat.jpg', new Uint8Array([1]))
		await expect(open(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
