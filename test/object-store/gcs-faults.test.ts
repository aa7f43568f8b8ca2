/** The GCS store on fake-gcs-server behind a proxy that spoils exchanges. */
import { describe } from 'vitest'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { cloudFaultTests } from '../support/cloud-faults.ts'
import { gcsAnswer, startFakeGcs } from '../support/servers/fake-gcs.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('fake-gcs-server', startFakeGcs)

describe.skipIf(server === undefined)('the GCS store behind a faulty proxy', async () => {
	if (server === undefined) return
	const bucket = await server.createBucket()
	cloudFaultTests({
		endpoint: server.endpoint,
		openAt: (apiEndpoint, host) => openGcsStore({ bucket, apiEndpoint, host }),
		createMethod: 'POST',
		serverError: gcsAnswer(500, 'backendError'),
		serverBusy: gcsAnswer(503, 'backendError'),
		secrets: ['Bearer'],
	})
})
