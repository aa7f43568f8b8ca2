/**
 * Ceph RGW on this machine, a real S3 server that keeps everything in memory, behind a link of `--rtt` milliseconds and
 * `--mbit` megabits a second. The link runs in the process of the command line, which has nothing else to do then.
 */
import { basename } from 'node:path'
import { startCephRgw } from '../../test/support/servers/ceph-rgw.ts'
import { createBucket } from '../../test/support/servers/s3-test-store.ts'
import { openSlowLink } from '../slow-link.ts'
import type { BenchStore } from '../store.ts'

const BUCKET = 'bench'
/** Where runs find the near end of the link. */
const ENDPOINT = 'ISLEDB_BENCH_ENDPOINT'

export const store: BenchStore = {
	name: 'ceph',
	async start({ rttMs, uploadMbit }) {
		const server = await startCephRgw()
		await createBucket(server, BUCKET)
		const link = await openSlowLink(server.endpoint, { rttMs, uploadMbit })
		process.env[ENDPOINT] = link.endpoint
		process.env['AWS_ACCESS_KEY_ID'] = server.accessKeyId
		process.env['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
		return async () => {
			await link.close()
			await server.stop()
		}
	},
	url: directory => {
		const endpoint = encodeURIComponent(process.env[ENDPOINT] ?? '')
		return `s3://${BUCKET}/${basename(directory)}?region=us-east-1&forcePathStyle=true&endpoint=${endpoint}`
	},
}
