/**
 * Azure Blob Storage through `@azure/storage-blob`: reading, listing and deleting; `azure-writes.ts` writes.
 *
 * Invariants: the client sends each request once (`azure-store.ts` sees to it); the SDK does not resume a download by
 * itself, and ends one that was cut in the same `AbortError` as one that we abort: only the signal tells them apart.
 */
import { Readable } from 'node:stream'
import type { ContainerClient } from '@azure/storage-blob'
import { isIsleError } from '../errors.ts'
import { checkedDownload } from './answered-range.ts'
import { azureCode, azureError, azureStatus } from './azure-errors.ts'
import { type AzureListPage, type AzureListRequest, listAzure } from './azure-listing.ts'
import { AzureWrites, BLOCK_BYTES, BlockUpload } from './azure-writes.ts'
import type { CloudDownload, CloudDriver, CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import { SINGLE_MAX_BYTES, wholeBody } from './cloud-parts.ts'
import type { ListQuery } from './list-query.ts'
import type { Body, ByteRange, ListPage } from './object-store.ts'
import type { RequestLimits } from './request-limits.ts'

/** Subrequests of one batch (a limit of the service). */
const MAX_BATCH = 256
/** More time for each key of a batch: 2.5 s for a full one. */
const DELETE_MS_PER_KEY = 10

export class AzureDriver implements CloudDriver {
	readonly url: string
	readonly partBytes: number = BLOCK_BYTES
	readonly #container: ContainerClient
	readonly #limits: RequestLimits
	readonly #writes: AzureWrites

	constructor(url: string, container: ContainerClient, limits: RequestLimits) {
		this.url = url
		this.#container = container
		this.#limits = limits
		this.#writes = new AzureWrites(container, limits)
	}

	async download(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<CloudDownload | undefined> {
		try {
			const blob = this.#container.getBlobClient(key)
			const answer = await blob.download(range?.offset ?? 0, range?.bytes, { abortSignal: signal, maxRetryRequests: 0 })
			const stream = answer.readableStreamBody
			const { contentLength: bytes, contentRange } = answer
			// Azurite answers with nothing where a range begins past the end, and the service with 416.
			if (!(stream instanceof Readable) || (range !== undefined && bytes === 0)) {
				if (stream instanceof Readable) stream.destroy()
				return { stream: undefined, bytes: 0, objectBytes: undefined }
			}
			return checkedDownload({ stream, bytes, contentRange }, range, key)
		} catch (error) {
			if (azureStatus(error) === 416) return { stream: undefined, bytes: 0, objectBytes: undefined }
			if (isAbsent(error)) return undefined
			throw isIsleError(error) ? error : this.#typed(error, 'get', key)
		}
	}

	async upload(key: string, body: Body, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		const whole = wholeBody(body)
		if (whole.byteLength <= SINGLE_MAX_BYTES) return this.#writes.writeWhole(key, whole, condition, signal)
		const upload = new BlockUpload(this.#writes, key, condition, signal)
		try {
			let at = 0
			for (; at + BLOCK_BYTES < whole.byteLength; at += BLOCK_BYTES) {
				await upload.write(whole.subarray(at, at + BLOCK_BYTES))
			}
			return await upload.finish(whole.subarray(at))
		} catch (error) {
			upload.abandon()
			throw error
		}
	}

	startUpload(key: string, signal: AbortSignal): CloudUpload {
		return new BlockUpload(this.#writes, key, 'absent', signal)
	}

	list(query: ListQuery, signal: AbortSignal): Promise<ListPage> {
		return listAzure(query, request => this.#listPage(request, signal))
	}

	async delete(keys: readonly string[], signal: AbortSignal): Promise<void> {
		const unique = [...new Set(keys)]
		const [first] = unique
		if (first !== undefined && unique.length === 1) return this.#deleteOne(first, signal)
		for (let i = 0; i < unique.length; i += MAX_BATCH) await this.#deleteBatch(unique.slice(i, i + MAX_BATCH), signal)
	}

	async #listPage(request: AzureListRequest, signal: AbortSignal): Promise<AzureListPage> {
		const { prefix, startFrom, maxPageSize, marker } = request
		const begin = startFrom === undefined ? {} : { startFrom }
		const paging = { maxPageSize, ...(marker === undefined ? {} : { continuationToken: marker }) }
		const { answerMs } = this.#limits
		const step = await this.#ask('list', prefix, answerMs, signal, inner =>
			this.#container
				.listBlobsFlat({ prefix, abortSignal: inner, ...begin })
				.byPage(paging)
				.next(),
		)
		if (step.done) return { objects: [], marker: undefined }
		const { segment, continuationToken } = step.value
		const objects = segment.blobItems.map(({ name, properties }) => ({
			key: name,
			bytes: properties.contentLength ?? 0,
			lastModifiedMs: properties.lastModified.getTime(),
		}))
		return { objects, marker: continuationToken === '' ? undefined : continuationToken }
	}

	async #deleteOne(key: string, signal: AbortSignal): Promise<void> {
		await this.#ask('delete', key, this.#limits.answerMs, signal, async inner => {
			try {
				await this.#container.getBlobClient(key).delete({ abortSignal: inner })
			} catch (error) {
				if (!isAbsent(error)) throw error
			}
		})
	}

	async #deleteBatch(keys: readonly string[], signal: AbortSignal): Promise<void> {
		const [first = ''] = keys
		const batches = this.#container.getBlobBatchClient()
		const deadlineMs = this.#limits.answerMs + keys.length * DELETE_MS_PER_KEY
		const answer = await this.#ask('deleteMany', first, deadlineMs, signal, async inner => {
			const batch = batches.createBatch()
			for (const key of keys) await batch.deleteBlob(this.#container.getBlobClient(key))
			return batches.submitBatch(batch, { abortSignal: inner })
		})
		for (const [at, { status, errorCode }] of answer.subResponses.entries()) {
			if (status < 300 || (status === 404 && errorCode !== 'ContainerNotFound')) continue
			const failure = Object.assign(new Error('a deletion of a batch failed'), { statusCode: status, code: errorCode })
			throw this.#typed(failure, 'deleteMany', keys[at] ?? first)
		}
	}

	#ask<T>(
		operation: string,
		key: string,
		deadlineMs: number,
		signal: AbortSignal,
		call: (signal: AbortSignal) => Promise<T>,
	): Promise<T> {
		return this.#limits.once({ operation, key }, signal, deadlineMs, async inner => {
			try {
				return await call(inner)
			} catch (error) {
				throw this.#typed(error, operation, key)
			}
		})
	}

	#typed(error: unknown, operation: string, key: string): Error {
		return azureError(error, operation, key, this.#container.containerName)
	}
}

/** A missing object, which is a value; a missing container is not. */
function isAbsent(error: unknown): boolean {
	return azureStatus(error) === 404 && azureCode(error) === 'BlobNotFound'
}
