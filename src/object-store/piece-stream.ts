/**
 * Bodies that are never held whole: an object read piece by piece, and a caller's source consumed piece by piece.
 *
 * Written by hand and not as generators: a generator that nobody has started, or that waits, cannot be ended from
 * outside, and what it holds (a file handle) would stay open. Here an abort, `return()` and the end free it at once.
 */
import type { Clock } from '../host/clock.ts'
import { checkPiece } from './body.ts'
import { type CallScope, withLimits } from './deadline.ts'
import type { RequestOptions } from './object-store.ts'

/** Bytes of a piece that is read: 1 MiB, where a thread-pool trip (20–50 µs) no longer shows beside the copy. */
const STREAM_PIECE_BYTES: number = 1024 * 1024

export interface PieceSource {
	readonly key: string
	/** Where the body begins and ends in the object. */
	readonly begin: number
	readonly end: number
	/** Exactly `bytes` bytes from `offset`; owned by the caller. Called once at a time. */
	read(offset: number, bytes: number, scope: CallScope): Promise<Uint8Array>
	/** Called once, as soon as nothing more will be read. */
	release(): void
}

/** One pass over an object. `signal` ends it at any time; `deadlineMs` bounds the wait for each piece. */
export class PieceStream implements AsyncIterableIterator<Uint8Array> {
	readonly #clock: Clock
	readonly #source: PieceSource
	readonly #options: RequestOptions
	readonly #defaultDeadlineMs: number
	#offset: number
	#last: Promise<unknown> = Promise.resolve()
	#failure: { readonly cause: unknown } | undefined
	#isReleased = false
	readonly #onAbort = (): void => this.fail(this.#options.signal?.reason)

	constructor(clock: Clock, source: PieceSource, options: RequestOptions | undefined, defaultDeadlineMs: number) {
		this.#clock = clock
		this.#source = source
		this.#options = options ?? {}
		this.#defaultDeadlineMs = defaultDeadlineMs
		this.#offset = source.begin
		this.#options.signal?.addEventListener('abort', this.#onAbort, { once: true })
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	/** Pieces come in order, even when several are asked for at once. */
	next(): Promise<IteratorResult<Uint8Array, undefined>> {
		const piece = this.#last.then(() => this.#readNext())
		this.#last = piece.catch(() => {})
		return piece
	}

	return(): Promise<IteratorResult<Uint8Array, undefined>> {
		this.#release()
		return Promise.resolve({ done: true, value: undefined })
	}

	/** Ends the stream: what waits and what follows rejects with `cause`. No effect once it has ended. */
	fail(cause: unknown): void {
		if (this.#isReleased) return
		this.#failure = { cause }
		this.#release()
	}

	async #readNext(): Promise<IteratorResult<Uint8Array, undefined>> {
		if (this.#failure !== undefined) throw this.#failure.cause
		if (this.#isReleased) return { done: true, value: undefined }
		const bytes = Math.min(STREAM_PIECE_BYTES, this.#source.end - this.#offset)
		if (bytes === 0) {
			this.#release()
			return { done: true, value: undefined }
		}
		try {
			const name = { operation: 'getStream', key: this.#source.key }
			const value = await withLimits(this.#clock, name, this.#options, this.#defaultDeadlineMs, scope =>
				this.#source.read(this.#offset, bytes, scope),
			)
			this.#offset += bytes
			return { done: false, value }
		} catch (cause) {
			this.fail(cause)
			throw cause
		}
	}

	#release(): void {
		if (this.#isReleased) return
		this.#isReleased = true
		this.#options.signal?.removeEventListener('abort', this.#onAbort)
		this.#source.release()
	}
}

/** Carries what a source threw past the adapter, which would take a code of its own for an errno. */
export class SourceFailure {
	readonly cause: unknown

	constructor(cause: unknown) {
		this.cause = cause
	}
}

/**
 * Feeds every piece of `body` to `consume`, one after another. Throws `SourceFailure` when the source fails; rejects at
 * once when the call is over, and then tells the source to end without waiting for it.
 */
export async function consumePieces(
	body: AsyncIterable<Uint8Array>,
	scope: CallScope,
	consume: (piece: Uint8Array) => void | Promise<void>,
): Promise<void> {
	if (body === null || typeof body !== 'object' || !(Symbol.asyncIterator in body)) {
		throw new TypeError('Expected `body` to be an AsyncIterable of Uint8Array')
	}
	const iterator = body[Symbol.asyncIterator]()
	const signal = scope.signal
	let isFinished = false
	try {
		for (;;) {
			scope.throwIfOver()
			const step = await untilAborted(signal, nextPiece(iterator))
			if (step.done) {
				isFinished = true
				return
			}
			checkPiece(step.value)
			await consume(step.value)
		}
	} finally {
		if (!isFinished) void endSource(iterator)
	}
}

async function nextPiece(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
	try {
		return await iterator.next()
	} catch (cause) {
		throw new SourceFailure(cause)
	}
}

/** Nobody waits for this: the source may be in the middle of a read that never ends. */
async function endSource(iterator: AsyncIterator<Uint8Array>): Promise<void> {
	try {
		await iterator.return?.()
	} catch {
		// The call has its answer already; what the source says about being ended changes nothing.
	}
}

function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
	return new Promise<T>((resolve, reject) => {
		const onAbort = (): void => reject(signal.reason)
		signal.addEventListener('abort', onAbort, { once: true })
		promise.then(
			value => {
				signal.removeEventListener('abort', onAbort)
				resolve(value)
			},
			(cause: unknown) => {
				signal.removeEventListener('abort', onAbort)
				reject(cause)
			},
		)
	})
}
