import { afterAll, beforeAll, describe, test } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { type Azurite, startAzurite } from '../support/servers/azurite.ts'

let azurite: Azurite
beforeAll(async () => {
	azurite = await startAzurite()
})
afterAll(() => azurite.stop())

describe('Azure store on Azurite', () => {
	storeConformance({
		test,
		createStore: async () => openAzureStore({ container: await azurite.createContainer(), client: azurite.client() }),
	})
})
