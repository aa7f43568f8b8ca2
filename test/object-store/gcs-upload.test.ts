/** Streams to Google Cloud Storage that are larger than a part: what a lost reply, an abort and an outage come to. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import { openGcsStore } from '../../src/object-store/gcs-store.ts'
import { startFakeGcs } from '../support/servers/fake-gcs.ts'
import { answerInstead, hang, loseReply, startFaultyProxy } from '../support/servers/faulty-proxy.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const MIB = 1024 * 1024
const UNAVAILABLE = { code: 'ISLE_UNAVAILABLE' }

const server = await serverForTests('fake-gcs-server', startFakeGcs)

describe.skipIf(server === undefined)('resumable uploads to Google Cloud Storage', async () => {
	if (server === undefined) return
	const bucket = await server.createBucket()
	const proxy = await startFaultyProxy(server.endpoint)
	afterAll(() => proxy.stop())
	afterEach(() => proxy.heal())
	const direct = await openGcsStore({ bucket, apiEndpoint: server.endpoint })
	const spoilt = await openGcsStore({ bucket, apiEndpoint: proxy.endpoint })
	const body = sampleBytes(20 * MIB + 3)

	test('begin with the condition and end in an object that is whole', async () => {
		expect(await direct.createFromStream('whole', pieces(body))).toEqual({ kind: 'created' })
		expect(Buffer.compare((await direct.get('whole')) ?? new Uint8Array(0), body)).toBe(0)
		expect(await direct.createFromStream('whole', pieces(body.subarray(5)))).toEqual({ kind: 'exists' })
		expect(Buffer.compare((await direct.get('whole')) ?? new Uint8Array(0), body)).toBe(0)
	})

	test('that cannot begin are refused by the outage, and the key is free', async () => {
		proxy.spoil({ method: 'POST', path: 'uploadType=resumable' }, answerInstead({ status: 503, body: 'busy' }))
		const outcome = await spoilt.createFromStream('refused', pieces(body)).catch((error: unknown) => ({ cause: error }))
		expect(outcome).toMatchObject({ cause: UNAVAILABLE })
		expect(await direct.createIfAbsent('refused', text('free'))).toEqual({ kind: 'created' })
	})

	test('whose session begins in vain end in unknown or an outage, never in created', async () => {
		proxy.spoil({ method: 'POST', path: 'uploadType=resumable' }, loseReply())
		const outcome = await spoilt.createFromStream('lost', pieces(body)).catch((error: unknown) => ({ cause: error }))
		expect(outcome).toMatchObject({ cause: UNAVAILABLE })
		expect(await direct.get('lost')).toBeUndefined()
	})

	test('that are aborted create nothing and leave the key free', async () => {
		proxy.spoil({ method: 'POST', path: 'uploadType=resumable' }, hang())
		const controller = new AbortController()
		const creating = spoilt.createFromStream('aborted', pieces(body), { signal: controller.signal })
		await proxy.met('hang')
		controller.abort('enough')
		await expect(creating).rejects.toBe('enough')
		expect(await direct.get('aborted')).toBeUndefined()
		expect(await direct.createIfAbsent('aborted', text('free'))).toEqual({ kind: 'created' })
	})
})

async function* pieces(body: Uint8Array): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < body.byteLength; at += 900_001) yield body.subarray(at, at + 900_001)
}
