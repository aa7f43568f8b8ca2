/**
 * Azurite, Microsoft's emulator of Azure Blob Storage, in memory on this machine, behind a link of `--rtt` milliseconds and
 * `--mbit` megabits a second. The link runs in the process of the command line, which has nothing else to do then.
 */
import { basename } from 'node:path'
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from '../../test/support/servers/azurite.ts'
import { openSlowLink } from '../slow-link.ts'
import type { BenchStore } from '../store.ts'

/** Where runs find the near end of the link. */
const ENDPOINT = 'ISLEDB_BENCH_ENDPOINT'
const CONTAINER = 'ISLEDB_BENCH_CONTAINER'

export const store: BenchStore = {
	name: 'azurite',
	async start({ rttMs, uploadMbit }) {
		const server = await startAzurite()
		const link = await openSlowLink(server.endpoint, { rttMs, uploadMbit })
		process.env[CONTAINER] = await server.createContainer()
		process.env[ENDPOINT] = `${link.endpoint}/${AZURITE_ACCOUNT}`
		process.env['AZURE_STORAGE_ACCOUNT'] = AZURITE_ACCOUNT
		process.env['AZURE_STORAGE_KEY'] = AZURITE_KEY
		return async () => {
			await link.close()
			await server.stop()
		}
	},
	url: directory => {
		const endpoint = encodeURIComponent(process.env[ENDPOINT] ?? '')
		const container = process.env[CONTAINER] ?? ''
		return `azblob://${container}/${basename(directory)}?account=${AZURITE_ACCOUNT}&endpoint=${endpoint}`
	},
}
