import { describe, test } from 'vitest'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket, storeOn } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Ceph RGW', startCephRgw)

describe.skipIf(server === undefined)('S3 store on Ceph RGW', () => {
	let stores = 0
	storeConformance({
		test,
		async createStore() {
			if (server === undefined) throw new Error('no server')
			const bucket = `conformance-${stores++}`
			await createBucket(server, bucket)
			return storeOn(server, bucket, stores % 2 === 0 ? { prefix: 'team/db1' } : {})
		},
	})
})
