/** The Azure store on Azurite behind a proxy that spoils exchanges. */
import { describe } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { cloudFaultTests } from '../support/cloud-faults.ts'
import { AZURITE_KEY, azureAnswer, startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Azurite', startAzurite)

describe.skipIf(server === undefined)('the Azure store behind a faulty proxy', async () => {
	if (server === undefined) return
	const container = await server.createContainer()
	cloudFaultTests({
		endpoint: server.endpoint,
		openAt: (endpoint, host) => openAzureStore({ container, client: server.client(endpoint), host }),
		createMethod: 'PUT',
		serverError: azureAnswer(500, 'InternalError'),
		serverBusy: azureAnswer(503, 'ServerBusy'),
		secrets: [AZURITE_KEY, 'SharedKey'],
	})
})
