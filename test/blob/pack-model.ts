/** Makes packs of plain values, cuts and joins bytes: what the tests of packs share. */
import { expect } from 'vitest'
import type { BlobRef } from '../../src/blob/blob-ref.ts'
import { PackEncoder } from '../../src/blob/pack-encoder.ts'
import { blobRange } from '../../src/blob/pack-format.ts'
import { isIsleError } from '../../src/errors.ts'

export function pattern(bytes: number, seed = 1): Uint8Array {
	return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >>> 8) * seed) & 0xff)
}

export function join(pieces: readonly Uint8Array[]): Uint8Array {
	return new Uint8Array(Buffer.concat(pieces))
}

export function codeOf(act: () => unknown): string {
	try {
		act()
	} catch (error) {
		if (isIsleError(error)) return error.code
		throw error
	}
	return 'none'
}

export async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
	for (let at = 0, i = 0; at < bytes.length; i++) {
		const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] ?? 1)
		yield bytes.subarray(at, at + size)
		at += size
	}
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
	const parts: Uint8Array[] = []
	for await (const part of source) parts.push(part)
	return join(parts)
}

/** A pack of those values, and their references. */
export function packOf(values: readonly Uint8Array[]): { pack: Uint8Array; refs: BlobRef[] } {
	const encoder = new PackEncoder('w3-17')
	const pieces = [encoder.header()]
	const refs = values.map(value => {
		const encoded = encoder.value(value)
		pieces.push(...encoded.pieces)
		return encoded.ref
	})
	const pack = join(pieces)
	expect(encoder.bytes).toBe(pack.length)
	return { pack, refs }
}

export const storedOf = (pack: Uint8Array, ref: BlobRef): Uint8Array => {
	const { offset, bytes } = blobRange(ref)
	return pack.subarray(offset, offset + bytes)
}
