/** Deaths on Ceph RGW behind a wire that fails. */
import { describe } from 'vitest'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket, s3Answer } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'
import { killTests } from './kill-on-cloud.ts'

const BUCKET = 'kills'
const server = await serverForTests('Ceph RGW', startCephRgw)

describe.skipIf(server === undefined)('a writer, a maintainer and a reader on Ceph RGW', async () => {
	if (server === undefined) return
	await createBucket(server, BUCKET)
	process.env['AWS_ACCESS_KEY_ID'] = server.accessKeyId
	process.env['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
	killTests({
		endpoint: server.endpoint,
		urlAt: endpoint => `s3://${BUCKET}/db?region=us-east-1&forcePathStyle=true&endpoint=${endpoint}`,
		serverError: s3Answer(500, 'InternalError'),
		serverBusy: s3Answer(503, 'SlowDown'),
	})
})
