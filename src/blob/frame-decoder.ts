/**
 * Reads values of a blob pack (layout: pack-format.ts) and hands out nothing that was not verified.
 *
 * `FrameDecoder` is the pure core: pieces of any size in, whole verified frames out. `decodeBlob` is the form for a value
 * that is in memory, `decodeBlobStream` the one for a stream of a store.
 *
 * Invariants: a frame is given out only after its CRC matched; at most one frame (256 KiB) is held back; bytes that are
 * missing or too many are ISLE_CORRUPT, never a short value.
 */
import { crc32 } from '../bytes/crc32.ts'
import { corrupt } from '../errors.ts'
import type { BlobRef } from './blob-ref.ts'
import { blobRange, FRAME_BYTES, FRAME_CRC_BYTES, framesRange, isSoundFrame } from './pack-format.ts'

/** Bytes [start, end) of a value. */
export interface BlobSlice {
	readonly start: number
	readonly end: number
}

export type FrameListener = (index: number, frame: Uint8Array) => void

export class FrameDecoder {
	readonly #onFrame: FrameListener | undefined
	readonly #ref: BlobRef
	readonly #where: string
	readonly #slice: BlobSlice
	/** Index of the next frame, and of the first one that is not wanted. */
	#index: number
	readonly #endIndex: number
	/** Bytes of a frame that came in more than one piece. */
	#partial: Uint8Array | undefined
	#partialBytes = 0
	#valueCrc = 0

	/**
	 * `slice` (default: the whole value) must lie in the value; pieces are those of `framesRange` for it. `onFrame` sees each frame as
	 * stored, once it was verified: a view.
	 */
	constructor(ref: BlobRef, where: string, slice: BlobSlice = { start: 0, end: ref.bytes }, onFrame?: FrameListener) {
		this.#onFrame = onFrame
		this.#ref = ref
		this.#where = where
		this.#slice = slice
		if (slice.end > slice.start) framesRange(ref, slice.start, slice.end)
		this.#index = Math.floor(slice.start / FRAME_BYTES)
		this.#endIndex = slice.end > slice.start ? Math.ceil(slice.end / FRAME_BYTES) : this.#index
	}

	/**
	 * Takes the next piece and returns the parts of the slice that it completes, in order: views of `piece` or of memory
	 * that is given away. @throws ISLE_CORRUPT.
	 */
	push(piece: Uint8Array): Uint8Array[] {
		const parts: Uint8Array[] = []
		for (let at = 0; at < piece.length; ) {
			if (this.#index === this.#endIndex) throw corrupt(this.#where, 'a blob with bytes behind its end')
			const wanted = this.#payloadBytes() + FRAME_CRC_BYTES
			const left = piece.length - at
			if (this.#partialBytes === 0 && left >= wanted) {
				this.#accept(piece.subarray(at, at + wanted), parts)
				at += wanted
				continue
			}
			this.#partial ??= new Uint8Array(wanted)
			const count = Math.min(left, wanted - this.#partialBytes)
			this.#partial.set(piece.subarray(at, at + count), this.#partialBytes)
			this.#partialBytes += count
			at += count
			if (this.#partialBytes === wanted) {
				const frame = this.#partial
				this.#partial = undefined
				this.#partialBytes = 0
				this.#accept(frame, parts)
			}
		}
		return parts
	}

	/** To be called when no piece follows. @throws ISLE_CORRUPT when bytes are missing, or the value is not the one referred to. */
	end(): void {
		if (this.#index !== this.#endIndex) {
			throw corrupt(this.#where, `a blob that is cut off in frame ${this.#index} of ${this.#endIndex}`)
		}
		const isWhole = this.#slice.start === 0 && this.#slice.end === this.#ref.bytes
		if (isWhole && this.#valueCrc !== this.#ref.crc)
			throw corrupt(this.#where, 'a blob that is not the one referred to')
	}

	#payloadBytes(): number {
		return Math.min(FRAME_BYTES, this.#ref.bytes - this.#index * FRAME_BYTES)
	}

	#accept(frame: Uint8Array, parts: Uint8Array[]): void {
		const payloadBytes = frame.length - FRAME_CRC_BYTES
		const payload = frame.subarray(0, payloadBytes)
		const crcBytes = frame.subarray(payloadBytes)
		if (!isSoundFrame(this.#index, frame)) {
			throw corrupt(this.#where, `frame ${this.#index} of a blob whose CRC does not match`)
		}
		this.#onFrame?.(this.#index, frame)
		this.#valueCrc = crc32(crcBytes, this.#valueCrc)
		const base = this.#index * FRAME_BYTES
		this.#index++
		const start = Math.max(0, this.#slice.start - base)
		parts.push(payload.subarray(start, Math.min(payloadBytes, this.#slice.end - base)))
	}
}

/** The value in memory of its own, from exactly the stored bytes of `blobRange(ref)`. @throws ISLE_CORRUPT. */
export function decodeBlob(ref: BlobRef, stored: Uint8Array, where: string): Uint8Array<ArrayBuffer> {
	const expected = blobRange(ref).bytes
	if (stored.length !== expected) throw corrupt(where, `a blob of ${stored.length} stored bytes instead of ${expected}`)
	const decoder = new FrameDecoder(ref, where)
	const value = new Uint8Array(ref.bytes)
	let at = 0
	for (const part of decoder.push(stored)) {
		value.set(part, at)
		at += part.length
	}
	decoder.end()
	return value
}

/**
 * Bytes of a value as verified parts, from the pieces of `framesRange` (nothing, for an empty value). Parts belong to the
 * consumer. Returning early ends `source` at once, even while one of its reads is pending. To be read once.
 */
export function decodeBlobStream(
	ref: BlobRef,
	source: AsyncIterable<Uint8Array>,
	where: string,
	slice?: BlobSlice,
	onFrame?: FrameListener,
): AsyncIterableIterator<Uint8Array> {
	const decoder = new FrameDecoder(ref, where, slice, onFrame)
	const pieces = source[Symbol.asyncIterator]()
	const ready: Uint8Array[] = []
	let isOver = false

	const finish = async (): Promise<IteratorReturnResult<undefined>> => {
		if (!isOver) {
			isOver = true
			ready.length = 0
			await pieces.return?.()
		}
		return { done: true, value: undefined }
	}
	const advance = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
		for (;;) {
			const part = ready.shift()
			if (part !== undefined) return { done: false, value: part }
			if (isOver) return { done: true, value: undefined }
			const piece = await pieces.next()
			if (isOver) return { done: true, value: undefined }
			if (piece.done === true) {
				isOver = true
				decoder.end()
				return { done: true, value: undefined }
			}
			try {
				ready.push(...decoder.push(piece.value))
			} catch (error) {
				await finish()
				throw error
			}
		}
	}
	// One read at a time, in order, as the iterator protocol allows several calls of `next` at once.
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
