/** Bodies that go to S3 in parts: whole or absent, whatever is spoilt on the way, and no upload is left behind. */
import {
	AbortMultipartUploadCommand,
	CreateMultipartUploadCommand,
	ListMultipartUploadsCommand,
} from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { sampleBytes, text } from '../../src/object-store/conformance-objects.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { RequestLimits } from '../../src/object-store/request-limits.ts'
import type { S3Calls, S3Part } from '../../src/object-store/s3-calls.ts'
import { MAX_PARTS, partsOf, S3Upload } from '../../src/object-store/s3-upload.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import {
	answerAfter,
	answerInstead,
	type FaultyProxy,
	hang,
	loseReply,
	resetBefore,
	startFaultyProxy,
} from '../support/servers/faulty-proxy.ts'
import { createBucket, s3Answer, s3Client, storeOn } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const MIB = 1024 * 1024
const BUCKET = 'parts'
const CREATED = { kind: 'created' }
const EXISTS = { kind: 'exists' }
const UNKNOWN = { kind: 'unknown', cause: { code: 'ISLE_UNAVAILABLE' } }
const SLOW_DOWN = s3Answer(503, 'SlowDown')
const INTERNAL_ERROR = s3Answer(500, 'InternalError')

const server = await serverForTests('Ceph RGW', startCephRgw)
const reached = server ?? { endpoint: 'http://127.0.0.1:9', accessKeyId: 'nobody', secretAccessKey: 'nothing' }

describe.skipIf(server === undefined)('bodies in parts', () => {
	const large = sampleBytes(17 * MIB + 3)
	const client = s3Client(reached)
	let proxy: FaultyProxy
	/** Past the proxy: the truth. */
	let direct: ObjectStore
	let spoilt: ObjectStore
	let keys = 0
	const freshKey = (): string => `key/${keys++}`
	const openSpoilt = (): Promise<ObjectStore> => storeOn({ ...reached, endpoint: proxy.endpoint }, BUCKET)

	beforeAll(async () => {
		await createBucket(reached, BUCKET)
		proxy = await startFaultyProxy(reached.endpoint)
		direct = await storeOn(reached, BUCKET)
		spoilt = await openSpoilt()
	})
	afterEach(() => proxy.heal())
	afterAll(async () => {
		client.destroy()
		await proxy.stop()
	})

	async function openUploads(): Promise<number> {
		const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))
		for (const { Key, UploadId } of Uploads) {
			await client.send(new AbortMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId }))
		}
		return Uploads.length
	}
	async function* pieces(fail?: Error): AsyncGenerator<Uint8Array> {
		for (let at = 0; at < large.byteLength; at += 999_999) yield large.subarray(at, at + 999_999)
		if (fail !== undefined) throw fail
	}
	async function expectLarge(store: ObjectStore, key: string): Promise<void> {
		expect(Buffer.compare((await store.get(key)) ?? text(''), large)).toBe(0)
	}

	test('are whole, refuse a key that is taken, and leave no upload behind', async () => {
		const [created, put, streamed] = [freshKey(), freshKey(), freshKey()]
		expect(await spoilt.createIfAbsent(created, [large.subarray(0, 9 * MIB), large.subarray(9 * MIB)])).toEqual(CREATED)
		await spoilt.put(put, large)
		expect(await spoilt.createFromStream(streamed, pieces())).toEqual(CREATED)
		for (const key of [created, put, streamed]) await expectLarge(direct, key)
		expect(proxy.exchanges.filter(({ path }) => path.includes('partNumber=3'))).toHaveLength(3)
		expect(await spoilt.createIfAbsent(created, sampleBytes(17 * MIB, 2))).toEqual(EXISTS)
		expect(await spoilt.createFromStream(created, pieces())).toEqual(EXISTS)
		await expectLarge(direct, created)
		expect(await openUploads()).toBe(0)
	})

	test('send a part again that was lost, refused or cut off', async () => {
		for (const fault of [loseReply(), resetBefore(), answerInstead(SLOW_DOWN)]) {
			const key = freshKey()
			proxy.spoil({ method: 'PUT', path: 'partNumber=2', times: 2 }, fault)
			expect(await spoilt.createFromStream(key, pieces())).toEqual(CREATED)
			await expectLarge(direct, key)
		}
	})

	test('answer unknown when the reply of the completion is lost, and the object is there', async () => {
		for (const fault of [loseReply(), answerAfter(INTERNAL_ERROR)]) {
			for (const create of [
				(key: string) => spoilt.createIfAbsent(key, large),
				(key: string) => spoilt.createFromStream(key, pieces()),
			]) {
				const key = freshKey()
				proxy.spoil({ method: 'POST', path: 'uploadId=', times: 1 }, fault)
				expect(await create(key)).toMatchObject(UNKNOWN)
				await expectLarge(direct, key)
			}
		}
		expect(await openUploads()).toBe(0)
	})

	test('are aborted on the server when the source fails, the caller aborts, or the store refuses', async () => {
		const store = await openSpoilt()
		const failure = new Error('the source broke')
		await expect(store.createFromStream('source', pieces(failure))).rejects.toBe(failure)
		proxy.spoil({ method: 'PUT', path: 'partNumber=2' }, answerInstead(s3Answer(403, 'AccessDenied')))
		await expect(store.createFromStream('part', pieces())).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(store.put('put', large)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await store.close()
		expect(await openUploads()).toBe(0)
		await client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: 'control' }))
		expect(await openUploads(), 'the control').toBe(1)
	})

	test('are cut off and aborted when the caller aborts, who cannot know how far it went', async () => {
		proxy.spoil({ method: 'PUT', path: 'partNumber=1' }, hang())
		const controller = new AbortController()
		const store = await openSpoilt()
		const key = freshKey()
		const creating = store.createFromStream(key, pieces(), { signal: controller.signal })
		await proxy.met('hang')
		controller.abort('enough')
		expect(await creating).toEqual({ kind: 'unknown', cause: 'enough' })
		await store.close()
		expect(await direct.get(key)).toBeUndefined()
		// Not by listing: Ceph goes on listing an upload to which a part arrived after its end.
		const aborts = proxy.exchanges.filter(({ method, path }) => method === 'DELETE' && path.includes(key))
		expect(aborts.map(({ status }) => status)).toEqual([204])
	})
})

describe('an upload', () => {
	/** A server in memory that counts what is on its way at once. */
	class CountingCalls implements S3Calls {
		readonly sent: { readonly partNumber: number; readonly bytes: number }[] = []
		completed: readonly S3Part[] | undefined
		aborted = 0
		mostInFlight = 0
		#inFlight = 0

		async beginUpload(): Promise<string> {
			return 'upload-1'
		}
		async uploadPart(_key: string, _id: string, partNumber: number, part: Uint8Array): Promise<string> {
			this.mostInFlight = Math.max(this.mostInFlight, ++this.#inFlight)
			await new Promise(resolve => setImmediate(resolve))
			this.#inFlight--
			this.sent.push({ partNumber, bytes: part.byteLength })
			return `"${partNumber}"`
		}
		async completeUpload(_key: string, _id: string, parts: readonly S3Part[]): Promise<void> {
			this.completed = parts
		}
		async abortUpload(): Promise<void> {
			this.aborted++
		}
		getObject = notAsked
		putObject = notAsked
		listObjects = notAsked
		deleteObject = notAsked
		deleteObjects = notAsked
		close(): void {}
	}
	async function notAsked(): Promise<never> {
		throw new Error('not asked for in this test')
	}
	function uploadTo(calls: S3Calls): S3Upload {
		return new S3Upload({
			calls,
			limits: new RequestLimits(systemHost),
			key: 'key',
			condition: 'absent',
			signal: new AbortController().signal,
			typed: error => error,
			putWhole: notAsked,
			onBegin: () => {},
		})
	}

	test(`takes ${MAX_PARTS} parts, at most four on their way, and completes them in order`, async () => {
		const calls = new CountingCalls()
		const upload = uploadTo(calls)
		const part = new Uint8Array(1)
		for (let i = 1; i < MAX_PARTS; i++) await upload.write(part)
		expect(await upload.finish(part)).toBe('created')
		expect(calls.completed?.map(({ partNumber }) => partNumber)).toEqual(
			Array.from({ length: MAX_PARTS }, (_, i) => i + 1),
		)
		expect(calls.mostInFlight).toBe(4)
		expect(calls.aborted).toBe(0)
	})

	test(`refuses part ${MAX_PARTS + 1} with ISLE_UNSUPPORTED, and is aborted`, async () => {
		const calls = new CountingCalls()
		const upload = uploadTo(calls)
		for (let i = 0; i < MAX_PARTS; i++) await upload.write(new Uint8Array(1))
		await expect(upload.finish(new Uint8Array(1))).rejects.toMatchObject({ code: 'ISLE_UNSUPPORTED' })
		expect([calls.completed, calls.aborted]).toEqual([undefined, 1])
	})
})

test('a body is cut into parts of one size, the last one shorter, whatever its pieces', () => {
	const body = sampleBytes(1000)
	for (const pieceBytes of [1, 3, 99, 100, 101, 250, 1000]) {
		const pieces: Uint8Array[] = []
		for (let at = 0; at < 1000; at += pieceBytes) pieces.push(body.subarray(at, at + pieceBytes), new Uint8Array(0))
		for (const partBytes of [1, 7, 100, 999, 1000, 1001]) {
			const parts = [...partsOf(pieces, partBytes)]
			const lengths = parts.map(part => part.byteLength)
			expect(lengths.slice(0, -1).every(bytes => bytes === partBytes)).toBe(true)
			expect(lengths.at(-1)).toBe(1000 % partBytes || partBytes)
			expect(Buffer.compare(Buffer.concat(parts), body)).toBe(0)
		}
	}
	expect([...partsOf([], 10)]).toEqual([])
})
