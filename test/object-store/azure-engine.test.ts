/** The engine on the Azure store, on Azurite. */
import {
	BlobServiceClient,
	ContainerSASPermissions,
	generateBlobSASQueryParameters,
	StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { open, openReader, openWriter } from '../../src/index.ts'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { engineTests } from '../support/cloud-engine.ts'
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Azurite', startAzurite)
afterEach(() => vi.unstubAllEnvs())

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

	test('a container that must exist is looked for when a store is opened, by its URL too', async () => {
		const client = server.client()
		await expect(openAzureStore({ container: 'not-there', client, mustExist: true })).rejects.toMatchObject({
			code: 'ISLE_NOT_FOUND',
		})
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', server.connectionString)
		await expect(openStore('azblob://not-there/db1', { mustExist: true })).rejects.toMatchObject({
			code: 'ISLE_NOT_FOUND',
		})
		const store = await openStore(`azblob://${container}/must`, { mustExist: true })
		expect(await store.createIfAbsent('a', new Uint8Array([1]))).toEqual({ kind: 'created' })
		await store.close()
	})

	test('a wrong key and an expired SAS are ISLE_DENIED when a database is opened, and nothing is written', async () => {
		const key = Buffer.from('a key of somebody else').toString('base64')
		const sas = generateBlobSASQueryParameters(
			{
				containerName: container,
				permissions: ContainerSASPermissions.parse('rcwdl'),
				expiresOn: new Date(2020, 1, 1),
			},
			new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY),
		).toString()
		for (const client of [
			new BlobServiceClient(server.endpoint, new StorageSharedKeyCredential(AZURITE_ACCOUNT, key)),
			new BlobServiceClient(`${server.endpoint}?${sas}`),
		]) {
			const store = await openAzureStore({ container, client, prefix: 'refused' })
			const expected = { code: 'ISLE_DENIED', message: expect.stringMatching(/expired|no permission|wrong/) }
			await expect(open(store)).rejects.toMatchObject(expected)
			await expect(openReader(store)).rejects.toMatchObject(expected)
			await expect(openWriter(store)).rejects.toMatchObject(expected)
			await expect(openAzureStore({ container, client, mustExist: true })).rejects.toMatchObject(expected)
		}
		const owner = await openAzureStore({ container, client: server.client(), prefix: 'refused' })
		expect((await owner.list()).objects).toEqual([])
	})

	test("somebody else's objects under the prefix are ISLE_FOREIGN_PREFIX, and stay as they are", async () => {
		const store = await openStore(await openAzureStore({ container, client: server.client() }), { prefix: 'foreign' })
		await store.put('photos/cat.jpg', new Uint8Array([1]))
		await expect(open(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect((await store.list()).objects.map(({ key }) => key)).toEqual(['photos/cat.jpg'])
	})
})
