import { describe, test } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Azurite', startAzurite)

describe.skipIf(server === undefined)('the Azure store on Azurite', () => {
	if (server === undefined) return
	storeConformance({
		test,
		createStore: async () => openAzureStore({ container: await server.createContainer(), client: server.client() }),
	})
})
