/**
 * A large value, or a range of it, as a stream that outlives the object it began in.
 *
 * Steps: find the entry; stream the frames of the range from its pack. When the pack is gone while the stream goes on, look
 * the entry up in a newer state: while it is the same one (by its sequence number) the value only lies elsewhere, and the
 * stream goes on behind the last byte that was given. Otherwise the value was overwritten or deleted: ISLE_EXPIRED. A body that
 * is cut short, which no store mends by itself, is asked for again from there too.
 *
 * Invariants: what is given was verified, and is one value; at most a piece of the store and a frame are in memory; ending the
 * stream early ends its request at once.
 */
import { integerOption } from '../arguments.ts'
import { IsleError, isIsleError } from '../errors.ts'
import type { ReadOptions } from './read-core.ts'

export interface StreamOptions extends ReadOptions {
	/** The first byte. Default 0; at or beyond the end of the value: nothing follows. */
	readonly offset?: number | undefined
	/** So many bytes at the most. Default: to the end. */
	readonly bytes?: number | undefined
}

/** Bytes [start, end) of a value. */
export interface ValueRange {
	readonly start: number
	readonly end: number
}

/** Failures in a row, without a piece between them, after which the last one is told. */
const MAX_FAILURES = 5

/** @throws TypeError, RangeError. */
export function valueRange({ offset, bytes }: StreamOptions): ValueRange {
	const start = integerOption('offset', offset, 0, 0, Number.MAX_SAFE_INTEGER)
	if (bytes === undefined) return { start, end: Number.POSITIVE_INFINITY }
	return { start, end: start + integerOption('bytes', bytes, 0, 0, Number.MAX_SAFE_INTEGER - start) }
}

/** The pieces of `range`, in whatever state has the value. */
export type OpenPieces = (range: ValueRange) => Promise<AsyncIterable<Uint8Array>>

/**
 * The pieces of `range`, which has begun with `begin`. `renew` finds the same value again after its object was missing,
 * and rejects with ISLE_EXPIRED when there is no such value any more.
 */
export function lastingStream(
	begin: { readonly open: OpenPieces; readonly pieces: AsyncIterable<Uint8Array> },
	range: ValueRange,
	renew: (cause: unknown) => Promise<OpenPieces>,
): AsyncIterableIterator<Uint8Array, undefined> {
	let { open, pieces } = { open: begin.open, pieces: begin.pieces[Symbol.asyncIterator]() }
	let at = range.start
	let failures = 0
	let isOver = false

	const finish = async (): Promise<IteratorReturnResult<undefined>> => {
		if (!isOver) {
			isOver = true
			await pieces.return?.()
		}
		return { done: true, value: undefined }
	}
	const advance = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
		while (!isOver) {
			try {
				const piece = await pieces.next()
				if (isOver || piece.done === true) break
				at += piece.value.length
				failures = 0
				return { done: false, value: piece.value }
			} catch (error) {
				if (isOver) break
				await reopen(error)
			}
		}
		isOver = true
		return { done: true, value: undefined }
	}
	/** Goes on behind what was given, or throws. */
	const reopen = async (error: unknown): Promise<void> => {
		for (let cause = error; ; ) {
			const isGone = isIsleError(cause, 'ISLE_NOT_FOUND')
			if ((!isGone && !isIsleError(cause, 'ISLE_UNAVAILABLE')) || ++failures > MAX_FAILURES) {
				isOver = true
				throw cause
			}
			try {
				if (isGone) open = await renew(cause)
				const next = (await open({ start: at, end: range.end }))[Symbol.asyncIterator]()
				if (isOver) await next.return?.()
				else pieces = next
				return
			} catch (another) {
				cause = another
			}
		}
	}
	// One piece at a time, in order, as the iterator protocol allows several calls of `next` at once.
	let tail: Promise<unknown> = Promise.resolve()
	return {
		next() {
			const result = tail.then(advance, advance)
			tail = result.catch(() => undefined)
			return result
		},
		return: finish,
		[Symbol.asyncIterator]() {
			return this
		},
	}
}

export function valueIsGone(cause: unknown): IsleError {
	return new IsleError(
		'ISLE_EXPIRED',
		'the value that was being streamed is gone: it was overwritten or deleted since',
		{
			cause,
		},
	)
}
