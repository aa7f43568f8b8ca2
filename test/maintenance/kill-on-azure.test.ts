/** Deaths on Azurite behind a wire that fails. */
import { describe } from 'vitest'
import { AZURITE_ACCOUNT, AZURITE_KEY, azureAnswer, startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'
import { killTests } from './kill-on-cloud.ts'

const server = await serverForTests('Azurite', startAzurite)

describe.skipIf(server === undefined)('a writer, a maintainer and a reader on Azurite', async () => {
	if (server === undefined) return
	const container = await server.createContainer()
	process.env['AZURE_STORAGE_KEY'] = AZURITE_KEY
	killTests({
		endpoint: server.endpoint,
		urlAt: endpoint => `azblob://${container}/db?account=${AZURITE_ACCOUNT}&endpoint=${endpoint}`,
		serverError: azureAnswer(500, 'InternalError'),
		serverBusy: azureAnswer(503, 'ServerBusy'),
	})
})
