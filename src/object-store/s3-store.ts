/**
 * The door to S3: `openS3Store`, and the only file that knows the AWS SDK (`@aws-sdk/client-s3`), which is imported when
 * a store is opened and not before: it costs 200 ms and 25 MB. Below the door: `s3-driver.ts`.
 *
 * A client that we make sends every request once: whoever repeats an idempotent one is `retryingStore`, and a create
 * that is repeated could meet its own first attempt. A client that is handed in may repeat; the verdict on a create
 * looks at the number of attempts (`createVerdict`), so it is exact all the same.
 */
import { Readable } from 'node:stream'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { IsleError } from '../errors.ts'
import { type CloudStoreOptions, cloudDoor, openCloudStore } from './cloud-door.ts'
import type { WriteCondition } from './cloud-driver.ts'
import { checkEndpoint, cloudUrl } from './cloud-url.ts'
import type { ByteRange, ListPage, ObjectStore } from './object-store.ts'
import { importOptional } from './optional-package.ts'
import type { S3Body, S3Calls, S3DeleteFailure, S3Part } from './s3-calls.ts'
import { S3Driver } from './s3-driver.ts'
import { s3Failure } from './s3-errors.ts'

type S3Sdk = typeof import('@aws-sdk/client-s3')

export interface S3StoreOptions extends CloudStoreOptions {
	/** Name of the bucket, or the ARN of an access point. It has to be there. */
	readonly bucket: string
	/**
	 * A client of your own: with credentials, proxies or tracing as you like them. It stays open when the store closes.
	 * `region`, `endpoint` and `forcePathStyle` are then its own business and may not be given.
	 */
	readonly client?: S3Client | undefined
	/** Default: the SDK's own search (environment, profile); with an `endpoint` and nothing found, `us-east-1`. */
	readonly region?: string | undefined
	/** URL of a server other than AWS: `https://minio.example.org:9000`. */
	readonly endpoint?: string | undefined
	/** True: `endpoint/bucket/key` instead of `bucket.endpoint/key`, as most servers other than AWS need it. Default false. */
	readonly forcePathStyle?: boolean | undefined
}

/** What reading forward and parallel uploads use at most; the SDK's own limit is 50. Sockets are opened as needed. */
const MAX_SOCKETS = 256
/** A host that does not take connections is told from one that is slow: by half of the default deadline. */
const CONNECTION_TIMEOUT_MS = 5_000

/**
 * Opens a bucket. Asks nothing of it and writes nothing: a missing bucket, or missing credentials, show at the first
 * call (`ISLE_NOT_FOUND`, `ISLE_DENIED`), or at once with `mustExist`.
 *
 * Throws `ISLE_UNSUPPORTED` when `@aws-sdk/client-s3` is not installed; `TypeError` and `RangeError` for options.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ObjectStore> {
	if (typeof options !== 'object' || options === null) throw new TypeError('Expected options with a `bucket`')
	const { client, region, forcePathStyle } = options
	const door = cloudDoor(options)
	const bucket = checkBucket(options.bucket)
	const endpoint = options.endpoint === undefined ? undefined : checkEndpoint(options.endpoint)
	if (region !== undefined && !(typeof region === 'string' && /^[\w-]{1,64}$/.test(region))) {
		throw new TypeError('Expected `region` to be the name of a region, such as `eu-central-1`')
	}
	if (forcePathStyle !== undefined && typeof forcePathStyle !== 'boolean') {
		throw new TypeError(`Expected \`forcePathStyle\` to be a boolean, got ${typeof forcePathStyle}`)
	}
	if (client !== undefined && (region ?? endpoint ?? forcePathStyle) !== undefined) {
		throw new TypeError('Expected no `region`, `endpoint` or `forcePathStyle` beside a `client`: they are its own')
	}
	const location: S3Location = { bucket, region, endpoint, forcePathStyle }
	const sdk = await importOptional('@aws-sdk/client-s3', () => import('@aws-sdk/client-s3'))
	const owner = client === undefined ? 'ours' : 'theirs'
	const calls = new SdkCalls(sdk, client ?? new sdk.S3Client(clientConfig(location)), bucket, owner)
	const url = cloudUrl('s3', bucket, {
		region,
		endpoint,
		forcePathStyle: forcePathStyle?.toString(),
		...door.parameters,
	})
	return openCloudStore(new S3Driver(calls, url, door.limits), door)
}

/** Where a bucket is. */
interface S3Location {
	readonly bucket: string
	readonly region: string | undefined
	readonly endpoint: string | undefined
	readonly forcePathStyle: boolean | undefined
}

/** Names of buckets, old ones with capitals and underscores included, and ARNs of access points. */
function checkBucket(bucket: string): string {
	if (typeof bucket !== 'string') throw new TypeError(`Expected \`bucket\` to be a string, got ${typeof bucket}`)
	if (/^[A-Za-z0-9][\w.-]{1,253}[A-Za-z0-9]$/.test(bucket) || /^arn:aws[\w:/.-]*$/.test(bucket)) return bucket
	throw new TypeError(
		'Expected `bucket` to be the name of a bucket: 3 characters or more, letters, digits, `-` and `.`',
	)
}

function clientConfig({ region, endpoint, forcePathStyle }: S3Location): S3ClientConfig {
	const { AWS_REGION, AWS_DEFAULT_REGION } = process.env
	const fallback = endpoint === undefined ? undefined : (AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1')
	const usedRegion = region ?? fallback
	const agent = { keepAlive: true, maxSockets: MAX_SOCKETS }
	return {
		...(usedRegion === undefined ? {} : { region: usedRegion }),
		...(endpoint === undefined ? {} : { endpoint }),
		...(forcePathStyle === undefined ? {} : { forcePathStyle }),
		maxAttempts: 1,
		// Trailers and x-amz-checksum headers are refused, or stored as data, by servers that are not AWS. What we write
		// carries checksums of its own, and the signature covers every body.
		requestChecksumCalculation: 'WHEN_REQUIRED',
		responseChecksumValidation: 'WHEN_REQUIRED',
		// `Expect: 100-continue` costs each upload over 2 MiB a round trip, to spare a body that is rarely refused.
		expectContinueHeader: false,
		requestHandler: { connectionTimeout: CONNECTION_TIMEOUT_MS, httpAgent: agent, httpsAgent: agent },
	}
}

interface SendOptions {
	readonly abortSignal: AbortSignal
}

/** `S3Calls` by the SDK. */
class SdkCalls implements S3Calls {
	readonly #sdk: S3Sdk
	readonly #client: S3Client
	readonly #bucket: string
	readonly #owner: 'ours' | 'theirs'

	constructor(sdk: S3Sdk, client: S3Client, bucket: string, owner: 'ours' | 'theirs') {
		this.#sdk = sdk
		this.#client = client
		this.#bucket = bucket
		this.#owner = owner
	}

	async getObject(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<S3Body> {
		const command = new this.#sdk.GetObjectCommand({
			...this.#at(key),
			...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.bytes - 1}` }),
		})
		const reply = await this.#send(signal, limits => this.#client.send(command, limits))
		const stream = reply.Body
		if (!(stream instanceof Readable)) {
			throw new IsleError('ISLE_UNSUPPORTED', 'the client answers bodies that are no streams of Node.js')
		}
		return { stream, bytes: reply.ContentLength, contentRange: reply.ContentRange }
	}

	async putObject(key: string, body: Uint8Array, condition: WriteCondition, signal: AbortSignal): Promise<void> {
		const command = new this.#sdk.PutObjectCommand({ ...this.#at(key), ...conditional(condition), Body: body })
		await this.#send(signal, limits => this.#client.send(command, limits))
	}

	async listObjects(prefix: string, startAfter: string, limit: number, signal: AbortSignal): Promise<ListPage> {
		const command = new this.#sdk.ListObjectsV2Command({
			Bucket: this.#bucket,
			MaxKeys: limit,
			// XML cannot hold every character of a key.
			EncodingType: 'url',
			...(prefix === '' ? {} : { Prefix: prefix }),
			...(startAfter === '' ? {} : { StartAfter: startAfter }),
		})
		const reply = await this.#send(signal, limits => this.#client.send(command, limits))
		const keyOf = reply.EncodingType === 'url' ? decodedKey : (key: string) => key
		const objects = (reply.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
			key: keyOf(Key),
			bytes: Size,
			lastModifiedMs: LastModified?.getTime() ?? 0,
		}))
		return { objects, isTruncated: reply.IsTruncated === true }
	}

	async deleteObject(key: string, signal: AbortSignal): Promise<void> {
		const command = new this.#sdk.DeleteObjectCommand(this.#at(key))
		await this.#send(signal, limits => this.#client.send(command, limits))
	}

	async deleteObjects(keys: readonly string[], signal: AbortSignal): Promise<readonly S3DeleteFailure[]> {
		const command = new this.#sdk.DeleteObjectsCommand({
			Bucket: this.#bucket,
			Delete: { Objects: keys.map(Key => ({ Key })), Quiet: true },
		})
		const reply = await this.#send(signal, limits => this.#client.send(command, limits))
		return (reply.Errors ?? []).map(({ Key = '', Code = 'Error', Message = '' }) => ({
			key: Key,
			name: Code,
			message: Message,
		}))
	}

	async beginUpload(key: string, signal: AbortSignal): Promise<string> {
		const command = new this.#sdk.CreateMultipartUploadCommand(this.#at(key))
		const { UploadId } = await this.#send(signal, limits => this.#client.send(command, limits))
		if (UploadId === undefined) throw lacking('the id of an upload')
		return UploadId
	}

	async uploadPart(
		key: string,
		uploadId: string,
		partNumber: number,
		body: Uint8Array,
		signal: AbortSignal,
	): Promise<string> {
		const part = { ...this.#at(key), UploadId: uploadId, PartNumber: partNumber, Body: body }
		const command = new this.#sdk.UploadPartCommand(part)
		const { ETag } = await this.#send(signal, limits => this.#client.send(command, limits))
		if (ETag === undefined) throw lacking('the ETag of a part')
		return ETag
	}

	async completeUpload(
		key: string,
		uploadId: string,
		parts: readonly S3Part[],
		condition: WriteCondition,
		signal: AbortSignal,
	): Promise<void> {
		const command = new this.#sdk.CompleteMultipartUploadCommand({
			...this.#at(key),
			...conditional(condition),
			UploadId: uploadId,
			MultipartUpload: { Parts: parts.map(({ partNumber, etag }) => ({ PartNumber: partNumber, ETag: etag })) },
		})
		await this.#send(signal, limits => this.#client.send(command, limits))
	}

	async abortUpload(key: string, uploadId: string, signal: AbortSignal): Promise<void> {
		const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: uploadId })
		await this.#send(signal, limits => this.#client.send(command, limits))
	}

	close(): void {
		if (this.#owner === 'ours') this.#client.destroy()
	}

	/** A refusal for the clock has no effect and teaches the SDK the server's time: once more, with that. */
	async #send<T>(signal: AbortSignal, send: (limits: SendOptions) => Promise<T>): Promise<T> {
		try {
			return await send({ abortSignal: signal })
		} catch (error) {
			const { name, attempts } = s3Failure(error)
			if (name !== 'RequestTimeTooSkewed' || attempts > 1) throw error
			return await send({ abortSignal: signal })
		}
	}

	#at(key: string): { readonly Bucket: string; readonly Key: string } {
		return { Bucket: this.#bucket, Key: key }
	}
}

function conditional(condition: WriteCondition): { readonly IfNoneMatch?: string } {
	return condition === 'absent' ? { IfNoneMatch: '*' } : {}
}

function decodedKey(key: string): string {
	return decodeURIComponent(key.replaceAll('+', ' '))
}

function lacking(what: string): IsleError {
	return new IsleError('ISLE_UNSUPPORTED', `the server does not answer ${what}`)
}
