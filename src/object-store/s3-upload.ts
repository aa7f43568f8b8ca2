/**
 * Large bodies: parts, several on their way at once, made an object by one last request that carries the condition.
 * Nothing is visible before that request has succeeded.
 *
 * Steps: the first part begins the upload; parts are sent beside each other, and again while the store is unavailable
 * (harmless: a part has its number); a body that came without a full part needs no upload and is one PUT.
 *
 * Invariants: at most `PARTS_IN_FLIGHT` parts are on their way; an upload that does not become an object is aborted on
 * the server, where its parts would be stored and paid for. What an outage at the wrong moment leaves behind is for a
 * lifecycle rule (AbortIncompleteMultipartUpload).
 */
import { IsleError, invariant } from '../errors.ts'
import type { CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import type { RequestLimits } from './request-limits.ts'
import type { S3Calls, S3Part } from './s3-calls.ts'
import { createVerdict } from './s3-errors.ts'

/** S3 takes parts from 5 MiB; 8 MiB take 80 ms at 100 MB/s, well above one round trip. All of one size: R2 asks for that. */
export const PART_BYTES: number = 8 * 1024 * 1024
/** The limit of S3: so a body has at most 10,000 × 8 MiB = 78 GiB. */
export const MAX_PARTS = 10_000
/** 4 × 8 MiB on their way, and one being filled: 40 MiB of memory an upload. */
const PARTS_IN_FLIGHT = 4
/** Answers' deadlines that the completion gets, which puts the parts together and is sent once: 60 s. */
const COMPLETION_PATIENCE = 6

export interface S3UploadTarget {
	readonly calls: S3Calls
	readonly limits: RequestLimits
	readonly key: string
	readonly condition: WriteCondition
	/** Ends the upload. */
	readonly signal: AbortSignal
	/** An SDK error as an `IsleError`. */
	readonly typed: (error: unknown) => unknown
	/** Sends a body that needs no parts. */
	readonly putWhole: (body: Uint8Array) => Promise<WriteVerdict>
	/** Is told that an upload has begun on the server, and gets what resolves when it has ended there. */
	readonly onBegin: (ended: Promise<void>) => void
}

export class S3Upload implements CloudUpload {
	readonly #target: S3UploadTarget
	/** Ends repetitions when the upload has failed otherwise. */
	readonly #stop = new AbortController()
	readonly #retrySignal: AbortSignal
	readonly #parts: S3Part[] = []
	readonly #inFlight = new Set<Promise<void>>()
	#uploadId: string | undefined
	#partCount = 0
	#failure: { readonly cause: unknown } | undefined
	#isOver = false
	#tellEnded = (): void => {}

	constructor(target: S3UploadTarget) {
		this.#target = target
		this.#retrySignal = AbortSignal.any([target.signal, this.#stop.signal])
	}

	/** Waits while enough parts are on their way; rejects when one of them has failed for good. */
	async write(part: Uint8Array): Promise<void> {
		const { calls, key } = this.#target
		if (this.#partCount === MAX_PARTS) {
			throw new IsleError('ISLE_UNSUPPORTED', `a body may have at most ${MAX_PARTS} parts on S3: key=\`${key}\``)
		}
		if (this.#partCount === 0)
			this.#target.onBegin(
				new Promise(resolve => {
					this.#tellEnded = resolve
				}),
			)
		this.#uploadId ??= await this.#retried('beginUpload', 0, signal => calls.beginUpload(key, signal))
		while (this.#inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(this.#inFlight)
		this.#throwIfFailed()
		const sending = this.#send(this.#uploadId, ++this.#partCount, part).finally(() => this.#inFlight.delete(sending))
		this.#inFlight.add(sending)
	}

	/** Rejects with `ISLE_UNAVAILABLE` when the last request may or may not have taken effect. */
	async finish(last: Uint8Array): Promise<WriteVerdict> {
		if (this.#partCount === 0) {
			this.#end()
			return this.#target.putWhole(last)
		}
		try {
			if (last.byteLength > 0) await this.write(last)
			await Promise.all(this.#inFlight)
			this.#throwIfFailed()
			const verdict = await this.#complete()
			if (verdict === 'created') this.#end()
			return verdict
		} finally {
			await this.abort()
		}
	}

	abandon(): void {
		void this.abort()
	}

	/** One attempt. */
	async #complete(): Promise<WriteVerdict> {
		const { calls, key, condition, typed, limits } = this.#target
		const id = this.#uploadId
		invariant(id !== undefined, 'an upload is completed that was never begun')
		const parts = this.#parts.toSorted((a, b) => a.partNumber - b.partNumber)
		try {
			const deadlineMs = limits.answerMs * COMPLETION_PATIENCE
			await limits.once({ operation: 'completeUpload', key }, this.#target.signal, deadlineMs, signal =>
				calls.completeUpload(key, id, parts, condition, signal),
			)
			return 'created'
		} catch (error) {
			const verdict = condition === 'none' ? 'refused' : createVerdict(error)
			if (verdict === 'exists') return 'exists'
			if (verdict === 'refused') throw typed(error)
			// Also after a lost race: a completion cannot be repeated, AWS asks for a new upload.
			throw withoutVerdict(typed(error), key)
		}
	}

	/**
	 * Ends it on the server, as well as can be, unless it has become an object. Never rejects. Parts on their way are
	 * awaited: one that arrives after the end is kept by some servers. Only the caller's abort cuts them off.
	 */
	async abort(): Promise<void> {
		if (this.#isOver) return
		this.#isOver = true
		const { calls, limits, key } = this.#target
		this.#stop.abort(new Error('the upload has ended'))
		await Promise.allSettled(this.#inFlight)
		const id = this.#uploadId
		if (id !== undefined) {
			// With limits of its own: whoever began the upload may have gone.
			const name = { operation: 'abortUpload', key }
			await limits.once(name, undefined, limits.answerMs, signal => calls.abortUpload(key, id, signal)).catch(() => {})
		}
		this.#tellEnded()
	}

	#end(): void {
		this.#isOver = true
		this.#tellEnded()
	}

	/** Never rejects: a failure is kept for whoever comes next. */
	async #send(uploadId: string, partNumber: number, part: Uint8Array): Promise<void> {
		const { calls, key } = this.#target
		try {
			const etag = await this.#retried('uploadPart', part.byteLength, signal =>
				calls.uploadPart(key, uploadId, partNumber, part, signal),
			)
			this.#parts.push({ partNumber, etag })
		} catch (cause) {
			this.#failure ??= { cause }
		}
	}

	#throwIfFailed(): void {
		if (this.#failure !== undefined) throw this.#failure.cause
	}

	#retried<T>(operation: string, bytes: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
		const { limits, key, signal, typed } = this.#target
		const options = { signal, repeatSignal: this.#retrySignal, deadlineMs: limits.deadlineMs(bytes) }
		return limits.repeated({ operation, key }, options, async inner => {
			try {
				return await send(inner)
			} catch (error) {
				throw typed(error)
			}
		})
	}
}

/** A conditional write of which it is not known whether it took effect: `ISLE_UNAVAILABLE`, whatever the cause. */
export function withoutVerdict(cause: unknown, key: string): IsleError {
	if (cause instanceof IsleError && cause.code === 'ISLE_UNAVAILABLE') return cause
	return new IsleError('ISLE_UNAVAILABLE', `the write may or may not have taken effect: key=\`${key}\``, {
		cause,
		details: { key },
	})
}

/** `pieces` as parts of `partBytes`, the last one shorter (never empty); views where a piece holds a whole part. */
export function* partsOf(pieces: readonly Uint8Array[], partBytes: number): Generator<Uint8Array> {
	let gathered: Uint8Array | undefined
	let filled = 0
	for (const piece of pieces) {
		for (let at = 0; at < piece.byteLength; ) {
			const left = piece.byteLength - at
			if (gathered === undefined && left >= partBytes) {
				yield piece.subarray(at, at + partBytes)
				at += partBytes
				continue
			}
			gathered ??= new Uint8Array(partBytes)
			const taken = Math.min(left, partBytes - filled)
			gathered.set(piece.subarray(at, at + taken), filled)
			at += taken
			filled += taken
			if (filled < partBytes) continue
			yield gathered
			gathered = undefined
			filled = 0
		}
	}
	if (gathered !== undefined) yield gathered.subarray(0, filled)
}
