/** Buckets and stores on a server of the tests: by clients with its keys, as an application would make them. */
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { Host } from '../../../src/host/host.ts'
import type { ObjectStore } from '../../../src/object-store/object-store.ts'
import { openS3Store } from '../../../src/object-store/s3-store.ts'
import type { S3Server } from './ceph-rgw.ts'
import type { FixedAnswer } from './faulty-proxy.ts'

export type ReachedServer = Pick<S3Server, 'endpoint' | 'accessKeyId' | 'secretAccessKey'>

/** A client with the keys of `server`, that sends each request once unless `changes` say otherwise. */
export function s3Client(server: ReachedServer, changes: S3ClientConfig = {}): S3Client {
	const { accessKeyId, secretAccessKey, endpoint } = server
	return new S3Client({
		endpoint,
		region: 'us-east-1',
		forcePathStyle: true,
		credentials: { accessKeyId, secretAccessKey },
		maxAttempts: 1,
		requestChecksumCalculation: 'WHEN_REQUIRED',
		responseChecksumValidation: 'WHEN_REQUIRED',
		expectContinueHeader: false,
		...changes,
	})
}

export async function createBucket(server: ReachedServer, bucket: string): Promise<void> {
	const client = s3Client(server)
	await client.send(new CreateBucketCommand({ Bucket: bucket }))
	client.destroy()
}

/** A store beneath `prefix`, through a client of its own, which lives as long as the process. */
export function storeOn(
	server: ReachedServer,
	bucket: string,
	options: { prefix?: string; host?: Host | undefined; client?: S3ClientConfig } = {},
): Promise<ObjectStore> {
	const { prefix, host, client } = options
	return openS3Store({ bucket, prefix, host, client: s3Client(server, client) })
}

/** An answer of S3 that is an error. */
export function s3Answer(status: number, code: string, more: Readonly<Record<string, string>> = {}): FixedAnswer {
	const fields = Object.entries({ Code: code, Message: `said ${code}`, ...more })
	const body = `<Error>${fields.map(([name, value]) => `<${name}>${value}</${name}>`).join('')}</Error>`
	return { status, body, headers: { 'content-type': 'application/xml', 'x-amz-request-id': 'request-1' } }
}
