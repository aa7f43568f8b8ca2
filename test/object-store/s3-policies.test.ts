/** The policies of docs/stores.md suffice, and not more: a user who has nothing else, on a server that enforces them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { beforeAll, describe, expect, test } from 'vitest'
import { open, openReader } from '../../src/index.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket, s3Client, storeOn } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'

const DOCUMENT = join(import.meta.dirname, '../../docs/stores.md')
/** As the document writes it. */
const [BUCKET, PREFIX] = ['my-bucket', 'team/db1']
const BODY = new Uint8Array([1])
const DENIED = { code: 'ISLE_DENIED' }

interface Policy {
	readonly Version: string
	readonly Statement: readonly {
		readonly Effect: string
		readonly Action: readonly string[]
		readonly Resource: readonly string[]
	}[]
}

const policies: readonly Policy[] = [...readFileSync(DOCUMENT, 'utf8').matchAll(/```json\n([\s\S]*?)```/g)]
	.map(([, json = '']): Policy => JSON.parse(json))
	.filter(policy => JSON.stringify(policy).includes(`arn:aws:s3:::${BUCKET}`))

const server = await serverForTests('Ceph RGW', startCephRgw)
const nobody = { accessKeyId: 'nobody', secretAccessKey: 'nothing' }
const reached = server ?? { endpoint: 'http://127.0.0.1:9', ...nobody, stranger: nobody }

/** What the document gives to a user of the account, given to the stranger as a policy of the bucket. */
async function grant(policy: Policy): Promise<void> {
	const Principal = { AWS: ['arn:aws:iam:::user/stranger'] }
	const Statement = policy.Statement.map(statement => ({ ...statement, Principal }))
	const client = s3Client(reached)
	await client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: JSON.stringify({ ...policy, Statement }) }))
	client.destroy()
}

function asStranger(prefix = PREFIX): Promise<ObjectStore> {
	return storeOn({ ...reached, ...reached.stranger }, BUCKET, { prefix })
}

describe.skipIf(server === undefined)('the S3 policies of docs/stores.md', () => {
	const [reading, writing] = policies
	if (reading === undefined || writing === undefined) throw new Error('docs/stores.md has not the two policies')
	beforeAll(async () => {
		await createBucket(reached, BUCKET)
		await using db = await open(await storeOn(reached, BUCKET, { prefix: PREFIX }))
		await db.put('there', 'before')
	})

	test('the one for readers reads, misses what is absent, and writes nothing', async () => {
		await grant(reading)
		await using reader = await openReader(await asStranger())
		expect(await reader.get('there')).toBe('before')
		expect(await reader.get('absent')).toBeUndefined()
		const store = await asStranger()
		expect(await store.get('absent')).toBeUndefined()
		const calls = {
			put: () => store.put('x', BODY),
			createIfAbsent: () => store.createIfAbsent('x', BODY),
			delete: () => store.delete('x'),
			deleteMany: () => store.deleteMany(['x', 'y']),
		}
		for (const [name, call] of Object.entries(calls)) await expect(call(), name).rejects.toMatchObject(DENIED)
		await expect(open(store)).rejects.toMatchObject(DENIED)
		await expect((await asStranger('team/db2')).createIfAbsent('x', BODY)).rejects.toMatchObject(DENIED)
	})

	test('the one for writers opens, takes over, writes large values, and touches no other prefix', async () => {
		await grant(writing)
		await using db = await open(await asStranger())
		const large = 'large'.repeat(4_000_000)
		await db.put('large', large, { durable: true })
		expect([await db.get('there'), (await db.get('large')) === large]).toEqual(['before', true])
		const store = await asStranger()
		await store.deleteMany(['x', 'y'])
		const other = await asStranger('team/db2')
		await expect(other.createIfAbsent('x', BODY)).rejects.toMatchObject(DENIED)
		await expect(other.delete('x')).rejects.toMatchObject(DENIED)
	})

	// Reading is judged by objects of somebody else: on Ceph whoever wrote an object may read it.
	const places = {
		's3:ListBucket': `${PREFIX}/1`,
		's3:PutObject': `${PREFIX}/2`,
		's3:DeleteObject': `${PREFIX}/3`,
		's3:GetObject': PREFIX,
	}
	for (const [action, place] of Object.entries(places)) {
		test(`${action} cannot be left out`, async () => {
			const Statement = writing.Statement.map(statement => ({
				...statement,
				Action: statement.Action.filter(each => each !== action),
			})).filter(({ Action }) => Action.length > 0)
			await grant({ ...writing, Statement })
			await expect(open(await asStranger(place))).rejects.toMatchObject(DENIED)
		})
	}
})
