/**
 * S3, and what answers like it, as a driver of `CloudStore`. What S3 is asked, request by request: `s3-calls.ts`.
 *
 * - Create-if-absent is a PUT with `If-None-Match: *`. 2xx: created; 412: exists; no answer, an abort or a 5xx: nothing is
 *   known. A 409 refuses for a race with another write or deletion, has no effect and says nothing about the key (AWS
 *   asks to repeat it): it is sent again, a bounded number of times.
 * - Bodies are arrays, never streams (streams are sent with trailers, which some servers store as data). Above
 *   `SINGLE_MAX_BYTES`, and when they come as a stream, they go in parts; the condition stands at the last request.
 * - A range is checked against what the server says that it sends.
 */
import { Retry, type RetryBudget } from '../host/backoff.ts'
import { checkedDownload } from './answered-range.ts'
import { bodyBytes, bodyPieces } from './body.ts'
import type { CloudDownload, CloudDriver, CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import { SINGLE_MAX_BYTES, wholeBody } from './cloud-parts.ts'
import type { ListQuery } from './list-query.ts'
import type { Body, ByteRange, ListPage } from './object-store.ts'
import { deleteEach } from './parallel-deletions.ts'
import type { RequestLimits } from './request-limits.ts'
import type { S3Body, S3Calls, S3DeleteFailure } from './s3-calls.ts'
import { createVerdict, isLackingFunction, isNoSuchKey, objectBytesOf, s3Error } from './s3-errors.ts'
import { PART_BYTES, partsOf, S3Upload, withoutVerdict } from './s3-upload.ts'

/** The limit of DeleteObjects. */
const KEYS_PER_DELETE = 1000
/** More time for each key of a batch: 10 s for a full one. */
const DELETE_MS_PER_KEY = 10
/** Creates that were refused for a race: 6 requests within 5 s. */
const RACE_BUDGET: RetryBudget = { maxAttempts: 6, budgetMs: 5_000, basePauseMs: 20, maxPauseMs: 1_000 }

export class S3Driver implements CloudDriver {
	readonly url: string
	readonly partBytes: number = PART_BYTES
	readonly #calls: S3Calls
	readonly #limits: RequestLimits
	/** Those that have begun on the server and have not ended there. */
	readonly #uploads = new Set<Promise<void>>()
	/** False once the server has shown that it does not know DeleteObjects. */
	#hasBatchDelete = true

	/** `url` is for messages: without credentials. */
	constructor(calls: S3Calls, url: string, limits: RequestLimits) {
		this.#calls = calls
		this.url = url
		this.#limits = limits
	}

	async download(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<CloudDownload | undefined> {
		let body: S3Body
		try {
			body = await this.#calls.getObject(key, range, signal)
		} catch (error) {
			if (isNoSuchKey(error)) return undefined
			const past = range === undefined ? undefined : objectBytesOf(error)
			if (past !== undefined) return { stream: undefined, bytes: 0, objectBytes: past.objectBytes }
			throw this.#typed(error, 'get', key)
		}
		return checkedDownload(body, range, key)
	}

	async upload(key: string, body: Body, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		if (bodyBytes(body) <= SINGLE_MAX_BYTES) return this.#put(key, wholeBody(body), condition, signal)
		const upload = this.#startUpload(key, condition, signal)
		try {
			for (const part of partsOf(bodyPieces(body), PART_BYTES)) await upload.write(part)
			return await upload.finish(new Uint8Array(0))
		} catch (error) {
			await upload.abort()
			throw error
		}
	}

	startUpload(key: string, signal: AbortSignal): CloudUpload {
		return this.#startUpload(key, 'absent', signal)
	}

	async list({ prefix, startAfter, limit }: ListQuery, signal: AbortSignal): Promise<ListPage> {
		const name = { operation: 'list', key: prefix }
		try {
			return await this.#limits.once(name, signal, this.#limits.answerMs, inner =>
				this.#calls.listObjects(prefix, startAfter, limit, inner),
			)
		} catch (error) {
			throw this.#typed(error, 'list', prefix)
		}
	}

	async delete(keys: readonly string[], signal: AbortSignal): Promise<void> {
		const distinct = [...new Set(keys)]
		for (let at = 0; at < distinct.length; at += KEYS_PER_DELETE) {
			signal.throwIfAborted()
			const batch = distinct.slice(at, at + KEYS_PER_DELETE)
			const isDone = batch.length > 1 && this.#hasBatchDelete && (await this.#deleteBatch(batch, signal))
			if (!isDone) await deleteEach(batch, signal, key => this.#deleteOne(key, signal))
		}
	}

	/** Waits for uploads that are being aborted, and frees the sockets. */
	async close(): Promise<void> {
		await Promise.all(this.#uploads)
		this.#calls.close()
	}

	async #put(key: string, body: Uint8Array, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		const retry = new Retry(this.#limits.host, RACE_BUDGET)
		const operation = condition === 'absent' ? 'createIfAbsent' : 'put'
		const deadlineMs = this.#limits.deadlineMs(body.byteLength)
		for (;;) {
			try {
				await this.#limits.once({ operation, key }, signal, deadlineMs, inner =>
					this.#calls.putObject(key, body, condition, inner),
				)
				return 'created'
			} catch (error) {
				const typed = this.#typed(error, operation, key)
				if (condition === 'none') throw typed
				const verdict = createVerdict(error)
				if (verdict === 'exists') return 'exists'
				if (verdict === 'refused') throw typed
				if (verdict === 'unknown' || !(await retry.pause(signal))) throw withoutVerdict(typed, key)
			}
		}
	}

	#startUpload(key: string, condition: WriteCondition, signal: AbortSignal): S3Upload {
		return new S3Upload({
			calls: this.#calls,
			limits: this.#limits,
			key,
			condition,
			signal,
			typed: error => this.#typed(error, condition === 'absent' ? 'createFromStream' : 'put', key),
			putWhole: body => this.#put(key, body, condition, signal),
			onBegin: ended => {
				const tracked = ended.finally(() => this.#uploads.delete(tracked))
				this.#uploads.add(tracked)
			},
		})
	}

	async #deleteOne(key: string, signal: AbortSignal): Promise<void> {
		try {
			await this.#limits.once({ operation: 'delete', key }, signal, this.#limits.answerMs, inner =>
				this.#calls.deleteObject(key, inner),
			)
		} catch (error) {
			if (!isNoSuchKey(error)) throw this.#typed(error, 'delete', key)
		}
	}

	/** False when the server has no such request. A reply of 200 may hold failures: each key has its own. */
	async #deleteBatch(keys: readonly string[], signal: AbortSignal): Promise<boolean> {
		const [first = ''] = keys
		const deadlineMs = this.#limits.answerMs + keys.length * DELETE_MS_PER_KEY
		let failures: readonly S3DeleteFailure[]
		try {
			failures = await this.#limits.once({ operation: 'deleteMany', key: first }, signal, deadlineMs, inner =>
				this.#calls.deleteObjects(keys, inner),
			)
		} catch (error) {
			if (!isLackingFunction(error)) throw this.#typed(error, 'deleteMany', first)
			this.#hasBatchDelete = false
			return false
		}
		const [worst, ...others] = failures.filter(({ name }) => name !== 'NoSuchKey')
		if (worst === undefined) return true
		const error = Object.assign(new Error(worst.message), { name: worst.name })
		const call = { operation: 'deleteMany', key: worst.key, url: this.url, failedKeys: others.length + 1 }
		throw s3Error(error, call)
	}

	#typed(error: unknown, operation: string, key: string): unknown {
		return s3Error(error, { operation, key, url: this.url })
	}
}
