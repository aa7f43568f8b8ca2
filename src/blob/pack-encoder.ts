/**
 * Writes a blob pack (layout: pack-format.ts) as a list of pieces: views of the caller's bytes, and CRCs between them.
 *
 * Steps: `header`, then per value either `value(bytes)`, or `begin`, any number of `push(piece)`, and `end`. Each call
 * returns the pieces to be written next, in order. Views are the caller's memory: it must not change before it is written.
 *
 * `StreamedPack` is a pack of one value whose length is not known before its end.
 */
import { crc32 } from '../bytes/crc32.ts'
import { invariant } from '../errors.ts'
import type { BlobRef } from './blob-ref.ts'
import { encodePackHeader, FRAME_BYTES, frameSeed, PACK_HEADER_BYTES, u32Bytes } from './pack-format.ts'

export interface EncodedValue {
	readonly ref: BlobRef
	/** Written in this order, behind everything that the encoder gave before. */
	readonly pieces: readonly Uint8Array[]
}

export class PackEncoder {
	readonly packId: string
	#bytes = PACK_HEADER_BYTES
	#isOpen = false
	#valueOffset = 0
	#valueBytes = 0
	#valueCrc = 0
	#frameCrc = 0

	constructor(packId: string) {
		this.packId = packId
	}

	/** Size of the pack so far, the header included. */
	get bytes(): number {
		return this.#bytes
	}

	/** The first piece of the pack. */
	header(): Uint8Array {
		return encodePackHeader(this.packId)
	}

	/** A whole value. */
	value(bytes: Uint8Array): EncodedValue {
		this.begin()
		const pieces = this.push(bytes)
		const last = this.end()
		return { ref: last.ref, pieces: [...pieces, ...last.pieces] }
	}

	begin(): void {
		invariant(!this.#isOpen, 'a value inside a value of a blob pack')
		this.#isOpen = true
		this.#valueOffset = this.#bytes
		this.#valueBytes = 0
		this.#valueCrc = 0
	}

	/** Further bytes of the value, in pieces of any size. */
	push(piece: Uint8Array): Uint8Array[] {
		invariant(this.#isOpen, 'bytes outside a value of a blob pack')
		const pieces: Uint8Array[] = []
		for (let at = 0; at < piece.length; ) {
			const inFrame = this.#valueBytes % FRAME_BYTES
			if (inFrame === 0) this.#frameCrc = frameSeed(this.#valueBytes / FRAME_BYTES)
			const part = piece.subarray(at, at + FRAME_BYTES - inFrame)
			this.#frameCrc = crc32(part, this.#frameCrc)
			this.#valueBytes += part.length
			this.#bytes += part.length
			at += part.length
			pieces.push(part)
			if (this.#valueBytes % FRAME_BYTES === 0) pieces.push(this.#endFrame())
		}
		return pieces
	}

	end(): EncodedValue {
		invariant(this.#isOpen, 'the end of no value of a blob pack')
		const pieces = this.#valueBytes % FRAME_BYTES === 0 ? [] : [this.#endFrame()]
		this.#isOpen = false
		const ref = { packId: this.packId, offset: this.#valueOffset, bytes: this.#valueBytes, crc: this.#valueCrc }
		return { ref, pieces }
	}

	#endFrame(): Uint8Array {
		const crc = u32Bytes(this.#frameCrc)
		this.#valueCrc = crc32(crc, this.#valueCrc)
		this.#bytes += crc.length
		return crc
	}
}

/** A pack that holds one value, made while `source` is read; nothing is held back but what the reader has not taken. */
export class StreamedPack {
	/** The whole pack, fit for `ObjectStore.createFromStream`; to be read once. Errors of the source go through. */
	readonly body: AsyncIterable<Uint8Array>
	readonly #encoder: PackEncoder
	#ref: BlobRef | undefined

	constructor(packId: string, source: AsyncIterable<Uint8Array>) {
		this.#encoder = new PackEncoder(packId)
		this.body = this.#encode(source)
	}

	/** Known once `body` was read to its end; `undefined` before. */
	get result(): { readonly ref: BlobRef; readonly packBytes: number } | undefined {
		return this.#ref && { ref: this.#ref, packBytes: this.#encoder.bytes }
	}

	async *#encode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
		yield this.#encoder.header()
		this.#encoder.begin()
		for await (const piece of source) yield* this.#encoder.push(piece)
		const last = this.#encoder.end()
		yield* last.pieces
		this.#ref = last.ref
	}
}
