import { describe, test } from 'vitest'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { startFakeGcs } from '../support/servers/fake-gcs.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('fake-gcs-server', startFakeGcs)

describe.skipIf(server === undefined)('the GCS store on fake-gcs-server', () => {
	if (server === undefined) return
	storeConformance({
		test,
		createStore: async () => openGcsStore({ bucket: await server.createBucket(), apiEndpoint: server.endpoint }),
	})
})
