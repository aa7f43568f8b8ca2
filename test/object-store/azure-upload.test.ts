/** Large objects and streams on Azurite: blocks that fail, commits whose fate is not known, and what is then there. */
import {
	AnonymousCredential,
	BlobServiceClient,
	ContainerSASPermissions,
	generateBlobSASQueryParameters,
	newPipeline,
	StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { openAzureStore } from '../../src/object-store/azure-store.ts'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { passPauses } from '../support/cloud-hangs.ts'
import { manualHost } from '../support/manual-clock.ts'
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from '../support/servers/azurite.ts'
import { answerInstead, hang, loseReply, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const MIB = 1024 * 1024
const UNKNOWN = { kind: 'unknown', cause: { code: 'ISLE_UNAVAILABLE' } }
const BUSY = answerInstead({ status: 503, body: '', headers: { 'x-ms-error-code': 'ServerBusy' } })

const server = await serverForTests('Azurite', startAzurite)

describe.skipIf(server === undefined)('large uploads to Azure', async () => {
	if (server === undefined) return
	const container = await server.createContainer()
	const proxy = await startFaultyProxy(server.endpoint)
	afterAll(() => proxy.stop())
	afterEach(() => proxy.heal())
	const spoilt = await openAzureStore({ container, client: server.client(`${proxy.endpoint}/${AZURITE_ACCOUNT}`) })
	const direct = await openAzureStore({ container, client: server.client() })
	const body = sampleBytes(20 * MIB + 3)

	const expectWhole = async (key: string): Promise<void> => {
		expect(Buffer.compare((await direct.get(key)) ?? new Uint8Array(0), body)).toBe(0)
	}
	const ways: Readonly<Record<string, (store: ObjectStore, key: string) => ReturnType<ObjectStore['createIfAbsent']>>> =
		{
			createIfAbsent: (store, key) => store.createIfAbsent(key, body),
			createFromStream: (store, key) => store.createFromStream(key, pieces(body)),
		}

	for (const [name, create] of Object.entries(ways)) {
		test(`${name}: a block that fails is sent again, and the object is created`, async () => {
			const key = `blocks-${name}`
			proxy.spoil({ method: 'PUT', path: 'comp=block&', times: 2 }, BUSY)
			expect(await create(spoilt, key)).toEqual({ kind: 'created' })
			expect(proxy.exchanges.filter(({ path, fault }) => path.includes(key) && fault !== 'none')).toHaveLength(2)
			await expectWhole(key)
		})

		test(`${name}: a lost reply to the commit is unknown, and the object is there`, async () => {
			const key = `commit-${name}`
			proxy.spoil({ method: 'PUT', path: 'comp=blocklist', times: 1 }, loseReply())
			expect(await create(spoilt, key)).toMatchObject(UNKNOWN)
			await expectWhole(key)
			expect(await create(spoilt, key)).toEqual({ kind: 'exists' })
		})
	}

	test('an abort while blocks are under way creates nothing and leaves the key free', async () => {
		const controller = new AbortController()
		proxy.spoil({ method: 'PUT', path: 'comp=block&' }, hang())
		const creating = spoilt.createFromStream('aborted', unfinished(body), { signal: controller.signal })
		await proxy.met('hang')
		controller.abort('enough')
		await expect(creating).rejects.toBe('enough')
		expect(await direct.get('aborted')).toBeUndefined()
		// By blocks again: Azurite, unlike the service, takes a key with staged blocks for one that exists, in whole writes.
		expect(await direct.createFromStream('aborted', pieces(body))).toEqual({ kind: 'created' })
	})

	test('a block that is never answered is given up by a deadline of its own, and sent again', async () => {
		const host = manualHost()
		const client = server.client(`${proxy.endpoint}/${AZURITE_ACCOUNT}`)
		const store = await openAzureStore({ container, client, host })
		const hung = proxy.exchanges.filter(({ fault }) => fault === 'hang').length
		proxy.spoil({ method: 'PUT', path: 'comp=block&', times: 1 }, hang())
		const creating = store.createFromStream('hung', pieces(body))
		await proxy.met('hang', hung + 1)
		// Until the two others are done: they come over a real network, and are not to be given up.
		const blocks = (): number => proxy.exchanges.filter(({ path }) => /hung.*comp=block&/.test(path)).length
		while (blocks() < 3 || host.clock.pendingTimers > 1) await new Promise(resolve => setImmediate(resolve))
		// 10 s, and one for each of its 8 MiB.
		await host.clock.advance(18_000)
		await passPauses(host, creating)
		expect(await creating).toEqual({ kind: 'created' })
		await expectWhole('hung')
	})

	test('a SAS with the permissions that the documentation names is enough for a writer', async () => {
		const sas = generateBlobSASQueryParameters(
			{
				containerName: container,
				permissions: ContainerSASPermissions.parse('rcwdl'),
				expiresOn: new Date(2100, 1, 1),
			},
			new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY),
		).toString()
		const client = new BlobServiceClient(`${server.endpoint}?${sas}`, newPipeline(new AnonymousCredential()))
		const store = await openAzureStore({ container, client })
		expect(await store.createIfAbsent('sas/1', text('1'))).toEqual({ kind: 'created' })
		expect(await store.createFromStream('sas/2', pieces(body))).toEqual({ kind: 'created' })
		await store.put('sas/1', text('2'))
		expect((await store.list({ prefix: 'sas/' })).objects).toHaveLength(2)
		await store.deleteMany(['sas/1', 'sas/2', 'sas/absent'])
		expect((await store.list({ prefix: 'sas/' })).objects).toEqual([])
	})
})

async function* pieces(body: Uint8Array): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < body.byteLength; at += 900_001) yield body.subarray(at, at + 900_001)
}

/** All of it, and then nothing: the source does not end. */
async function* unfinished(body: Uint8Array): AsyncGenerator<Uint8Array> {
	yield* pieces(body)
	await new Promise(() => {})
}
