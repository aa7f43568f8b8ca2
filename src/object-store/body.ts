/** Bodies: bytes handed to a store, as one array or as pieces. */
import { corrupt, type IsleError } from '../errors.ts'
import type { Body, ByteRange, RangeRequestOptions } from './object-store.ts'

/** The pieces of a body; throws `TypeError` for anything else. */
export function bodyPieces(body: Body): readonly Uint8Array[] {
	if (body instanceof Uint8Array) return [body]
	if (!Array.isArray(body)) throw new TypeError('Expected `body` to be a Uint8Array or an array of them')
	const pieces: readonly unknown[] = body
	for (const piece of pieces) checkPiece(piece)
	return body
}

/** Throws `TypeError` unless `piece` is bytes. */
export function checkPiece(piece: unknown): asserts piece is Uint8Array {
	if (!(piece instanceof Uint8Array)) {
		throw new TypeError(`Expected a piece of \`body\` to be a Uint8Array, got ${typeof piece}`)
	}
}

/** Bytes of a body in all. */
export function bodyBytes(body: Body): number {
	let bytes = 0
	for (const piece of bodyPieces(body)) bytes += piece.byteLength
	return bytes
}

/** A copy of the whole body in one array that owns its buffer. */
export function joinBody(body: Body): Uint8Array {
	const pieces = bodyPieces(body)
	let bytes = 0
	for (const piece of pieces) bytes += piece.byteLength
	const joined = uninitialised(bytes)
	let at = 0
	for (const piece of pieces) {
		joined.set(piece, at)
		at += piece.byteLength
	}
	return joined
}

/**
 * An array whose bytes are about to be overwritten. It owns its whole buffer, so that whoever gets it may transfer it,
 * and from 64 KiB up it is not cleared first: clearing 16 MiB costs what reading it from the page cache does.
 */
export function uninitialised(bytes: number): Uint8Array<ArrayBuffer> {
	if (bytes < 65_536) return new Uint8Array(bytes)
	return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
}

/** Where the bytes of a range go to: memory of the caller, or new. */
export function rangeTarget({ bytes }: ByteRange, options: RangeRequestOptions | undefined): Uint8Array<ArrayBuffer> {
	const into = options?.into
	if (into === undefined) return uninitialised(bytes)
	if (into.byteLength === bytes) return into
	throw new RangeError(`Expected \`into\` to be as long as the range, ${bytes}, got ${into.byteLength}`)
}

/** Throws `RangeError` unless `range` is one of the contract: a whole offset from 0, at least one byte. */
export function checkRange(range: ByteRange): void {
	const { offset, bytes } = range
	if (!Number.isSafeInteger(offset) || offset < 0) {
		throw new RangeError(`Expected \`range.offset\` to be a whole number from 0, got ${offset}`)
	}
	if (!Number.isSafeInteger(bytes) || bytes < 1 || !Number.isSafeInteger(offset + bytes)) {
		throw new RangeError(`Expected \`range.bytes\` to be a whole number from 1, got ${bytes}`)
	}
}

/** A range that reaches past the end of its object. */
export function shortObject(key: string, range: ByteRange, objectBytes: number): IsleError {
	return corrupt(
		key,
		`range offset=\`${range.offset}\` bytes=\`${range.bytes}\` reaches past the end at \`${objectBytes}\``,
	)
}
