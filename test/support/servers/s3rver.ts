/**
 * s3rver, an S3 look-alike for development that ignores `If-None-Match`: every create of a key succeeds. What must not be
 * trusted, on a free port of the loopback interface, in this process.
 */
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { TestServer } from './test-server.ts'

export interface LookAlike extends TestServer {
	readonly endpoint: string
	readonly accessKeyId: string
	readonly secretAccessKey: string
}

/** What of the package is used here; it has no types of its own. */
type S3rver = new (options: {
	readonly address: string
	readonly port: number
	readonly directory: string
	readonly silent: boolean
	readonly configureBuckets: readonly { readonly name: string }[]
}) => { run(): Promise<AddressInfo>; close(): Promise<void> }

/** Starts it over `directory`, with one bucket. */
export async function startS3rver(directory: string, bucket: string): Promise<LookAlike> {
	const require = createRequire(import.meta.url)
	const Server: S3rver = require('s3rver')
	const configureBuckets = [{ name: bucket }]
	const server = new Server({ address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets })
	const { port } = await server.run()
	return {
		name: 's3rver',
		endpoint: `http://127.0.0.1:${port}`,
		accessKeyId: 'S3RVER',
		secretAccessKey: 'S3RVER',
		stop: () => server.close(),
	}
}
