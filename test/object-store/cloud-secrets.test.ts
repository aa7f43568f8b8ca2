/**
 * Credentials are in nothing that a caller can see: planted by every way in which they reach a store, and looked for in
 * every error, store, driver and set of options, however deep, while a server repeats all that it was sent.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { S3Client } from '@aws-sdk/client-s3'
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { Storage } from '@google-cloud/storage'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { isIsleError, toWire } from '../../src/errors.ts'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { openS3Store } from '../../src/object-store/s3-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const scratch = scratchDirectories()
const BODY = new Uint8Array([1])
const AT_ONCE = { maxAttempts: 2, budgetMs: 60_000, basePauseMs: 0, maxPauseMs: 0 }

/** How the server answers what it is sent: with all of it, in the words of each service. */
interface Spoken {
	readonly status: number
	readonly code: string
	readonly form: 'xml' | 'json' | 'html' | 'cut'
}
let spoken: Spoken = { status: 403, code: 'AccessDenied', form: 'xml' }
const heard: string[] = []
const server = createServer(repeat)
let endpoint = ''
beforeAll(async () => {
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
	const address = server.address()
	endpoint = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
})
afterEach(() => vi.unstubAllEnvs())
afterAll(() => {
	server.closeAllConnections()
	server.close()
})

function repeat(incoming: IncomingMessage, outgoing: ServerResponse): void {
	const echo = `${incoming.url} ${Object.entries(incoming.headers).flat().join(' ')}`
	heard.push(echo)
	incoming.resume()
	incoming.on('end', () => {
		if (spoken.form === 'cut') return void incoming.socket.destroy()
		const escaped = echo.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
		const { status, code } = spoken
		const bodies = {
			xml: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${escaped}</Message><AuthenticationErrorDetail>${escaped}</AuthenticationErrorDetail><StringToSign>${escaped}</StringToSign></Error>`,
			json: JSON.stringify({ error: { code: status, message: echo, errors: [{ reason: code, message: echo }] } }),
			html: `<html><body>${escaped}</body></html>`,
		}
		outgoing.writeHead(status, { 'content-type': `application/${spoken.form}`, 'x-ms-error-code': code })
		outgoing.end(bodies[spoken.form])
	})
}

const USER = {
	type: 'authorized_user',
	client_id: 'me',
	client_secret: 's1clientsecret',
	refresh_token: 's1refreshtoken',
}
/** One for all runs: making one warns of its deprecation each time. */
const authClient = new Storage().authClient.fromJSON(USER)

interface Planted {
	readonly store: ObjectStore
	readonly secrets: readonly string[]
}

/** Every way in which credentials reach a store; `secret` is fresh for each run. */
const WAYS: Readonly<Record<string, (secret: string) => Promise<Planted>>> = {
	's3: a client': async secret => {
		const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: secret, sessionToken: `${secret}token` }
		const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 1 })
		return { store: await openS3Store({ bucket: 'bucket', client }), secrets: [secret, 'AKIAIOSFODNN7EXAMPLE'] }
	},
	's3: the environment': async secret => {
		vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE')
		vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret)
		vi.stubEnv('AWS_SESSION_TOKEN', `${secret}token`)
		const store = await openStore(`s3://bucket/team?endpoint=${endpoint}&forcePathStyle=true`, { prefix: 'db1' })
		return { store, secrets: [secret, 'AKIAIOSFODNN7EXAMPLE'] }
	},
	'azure: a client with a key': async secret => {
		const client = new BlobServiceClient(`${endpoint}/me`, new StorageSharedKeyCredential('me', base64(secret)))
		return { store: await openAzureStore({ container: 'box', client }), secrets: [secret, base64(secret)] }
	},
	'azure: a client with a SAS': async secret => {
		const client = new BlobServiceClient(`${endpoint}/me?sv=2024-01-01&sp=rl&sig=${secret}`)
		return { store: await openAzureStore({ container: 'box', client, prefix: 'db1' }), secrets: [secret] }
	},
	'azure: a SAS in the environment': async secret => {
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', '')
		vi.stubEnv('AZURE_STORAGE_KEY', '')
		vi.stubEnv('AZURE_STORAGE_SAS_TOKEN', `?sv=2024-01-01&sig=${secret}`)
		return { store: await openStore(`azblob://box?account=someone&endpoint=${endpoint}/me`), secrets: [secret] }
	},
	'azure: a key in the environment': async secret => {
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', '')
		vi.stubEnv('AZURE_STORAGE_KEY', base64(secret))
		const store = await openStore(`azblob://box?account=someone&endpoint=${endpoint}/me`)
		return { store, secrets: [secret, base64(secret)] }
	},
	'azure: a connection string': async secret => {
		const fields = ['DefaultEndpointsProtocol=http', 'AccountName=me', `AccountKey=${base64(secret)}`]
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', [...fields, `BlobEndpoint=${endpoint}/me`].join(';'))
		return { store: await openStore('azblob://box'), secrets: [secret, base64(secret)] }
	},
	'gcs: a client with a token': async secret => {
		authClient.setCredentials({ access_token: `ya29.${secret}`, expiry_date: 4_000_000_000_000 })
		const client = new Storage({
			apiEndpoint: endpoint,
			projectId: 'mine',
			authClient,
			useAuthWithCustomEndpoint: true,
		})
		return {
			store: await openGcsStore({ bucket: 'bucket', client }),
			secrets: [secret, USER.client_secret, USER.refresh_token],
		}
	},
	'gcs: a file of keys that is damaged': async secret => {
		const folder = scratch()
		mkdirSync(folder)
		const file = join(folder, 'keys.json')
		writeFileSync(file, `{"type": "service_account", "private_key": ${secret}}`)
		vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', file)
		return { store: await openStore('gs://bucket'), secrets: [secret, secret.slice(0, 8)] }
	},
}

function base64(text: string): string {
	return Buffer.from(text).toString('base64')
}

async function* onePiece(): AsyncGenerator<Uint8Array> {
	yield BODY
}

const CALLS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
	get: store => store.get('k'),
	getRange: store => store.getRange('k', { offset: 0, bytes: 1 }),
	getStream: store => store.getStream('k'),
	put: store => store.put('k', BODY),
	createIfAbsent: store => store.createIfAbsent('k', BODY),
	createFromStream: store => store.createFromStream('k', onePiece()),
	list: store => store.list(),
	delete: store => store.delete('k'),
	deleteMany: store => store.deleteMany(['k', 'l']),
	repeated: store => retryingStore(store, { budget: AT_ONCE }).get('k'),
}

/** Everything that a caller can see of a value. */
function shown(value: unknown): string {
	const seen = [inspect(value, { depth: Infinity, showHidden: true, maxArrayLength: null }), String(value)]
	if (value instanceof Error) seen.push(value.stack ?? '', JSON.stringify(value), JSON.stringify(toWire(value)))
	return seen.join('\n')
}

const hexSecret = fc
	.uint8Array({ minLength: 24, maxLength: 40 })
	.map(bytes => `s1${Buffer.from(bytes).toString('hex')}`)
const anySpoken = fc.record<Spoken>({
	status: fc.constantFrom(301, 400, 401, 403, 404, 409, 412, 416, 429, 500, 501, 503),
	code: fc.constantFrom(
		'AccessDenied',
		'ExpiredToken',
		'AuthenticationFailed',
		'InvalidArgument',
		'Somewhat',
		'NoSuchBucket',
	),
	form: fc.constantFrom('xml', 'json', 'html', 'cut'),
})

describe('a credential', () => {
	for (const [way, plant] of Object.entries(WAYS)) {
		test(`is in no error and in no store, whatever is said: ${way}`, async () => {
			let [failures, told] = [0, 0]
			await fc.assert(
				fc.asyncProperty(hexSecret, anySpoken, fc.constantFrom(...Object.keys(CALLS)), async (secret, answer, name) => {
					spoken = answer
					heard.length = 0
					const { store, secrets } = await plant(secret)
					const outcome: unknown = await CALLS[name]?.(store).catch((error: unknown) => error)
					if (isIsleError(outcome)) failures++
					if (heard.some(echo => /(authorization [A-Z]|sig=)/.test(echo))) told++
					// What was sent to prove who asks is as good as the credential, for as long as it is valid.
					const proofs = heard.flatMap(
						echo => echo.match(/(?<=Signature=|sig=|SharedKey me:|Bearer )[^\s&]{8,}/g) ?? [],
					)
					for (const hidden of [...secrets, ...proofs]) {
						expect(shown(outcome), name).not.toContain(hidden)
						expect(shown(store)).not.toContain(hidden)
					}
					await store.close()
				}),
				{ numRuns: 60 },
			)
			expect(failures).toBeGreaterThan(30)
			if (!way.includes('damaged')) expect(told).toBeGreaterThan(30)
		})
	}

	test('in a URL, or among the options, is refused without being repeated', async () => {
		for (const open of [
			() => openStore('s3://me:s3cr3t@bucket'),
			() => openStore('s3://bucket?secretAccessKey=s3cr3t'),
			() => openStore('s3://bucket?answerDeadlineMs=s3cr3t'),
			() => openStore('gs://bucket?access_token=s3cr3t'),
			() => openStore('azblob://box?sig=s3cr3t'),
			() => openStore('azblob://box?uploadDeadlineMsPerMib=s3cr3t'),
			() => openAzureStore({ container: 'box', account: 'me', endpoint: 'https://x?sig=s3cr3t' }),
			() => openS3Store({ bucket: 'bucket', endpoint: 'https://me:s3cr3t@host' }),
		]) {
			const error: unknown = await open().catch((thrown: unknown) => thrown)
			expect(error, String(open)).toBeInstanceOf(TypeError)
			expect(shown(error), String(open)).not.toContain('s3cr3t')
		}
	})

	test('would be seen: the control', async () => {
		spoken = { status: 403, code: 'AccessDenied', form: 'xml' }
		const credentials = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 's3cr3t' }
		const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 1 })
		const { ListBucketsCommand } = await import('@aws-sdk/client-s3')
		const raw: unknown = await client.send(new ListBucketsCommand({})).catch((error: unknown) => error)
		expect(shown(raw)).toContain('s3cr3t')
	})
})
