import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { type FakeGcs, findFakeGcs, startFakeGcs } from '../support/servers/fake-gcs.ts'

const binary = await findFakeGcs()
if (binary.kind === 'missing') console.warn(`NOT TESTED: Google Cloud Storage. ${binary.why}`)

describe.skipIf(binary.kind === 'missing')('GCS store on fake-gcs-server', () => {
	let gcs: FakeGcs
	beforeAll(async () => {
		gcs = await startFakeGcs(binary.kind === 'found' ? binary.path : '')
	})
	afterAll(() => gcs.stop())

	storeConformance({
		test,
		createStore: async () => openGcsStore({ bucket: await gcs.createBucket(), apiEndpoint: gcs.endpoint }),
	})
})
