/** Azurite, Microsoft's own emulator of Azure Blob Storage, in memory on a free port of the loopback interface. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import type { FixedAnswer } from './faulty-proxy.ts'
import { startServerProcess } from './server-process.ts'
import type { TestServer } from './test-server.ts'

/** The account that every emulator has: documented, the same everywhere, and no secret. */
export const AZURITE_ACCOUNT = 'devstoreaccount1'
export const AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export interface Azurite extends TestServer {
	/** `http://127.0.0.1:<port>/devstoreaccount1` */
	readonly endpoint: string
	readonly connectionString: string
	/** Makes an empty container of a fresh name and answers its name. */
	createContainer(): Promise<string>
	/** A client of the whole account, as a user would hand it in; `endpoint` leads it through a proxy. */
	client(endpoint?: string): BlobServiceClient
}

export async function startAzurite(): Promise<Azurite> {
	const folder = dirname(createRequire(import.meta.url).resolve('azurite/package.json'))
	const server = await startServerProcess(
		process.execPath,
		[
			join(folder, 'dist/src/blob/main.js'),
			'--inMemoryPersistence',
			'--skipApiVersionCheck',
			'--disableTelemetry',
			'--silent',
			'--blobHost',
			'127.0.0.1',
			'--blobPort',
			'0',
		],
		/successfully listens on (http:\/\/127\.0\.0\.1:\d+)/,
	)
	const endpoint = `${server.ready[1] ?? ''}/${AZURITE_ACCOUNT}`
	const client = (address = endpoint): BlobServiceClient =>
		new BlobServiceClient(address, new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY))
	let containers = 0
	return {
		name: 'Azurite',
		endpoint,
		connectionString: `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${AZURITE_KEY};BlobEndpoint=${endpoint};`,
		async createContainer() {
			const name = `test-${process.pid}-${containers++}`
			await client().createContainer(name)
			return name
		},
		client,
		stop: () => server.stop(),
	}
}

/** An answer of the service that is an error. */
export function azureAnswer(status: number, code: string): FixedAnswer {
	return {
		status,
		body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said ${code}</Message></Error>`,
		headers: { 'content-type': 'application/xml', 'x-ms-error-code': code },
	}
}
