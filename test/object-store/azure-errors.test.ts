/** What Azure's refusals become: on Azurite where it can be made to refuse, and from the SDK's own errors for the rest. */
import { inspect } from 'node:util'
import {
	AnonymousCredential,
	BlobServiceClient,
	ContainerSASPermissions,
	generateBlobSASQueryParameters,
	newPipeline,
	RestError,
	StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { azureError } from '../../src/object-store/azure-errors.ts'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { openStore } from '../../src/object-store/open-store.ts'
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from '../support/servers/azurite.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const server = await serverForTests('Azurite', startAzurite)
afterEach(() => vi.unstubAllEnvs())

/** Every call fails with `code`, whatever it is, and shows none of `secrets`. */
async function expectRefusals(store: ObjectStore, code: string, secrets: readonly string[]): Promise<void> {
	for (const call of [
		() => store.get('a'),
		() => store.getRange('a', { offset: 0, bytes: 1 }),
		() => store.put('a', text('1')),
		() => store.createIfAbsent('a', text('1')),
		() => store.list(),
		() => store.delete('a'),
		() => store.deleteMany(['a', 'b']),
		() => store.getStream('a'),
		() => store.createFromStream('a', pieces()),
	]) {
		const error: unknown = await call().then(
			value => expect.fail(`expected ${code}, got ${inspect(value)}`),
			(cause: unknown) => cause,
		)
		expect(error, String(call)).toMatchObject({ code })
		const shown = `${String(error)} ${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)}`
		for (const secret of secrets) expect(shown).not.toContain(secret)
	}
}

async function* pieces(): AsyncGenerator<Uint8Array> {
	yield text('1')
}

describe.skipIf(server === undefined)('the Azure store on Azurite that refuses', () => {
	if (server === undefined) return

	test('a missing container is ISLE_NOT_FOUND, and no absent object', async () => {
		const store = await openAzureStore({ container: 'not-there', client: server.client() })
		await expectRefusals(store, 'ISLE_NOT_FOUND', [AZURITE_KEY])
	})

	test('a wrong key is ISLE_DENIED, and shown nowhere', async () => {
		const container = await server.createContainer()
		const key = Buffer.from('a key of somebody else').toString('base64')
		const client = new BlobServiceClient(server.endpoint, new StorageSharedKeyCredential(AZURITE_ACCOUNT, key))
		await expectRefusals(await openAzureStore({ container, client }), 'ISLE_DENIED', [key, 'SharedKey '])
	})

	test('an expired SAS is ISLE_DENIED, and one that only reads is so for writing; neither is shown', async () => {
		const container = await server.createContainer()
		const credential = new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY)
		const sasUntil = (expiresOn: Date): string =>
			generateBlobSASQueryParameters(
				{ containerName: container, permissions: ContainerSASPermissions.parse('rl'), expiresOn },
				credential,
			).toString()
		const storeWith = (sas: string): Promise<ObjectStore> =>
			openAzureStore({
				container,
				client: new BlobServiceClient(`${server.endpoint}?${sas}`, newPipeline(new AnonymousCredential())),
			})
		const expired = sasUntil(new Date(2020, 1, 1))
		const signature = new URLSearchParams(expired).get('sig') ?? 'none'
		const store = await storeWith(expired)
		expect(inspect(store, { depth: 20, showHidden: true })).not.toContain(signature)
		await expectRefusals(store, 'ISLE_DENIED', [signature, encodeURIComponent(signature)])
		const reading = await storeWith(sasUntil(new Date(2100, 1, 1)))
		expect((await reading.list()).objects).toEqual([])
		expect(await reading.get('a')).toBeUndefined()
		await expect(reading.createIfAbsent('a', text('1'))).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(reading.put('a', text('1'))).rejects.toMatchObject({ code: 'ISLE_DENIED' })
	})

	test('azblob: URLs take their credentials from the environment, and keep to their prefix', async () => {
		const container = await server.createContainer()
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', server.connectionString)
		const store = await openStore(`azblob://${container}/team/db1`)
		expect(store.url).toBe(`azblob://${container}/team/db1`)
		await store.put('a', text('1'))
		await store.close()
		await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', '')
		vi.stubEnv('AZURE_STORAGE_KEY', AZURITE_KEY)
		const endpoint = encodeURIComponent(server.endpoint)
		const whole = await openStore(`azblob://${container}?account=${AZURITE_ACCOUNT}&endpoint=${endpoint}`)
		expect((await whole.list()).objects.map(({ key }) => key)).toEqual(['team/db1/a'])
		expect(await (await openStore(whole.url)).get('team/db1/a')).toEqual(text('1'))
	})
})

describe('openAzureStore', () => {
	test('refuses bad containers, and account or endpoint beside a client, with TypeError', async () => {
		for (const container of ['', 'ab', 'Upper', 'a--b', '-ab', 'a'.repeat(64), '$root', 'a/b']) {
			await expect(openAzureStore({ container }), container).rejects.toThrow(TypeError)
		}
		await expect(openAzureStore({ container: 'a'.repeat(63), account: 'me' })).rejects.toThrow(TypeError)
		const client = new BlobServiceClient('https://me.blob.core.windows.net')
		await expect(openAzureStore({ container: 'box', client, account: 'me' })).rejects.toThrow(TypeError)
		await expect(openAzureStore({ container: 'box', endpoint: 'https://x?sig=1' })).rejects.toThrow(TypeError)
	})

	test('says what is missing when no account is named, and does not repeat a connection string that is none', async () => {
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', '')
		vi.stubEnv('AZURE_STORAGE_ACCOUNT', '')
		await expect(openAzureStore({ container: 'box' })).rejects.toMatchObject({
			code: 'ISLE_DENIED',
			message: expect.stringContaining('AZURE_STORAGE_ACCOUNT'),
		})
		vi.stubEnv('AZURE_STORAGE_CONNECTION_STRING', 'AccountKey=s3cr3t')
		const failure: unknown = await openAzureStore({ container: 'box' }).catch((error: unknown) => error)
		expect(failure).toBeInstanceOf(TypeError)
		expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain('s3cr3t')
	})
})

describe('azureError', () => {
	const codeOf = (error: unknown): string => azureError(error, 'get', 'a/b', 'box').code

	test('tells by status and error code what the caller must do', () => {
		for (const [statusCode, code, expected] of [
			[403, 'AuthenticationFailed', 'ISLE_DENIED'],
			[403, 'AuthorizationPermissionMismatch', 'ISLE_DENIED'],
			[403, 'SomethingNew', 'ISLE_DENIED'],
			[401, 'InvalidAuthenticationInfo', 'ISLE_DENIED'],
			[404, 'ContainerNotFound', 'ISLE_NOT_FOUND'],
			[409, 'ContainerBeingDeleted', 'ISLE_NOT_FOUND'],
			[409, 'BlobImmutableDueToPolicy', 'ISLE_DENIED'],
			[413, 'RequestBodyTooLarge', 'ISLE_UNSUPPORTED'],
			[429, undefined, 'ISLE_UNAVAILABLE'],
			[408, undefined, 'ISLE_UNAVAILABLE'],
			[500, 'InternalError', 'ISLE_UNAVAILABLE'],
			[500, 'OperationTimedOut', 'ISLE_UNAVAILABLE'],
			[503, 'ServerBusy', 'ISLE_UNAVAILABLE'],
			[400, 'InvalidHeaderValue', 'ISLE_DENIED'],
		] as const) {
			expect(codeOf(new RestError('said so', { statusCode, ...(code === undefined ? {} : { code }) })), code).toBe(
				expected,
			)
		}
		for (const code of ['ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'REQUEST_SEND_ERROR']) {
			expect(codeOf(new RestError('no answer', { code })), code).toBe('ISLE_UNAVAILABLE')
		}
		expect(codeOf(new RestError('no trust', { code: 'CERT_HAS_EXPIRED' }))).toBe('ISLE_DENIED')
		const noToken = Object.assign(new Error('no token'), { name: 'CredentialUnavailableError' })
		expect(codeOf(noToken)).toBe('ISLE_DENIED')
		expect(codeOf(new TypeError('of the SDK'))).toBe('ISLE_UNAVAILABLE')
	})

	test('a token that would have to travel over http is ISLE_DENIED, and none is sent', async () => {
		const token = { getToken: async () => ({ token: 's3cr3t', expiresOnTimestamp: 4_000_000_000_000 }) }
		const client = new BlobServiceClient('http://127.0.0.1:9/me', token)
		const failure: unknown = await (await openAzureStore({ container: 'box', client }))
			.get('a')
			.catch((e: unknown) => e)
		expect(failure).toMatchObject({ code: 'ISLE_DENIED', message: expect.stringContaining('https only') })
	})

	test('names the clock and expired credentials, the key and the container, and keeps no credential', () => {
		const message = 'failed: https://x.blob.core.windows.net/box/a?sv=1&sig=s3cr3t AccountKey=s3cr3t; Bearer s3cr3t'
		const error = azureError(
			new RestError(message, { statusCode: 403, code: 'AuthenticationFailed' }),
			'get',
			'a/b',
			'box',
		)
		expect(error.message).toMatch(/clock.*operation=`get` key=`a\/b` container=`box` status=`403`/)
		expect(error.message).toMatch(/expired/)
		expect(error.details).toEqual({ key: 'a/b', status: 403, error: 'AuthenticationFailed' })
		expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('s3cr3t')
	})
})
