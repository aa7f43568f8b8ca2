/**
 * Google Cloud Storage through `@google-cloud/storage`.
 *
 * Create-if-absent is `ifGenerationMatch=0`: 200 created, 412 the key is taken. Whole objects are one multipart
 * request; streams larger than a part are a resumable upload whose condition holds at its end.
 *
 * The SDK takes no AbortSignal: a signal destroys the stream of the call. A download ends with it. Of an upload what was
 * handed to the socket may still take effect, which is what "unknown" means; bodies are copied, because the SDK may hold
 * on to them after that. Listings and deletions go on unheard.
 *
 * Invariants: the client sends each request once (`gcs-store.ts` sees to it); no checksum is verified by the SDK, which
 * deletes an object whose upload it finds damaged: our formats carry checksums of their own.
 */
import type { Bucket, File } from '@google-cloud/storage'
import type { Host } from '../host/host.ts'
import { joinBody } from './body.ts'
import type { CloudDownload, CloudDriver, CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import { withLimits } from './deadline.ts'
import { gcsError, gcsStatus } from './gcs-errors.ts'
import { openDownload } from './gcs-streams.ts'
import { GcsUpload, writeWhole } from './gcs-upload.ts'
import type { ListQuery } from './list-query.ts'
import { compareKeys } from './object-key.ts'
import type { Body, ByteRange, ListPage, ObjectInfo } from './object-store.ts'

/** A multiple of 256 KiB, as resumable uploads want it. */
const PART_BYTES = 8 * 1024 * 1024
/** The most that the service gives in one page. */
const MAX_PAGE = 1000
const MAX_DELETIONS_UNDER_WAY = 16
/** For one part of an upload, where the call itself has no deadline. */
const PART_DEADLINE_MS = 60_000

export class GcsDriver implements CloudDriver {
	readonly url: string
	readonly partBytes: number = PART_BYTES
	readonly #bucket: Bucket
	readonly #host: Host
	/** True once an answer has shown that the bucket is there. */
	#isBucketSeen = false

	constructor(url: string, bucket: Bucket, host: Host) {
		this.url = url
		this.#bucket = bucket
		this.#host = host
	}

	async download(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<CloudDownload | undefined> {
		try {
			const download = await openDownload(this.#file(key), range, signal)
			this.#isBucketSeen = true
			return download
		} catch (error) {
			const status = gcsStatus(error)
			if (status === 416) return { stream: undefined, bytes: 0, objectBytes: undefined }
			if (status !== 404) throw this.#typed(error, 'get', key)
			await this.#checkBucket('get', key)
			return undefined
		}
	}

	async upload(key: string, body: Body, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		return this.#verdict(key, () => writeWhole(this.#file(key), joinBody(body), condition, signal))
	}

	startUpload(key: string, signal: AbortSignal): CloudUpload {
		const upload = new GcsUpload(this.#file(key), signal)
		const limited = <T>(work: () => Promise<T>): Promise<T> =>
			withLimits(this.#host.clock, { operation: 'uploadPart', key }, { signal }, PART_DEADLINE_MS, work)
		return {
			write: part => limited(() => this.#ask('uploadPart', key, () => upload.write(part))),
			finish: last => limited(() => this.#verdict(key, () => upload.finish(last))),
			abandon: () => upload.abandon(),
		}
	}

	/**
	 * `startOffset` is inclusive, so the object that equals it is dropped: one more LIST when the page was full with it.
	 * `isTruncated` of a page of 1000 is the store's own word, which may turn out to be an empty page.
	 */
	async list(query: ListQuery, signal: AbortSignal): Promise<ListPage> {
		const { prefix, startAfter, limit } = query
		const startsBeyond = compareKeys(startAfter, prefix) > 0
		if (startsBeyond && !startAfter.startsWith(prefix)) return { objects: [], isTruncated: false }
		const found: ObjectInfo[] = []
		let pageToken: string | undefined
		do {
			signal.throwIfAborted()
			const [files, next] = await this.#ask('list', prefix, () =>
				this.#bucket.getFiles({
					prefix,
					autoPaginate: false,
					maxResults: Math.min(MAX_PAGE, limit + 2),
					fields: 'items(name,size,updated),nextPageToken',
					...(startsBeyond ? { startOffset: startAfter } : {}),
					...(pageToken === undefined ? {} : { pageToken }),
				}),
			)
			this.#isBucketSeen = true
			for (const file of files) if (compareKeys(file.name, startAfter) > 0) found.push(infoOf(file))
			pageToken = tokenOf(next)
		} while (pageToken !== undefined && found.length < limit)
		return {
			objects: found.slice(0, limit),
			isTruncated: found.length > limit || (found.length === limit && pageToken !== undefined),
		}
	}

	/** The JSON API has no batch in this SDK: one request for each key, 16 at a time. */
	async delete(keys: readonly string[], signal: AbortSignal): Promise<void> {
		const waiting = [...new Set(keys)].values()
		const worker = async (): Promise<void> => {
			for (const key of waiting) {
				signal.throwIfAborted()
				await this.#deleteOne(key)
			}
		}
		await Promise.all(Array.from({ length: MAX_DELETIONS_UNDER_WAY }, worker))
	}

	async #deleteOne(key: string): Promise<void> {
		try {
			await this.#file(key).delete()
		} catch (error) {
			if (gcsStatus(error) !== 404) throw this.#typed(error, 'delete', key)
			await this.#checkBucket('delete', key)
		}
	}

	#file(key: string): File {
		return this.#bucket.file(key)
	}

	/** A 404 is an absent object, unless the whole bucket is missing: asked once, by a listing, which every role may do. */
	async #checkBucket(operation: string, key: string): Promise<void> {
		if (this.#isBucketSeen) return
		await this.#ask(operation, key, () => this.#bucket.getFiles({ maxResults: 1, autoPaginate: false }))
		this.#isBucketSeen = true
	}

	async #verdict(key: string, write: () => Promise<void>): Promise<WriteVerdict> {
		try {
			await write()
			this.#isBucketSeen = true
			return 'created'
		} catch (error) {
			if (gcsStatus(error) === 412) return 'exists'
			throw this.#typed(error, 'write', key)
		}
	}

	async #ask<T>(operation: string, key: string, call: () => Promise<T>): Promise<T> {
		try {
			return await call()
		} catch (error) {
			throw this.#typed(error, operation, key)
		}
	}

	#typed(error: unknown, operation: string, key: string): Error {
		return gcsError(error, operation, key, this.#bucket.name)
	}
}

/** A file of a listing: with `fields` the SDK hands out the bare answer of the service, and not a `File`. */
function infoOf(file: File): ObjectInfo {
	const metadata: unknown = Reflect.get(file, 'metadata') ?? file
	const read = (name: string): unknown => (metadata instanceof Object ? Reflect.get(metadata, name) : undefined)
	return { key: file.name, bytes: Number(read('size')), lastModifiedMs: Date.parse(String(read('updated'))) }
}

/** The SDK answers the next query as a whole, or null. */
function tokenOf(next: unknown): string | undefined {
	const token: unknown = typeof next === 'object' && next !== null ? Reflect.get(next, 'pageToken') : undefined
	return typeof token === 'string' && token !== '' ? token : undefined
}
