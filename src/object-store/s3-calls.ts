/**
 * What the S3 driver asks of S3, one request each, in its own words: the driver knows no SDK, and the SDK no driver. A
 * condition of `absent` is `If-None-Match: *`.
 *
 * Every call ends when `signal` aborts, and rejects with what the SDK throws; `s3-errors.ts` reads that. None is
 * repeated here, unless it was refused for this machine's clock, which has no effect and tells the SDK the right time.
 */
import type { Readable } from 'node:stream'
import type { WriteCondition } from './cloud-driver.ts'
import type { ByteRange, ListPage } from './object-store.ts'

/** The body of an object, still on its way. */
export interface S3Body {
	readonly stream: Readable
	/** Bytes that are to come; undefined when the server did not say. */
	readonly bytes: number | undefined
	/** `bytes 0-9/100`, when the server answers with a part of the object. */
	readonly contentRange: string | undefined
}

/** What a batch deletion did not delete. */
export interface S3DeleteFailure {
	readonly key: string
	readonly name: string
	readonly message: string
}

export interface S3Part {
	readonly partNumber: number
	readonly etag: string
}

export interface S3Calls {
	getObject(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<S3Body>
	putObject(key: string, body: Uint8Array, condition: WriteCondition, signal: AbortSignal): Promise<void>
	listObjects(prefix: string, startAfter: string, limit: number, signal: AbortSignal): Promise<ListPage>
	deleteObject(key: string, signal: AbortSignal): Promise<void>
	/** At most 1000 keys. */
	deleteObjects(keys: readonly string[], signal: AbortSignal): Promise<readonly S3DeleteFailure[]>
	/** Answers the id of the upload. */
	beginUpload(key: string, signal: AbortSignal): Promise<string>
	/** Part numbers count from 1. Answers the part's ETag. */
	uploadPart(key: string, uploadId: string, partNumber: number, body: Uint8Array, signal: AbortSignal): Promise<string>
	completeUpload(
		key: string,
		uploadId: string,
		parts: readonly S3Part[],
		condition: WriteCondition,
		signal: AbortSignal,
	): Promise<void>
	abortUpload(key: string, uploadId: string, signal: AbortSignal): Promise<void>
	/** Frees the sockets, when the client is ours. */
	close(): void
}
