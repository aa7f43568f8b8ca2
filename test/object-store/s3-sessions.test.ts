/** Temporary credentials from a server's own token service: as good as others while they last, and then a typed refusal. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket, storeOn } from '../support/servers/s3-test-store.ts'
import { assumeRole } from '../support/servers/sts-session.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const BUCKET = 'sessions'
const ROLE = 'visitor'
const BODY = new Uint8Array([1])
const DENIED = { code: 'ISLE_DENIED' }
/** Each is a round trip: many more than fit into the time that the credentials last. */
const MAX_REQUESTS = 100_000
const MAX_SECONDS = 64

const server = await serverForTests('Ceph RGW', () => startCephRgw({ tokenService: 'on' }))

describe.skipIf(server === undefined)('temporary credentials', async () => {
	if (server === undefined) return
	await createBucket(server, BUCKET)
	await server.createRole(ROLE)

	async function storeFor(seconds: number): Promise<{ store: ObjectStore; token: string }> {
		if (server === undefined) throw new Error('no server')
		const session = await assumeRole(server, ROLE, seconds)
		const credentials = { ...session }
		const store = await storeOn({ ...server, ...session }, BUCKET, { prefix: 'db1', client: { credentials } })
		return { store, token: session.sessionToken }
	}

	/** Asks for something until it is refused: the last of so many requests. */
	async function untilRefused(seconds: number) {
		const { store, token } = await storeFor(seconds)
		let refusal: unknown
		let requests = 0
		for (; refusal === undefined && requests < MAX_REQUESTS; requests++) {
			refusal = await store.get('probe').then(
				() => undefined,
				(error: unknown) => error,
			)
		}
		return { store, token, refusal, requests }
	}

	test('carry a database', async () => {
		const { store } = await storeFor(900)
		await using db = await open(store)
		await db.put('a', 'b', { durable: true })
		await using reader = await openReader(store)
		expect(await reader.get('a')).toBe('b')
	})

	test('that have expired are ISLE_DENIED for everybody, at once, and write nothing', async () => {
		let session = await untilRefused(1)
		// On a busy machine a second may be over before the first request has come.
		for (let seconds = 2; session.requests === 1 && seconds <= MAX_SECONDS; seconds *= 2)
			session = await untilRefused(seconds)
		const { store, token, refusal, requests } = session
		expect(requests, 'they were good at first').toBeGreaterThan(1)
		expect(refusal).toMatchObject(DENIED)
		await expect(open(store)).rejects.toMatchObject(DENIED)
		await expect(openReader(store)).rejects.toMatchObject(DENIED)
		const late: unknown = await store.createIfAbsent('late', BODY).catch((error: unknown) => error)
		expect(late).toMatchObject(DENIED)
		for (const error of [refusal, late])
			expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(token)
		const truth = await storeOn(server, BUCKET, { prefix: 'db1' })
		expect(await truth.get('late')).toBeUndefined()
	})
})
