/**
 * What all cloud adapters do alike: the store contract on top of a driver, which knows one SDK.
 *
 * Here: checks of arguments, the caller's limits, exact outcomes of creation, lengths of bodies and the pace at which
 * they arrive, streams in and out, and closing. In the driver: requests, each within its own deadline
 * (`request-limits.ts`), their conditions, and what errors mean.
 *
 * Invariants:
 * - A call without a deadline of the caller's ends all the same: it is a bounded number of requests, each with its own.
 * - The driver sends each request once. Whatever may be repeated is repeated above, by `retryingStore`; a create never.
 * - Of a create, only `ISLE_UNAVAILABLE` (no answer, a 5xx, a cut connection) is "unknown"; other errors are refusals.
 * - A body that is shorter than it said was cut on the wire: `ISLE_UNAVAILABLE`, so that the whole read is repeated. A
 *   range that the object does not hold is `ISLE_CORRUPT`.
 */
import { corrupt, IsleError } from '../errors.ts'
import { bodyPieces, checkRange, rangeTarget, shortObject, uninitialised } from './body.ts'
import type { CloudDriver } from './cloud-driver.ts'
import { outcomeOf, writeParts } from './cloud-parts.ts'
import { type AnswerWhenOver, type CallScope, withLimits } from './deadline.ts'
import { listQuery } from './list-query.ts'
import { NodeBody } from './node-body.ts'
import { checkObjectKey } from './object-key.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from './object-store.ts'
import { PieceStream, SourceFailure } from './piece-stream.ts'
import type { RequestLimits } from './request-limits.ts'

/** What has to arrive of a body within one deadline. */
const BODY_STEP_BYTES: number = 1024 * 1024

export class CloudStore implements ObjectStore {
	readonly url: string
	readonly #driver: CloudDriver
	readonly #limits: RequestLimits
	readonly #streams = new Set<PieceStream>()
	#running = 0
	#whenIdle: (() => void) | undefined
	#closing: Promise<void> | undefined

	constructor(driver: CloudDriver, limits: RequestLimits) {
		this.url = driver.url
		this.#driver = driver
		this.#limits = limits
	}

	async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		checkObjectKey(key)
		return this.#run('get', key, options, scope => this.#read('get', key, undefined, scope))
	}

	async getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		checkObjectKey(key)
		checkRange(range)
		return this.#run('getRange', key, options, scope => this.#read('getRange', key, range, scope, options))
	}

	async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		checkObjectKey(key)
		bodyPieces(body)
		return this.#run('put', key, options, async scope => {
			await this.#driver.upload(key, body, 'none', scope.signal)
		})
	}

	async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		checkObjectKey(key)
		bodyPieces(body)
		return this.#run<CreateOutcome>(
			'createIfAbsent',
			key,
			options,
			scope => outcomeOf(this.#driver.upload(key, body, 'absent', scope.signal)),
			cause => ({ kind: 'unknown', cause }),
		)
	}

	async list(options?: ListOptions): Promise<ListPage> {
		const query = listQuery(options)
		return this.#run('list', query.prefix, options, scope => this.#driver.list(query, scope.signal))
	}

	async delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#delete('delete', [key], options)
	}

	async deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.#delete('deleteMany', [...keys], options)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		checkObjectKey(key)
		if (range !== undefined) checkRange(range)
		return this.#run('getStream', key, options, scope => this.#openStream(key, range, options, scope))
	}

	async createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		checkObjectKey(key)
		let isBodyWhole = false
		try {
			return await this.#run<CreateOutcome>(
				'createFromStream',
				key,
				options,
				scope =>
					this.#uploadPieces(key, body, scope, () => {
						isBodyWhole = true
					}),
				cause => (isBodyWhole ? { kind: 'unknown', cause } : undefined),
			)
		} catch (error) {
			throw error instanceof SourceFailure ? error.cause : error
		}
	}

	/** Waits for calls under way, each of which its limits end; streams that are being read fail. */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	async #close(): Promise<void> {
		for (const stream of this.#streams) stream.fail(this.#closedError())
		if (this.#running > 0) {
			await new Promise<void>(resolve => {
				this.#whenIdle = resolve
			})
		}
		await this.#driver.close?.()
	}

	/** One call: refused when closed, within its limits, awaited by `close`. */
	async #run<T>(
		operation: string,
		key: string,
		options: RequestOptions | undefined,
		work: (scope: CallScope) => Promise<T>,
		answerWhenOver?: AnswerWhenOver<T>,
	): Promise<T> {
		if (this.#closing !== undefined) throw this.#closedError()
		this.#running++
		try {
			return await withLimits(this.#limits.host.clock, { operation, key }, options, Infinity, work, answerWhenOver)
		} finally {
			this.#running--
			if (this.#running === 0) this.#whenIdle?.()
		}
	}

	async #delete(operation: string, keys: readonly string[], options: RequestOptions | undefined): Promise<void> {
		for (const key of keys) checkObjectKey(key)
		return this.#run(operation, keys[0] ?? '', options, async scope => {
			if (keys.length > 0) await this.#driver.delete(keys, scope.signal)
		})
	}

	async #read(
		operation: string,
		key: string,
		range: ByteRange | undefined,
		scope: CallScope,
		options?: RangeRequestOptions,
	): Promise<Uint8Array | undefined> {
		const signal = scope.signal
		const download = await this.#download(operation, key, range, signal)
		if (download === undefined) return undefined
		const { body, bytes } = download
		const release = (): void => body.release()
		signal.addEventListener('abort', release, { once: true })
		try {
			scope.throwIfOver()
			const target = rangeTarget({ offset: 0, bytes }, options)
			let at = 0
			do {
				const offset = at
				const step = target.subarray(at, at + BODY_STEP_BYTES)
				await this.#limits.once({ operation, key }, signal, this.#limits.answerMs, () =>
					body.fillWhole(step, key, offset, bytes),
				)
				at += step.byteLength
			} while (at < bytes)
			return target
		} finally {
			signal.removeEventListener('abort', release)
			release()
		}
	}

	/** The body of an object or of exactly `range`. */
	async #download(
		operation: string,
		key: string,
		range: ByteRange | undefined,
		signal: AbortSignal,
	): Promise<{ readonly body: NodeBody; readonly bytes: number } | undefined> {
		const { answerMs } = this.#limits
		const download = await this.#limits.once({ operation, key }, signal, answerMs, inner =>
			this.#driver.download(key, range, inner),
		)
		if (download === undefined) return undefined
		const { stream, bytes, objectBytes } = download
		const body = stream === undefined ? undefined : new NodeBody(stream)
		try {
			signal.throwIfAborted()
			if (range !== undefined && bytes < range.bytes) {
				throw shortObject(key, range, objectBytes ?? (bytes === 0 ? range.offset : range.offset + bytes))
			}
			if (range !== undefined && bytes > range.bytes) {
				throw corrupt(key, `the store answered \`${bytes}\` bytes for a range of \`${range.bytes}\``)
			}
			if (body === undefined) throw corrupt(key, 'the store answered without a body')
			return { body, bytes }
		} catch (error) {
			body?.release()
			throw error
		}
	}

	async #openStream(
		key: string,
		range: ByteRange | undefined,
		options: RequestOptions | undefined,
		scope: CallScope,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const download = await this.#download('getStream', key, range, scope.signal)
		if (download === undefined) return undefined
		const { body, bytes } = download
		const source = {
			key,
			begin: 0,
			end: bytes,
			async read(offset: number, pieceBytes: number): Promise<Uint8Array> {
				const piece = uninitialised(pieceBytes)
				await body.fillWhole(piece, key, offset, bytes)
				return piece
			},
			release: () => {
				this.#streams.delete(stream)
				body.release()
			},
		}
		const stream: PieceStream = new PieceStream(this.#limits.host.clock, source, options, this.#limits.answerMs)
		this.#streams.add(stream)
		return stream
	}

	async #uploadPieces(
		key: string,
		body: AsyncIterable<Uint8Array>,
		scope: CallScope,
		onBodyWhole: () => void,
	): Promise<CreateOutcome> {
		const upload = this.#driver.startUpload(key, scope.signal)
		try {
			const last = await writeParts(upload, body, scope, this.#driver.partBytes)
			scope.throwIfOver()
			onBodyWhole()
			return await outcomeOf(upload.finish(last))
		} catch (error) {
			upload.abandon()
			throw error
		}
	}

	#closedError(): IsleError {
		return new IsleError('ISLE_CLOSED', `the store is closed: url=\`${this.url}\``)
	}
}
