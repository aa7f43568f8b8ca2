/** The Azure store on Azurite behind a proxy that spoils exchanges. */
import { describe } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { cloudFaultTests } from '../support/cloud-faults.ts'
import { AZURITE_KEY, startAzurite } from '../support/servers/azurite.ts'
import type { FixedAnswer } from '../support/servers/faulty-proxy.ts'
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

function azureAnswer(status: number, code: string): FixedAnswer {
	return {
		status,
		body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said ${code}</Message></Error>`,
		headers: { 'content-type': 'application/xml', 'x-ms-error-code': code },
	}
}
