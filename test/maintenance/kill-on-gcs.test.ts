/** Deaths on fake-gcs-server behind a wire that fails. */
import { describe } from 'vitest'
import { gcsAnswer, startFakeGcs } from '../support/servers/fake-gcs.ts'
import { serverForTests } from '../support/servers/test-server.ts'
import { killTests } from './kill-on-cloud.ts'

const server = await serverForTests('fake-gcs-server', startFakeGcs)

describe.skipIf(server === undefined)('a writer, a maintainer and a reader on fake-gcs-server', async () => {
	if (server === undefined) return
	const bucket = await server.createBucket()
	killTests({
		endpoint: server.endpoint,
		urlAt: endpoint => `gs://${bucket}/db?apiEndpoint=${endpoint}`,
		serverError: gcsAnswer(500, 'backendError'),
		serverBusy: gcsAnswer(503, 'backendError'),
	})
})
