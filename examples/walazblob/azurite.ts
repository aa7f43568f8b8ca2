/** Azurite, Microsoft's emulator of Azure Blob Storage, in memory on a free port: a process that ends with this one. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { BlobServiceClient } from '@azure/storage-blob'

/** The account that every emulator has: documented, the same everywhere, and no secret. */
const ACCOUNT = 'devstoreaccount1'
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export interface Azurite {
	readonly connectionString: string
	stop(): void
}

/** Starts it and makes an empty container. */
export async function startAzurite(container: string): Promise<Azurite> {
	const folder = dirname(createRequire(import.meta.url).resolve('azurite/package.json'))
	const options = ['--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry', '--silent']
	const program = join(folder, 'dist/src/blob/main.js')
	const child = spawn(process.execPath, [program, ...options, '--blobHost', '127.0.0.1', '--blobPort', '0'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	})
	process.on('exit', () => child.kill('SIGKILL'))
	const endpoint = await new Promise<string>((resolve, reject) => {
		child.once('exit', code => reject(new Error(`Azurite ended with ${code}`)))
		createInterface({ input: child.stdout }).on('line', line => {
			const address = /listens on (http:\S+)/.exec(line)?.[1]
			if (address !== undefined) resolve(`${address}/${ACCOUNT}`)
		})
	})
	const connectionString = `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${endpoint};`
	await BlobServiceClient.fromConnectionString(connectionString).createContainer(container)
	return { connectionString, stop: () => void child.kill('SIGKILL') }
}
