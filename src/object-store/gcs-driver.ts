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
import { isIsleError } from '../errors.ts'
import { checkedDownload } from './answered-range.ts'
import { joinBody } from './body.ts'
import type { CloudDownload, CloudDriver, CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import { gcsError, gcsStatus } from './gcs-errors.ts'
import { openDownload } from './gcs-streams.ts'
import { GcsUpload, writeWhole } from './gcs-upload.ts'
import type { ListQuery } from './list-query.ts'
import { compareKeys } from './object-key.ts'
import type { Body, ByteRange, ListPage, ObjectInfo } from './object-store.ts'
import { deleteEach } from './parallel-deletions.ts'
import type { RequestLimits } from './request-limits.ts'

/** A multiple of 256 KiB, as resumable uploads want it. */
const PART_BYTES = 8 * 1024 * 1024
/** The most that the service gives in one page. */
const MAX_PAGE = 1000
/** Deadlines of a request that a part of a resumable upload gets, because the SDK does not send it again: 72 s. */
const PART_PATIENCE = 4

export class GcsDriver implements CloudDriver {
	readonly url: string
	readonly partBytes: number = PART_BYTES
	readonly #bucket: Bucket
	readonly #limits: RequestLimits
	/** True once an answer has shown that the bucket is there. */
	#isBucketSeen = false

	constructor(url: string, bucket: Bucket, limits: RequestLimits) {
		this.url = url
		this.#bucket = bucket
		this.#limits = limits
	}

	async download(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<CloudDownload | undefined> {
		try {
			const answer = await openDownload(this.#file(key), range, signal)
			this.#isBucketSeen = true
			return checkedDownload(answer, range, key)
		} catch (error) {
			if (isIsleError(error)) throw error
			const status = gcsStatus(error)
			if (status === 416) return { stream: undefined, bytes: 0, objectBytes: undefined }
			if (status !== 404) throw this.#typed(error, 'get', key)
			await this.#checkBucket('get', key, signal)
			return undefined
		}
	}

	async upload(key: string, body: Body, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		const whole = joinBody(body)
		const deadlineMs = this.#limits.deadlineMs(whole.byteLength)
		return this.#limits.once({ operation: 'write', key }, signal, deadlineMs, inner =>
			this.#verdict(key, () => writeWhole(this.#file(key), whole, condition, inner)),
		)
	}

	startUpload(key: string, signal: AbortSignal): CloudUpload {
		const upload = new GcsUpload(this.#file(key), signal)
		const deadlineMs = this.#limits.deadlineMs(PART_BYTES) * PART_PATIENCE
		return {
			write: part => this.#ask('uploadPart', key, signal, () => upload.write(part), deadlineMs),
			finish: last =>
				this.#limits.once({ operation: 'uploadPart', key }, signal, deadlineMs, () =>
					this.#verdict(key, () => upload.finish(last)),
				),
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
			const [files, next] = await this.#ask('list', prefix, signal, () =>
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
		await deleteEach(keys, signal, key => this.#deleteOne(key, signal))
	}

	async #deleteOne(key: string, signal: AbortSignal): Promise<void> {
		const isThere = await this.#ask('delete', key, signal, async () => {
			try {
				await this.#file(key).delete()
				return true
			} catch (error) {
				if (gcsStatus(error) !== 404) throw error
				return false
			}
		})
		if (!isThere) await this.#checkBucket('delete', key, signal)
	}

	#file(key: string): File {
		return this.#bucket.file(key)
	}

	/** A 404 is an absent object, unless the whole bucket is missing: asked once, by a listing, which every role may do. */
	async #checkBucket(operation: string, key: string, signal: AbortSignal): Promise<void> {
		if (this.#isBucketSeen) return
		await this.#ask(operation, key, signal, () => this.#bucket.getFiles({ maxResults: 1, autoPaginate: false }))
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

	/** One request, within its deadline; what it fails with becomes an error of ours. */
	#ask<T>(
		operation: string,
		key: string,
		signal: AbortSignal,
		call: () => Promise<T>,
		deadlineMs: number = this.#limits.answerMs,
	): Promise<T> {
		return this.#limits.once({ operation, key }, signal, deadlineMs, async () => {
			try {
				return await call()
			} catch (error) {
				throw this.#typed(error, operation, key)
			}
		})
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
