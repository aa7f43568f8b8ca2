import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BlobRef, decodeBlobRef, encodeBlobRef, PACK_ID_MAX_BYTES } from '../../src/blob/blob-ref.ts'
import { decodeBlob, decodeBlobStream } from '../../src/blob/frame-decoder.ts'
import { PackEncoder, StreamedPack } from '../../src/blob/pack-encoder.ts'
import {
	decodePackHeader,
	encodePackHeader,
	FRAME_BYTES,
	framedBytes,
	framesRange,
	PACK_HEADER_BYTES,
} from '../../src/blob/pack-format.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { codeOf, collect, cut, join, packOf, pattern, storedOf } from './pack-model.ts'

const sizes = fc.oneof(
	fc.nat(1000),
	fc.constantFrom(0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 3 * FRAME_BYTES + 17),
)

describe('BlobRef', () => {
	test('comes back as it was', () => {
		const ids = fc.stringMatching(/^[wm][0-9]{1,9}-[0-9]{1,9}$/)
		fc.assert(
			fc.property(ids, fc.nat(2 ** 52), fc.nat(2 ** 51), fc.nat(0xffffffff), (packId, offset, bytes, crc) => {
				const ref = { packId, offset, bytes, crc }
				expect(decodeBlobRef(encodeBlobRef(ref), 'here')).toEqual(ref)
			}),
		)
	})

	test('to frames that reach beyond 2^53 is corruption, and no range that a store refuses', () => {
		const max = Number.MAX_SAFE_INTEGER
		for (const [offset, bytes, code] of [
			[max, 0, 'none'],
			[max - 5, 1, 'none'],
			[max, 1, 'ISLE_CORRUPT'],
			[64, max, 'ISLE_CORRUPT'],
			[max - 200_000_000, 200_000_000, 'ISLE_CORRUPT'],
		] as const) {
			const encoded = encodeBlobRef({ packId: 'w1-1', offset, bytes, crc: 7 })
			expect(codeOf(() => decodeBlobRef(encoded, 'here'))).toBe(code)
		}
	})

	test('cut off at any length, or with a byte more, is corruption', () => {
		const encoded = encodeBlobRef({ packId: 'w3-17', offset: 70_000, bytes: 5_000_000, crc: 0xdeadbeef })
		for (let length = 0; length < encoded.length; length++) {
			expect(codeOf(() => decodeBlobRef(encoded.subarray(0, length), 'here'))).toBe('ISLE_CORRUPT')
		}
		expect(codeOf(() => decodeBlobRef(Uint8Array.from([...encoded, 0]), 'here'))).toBe('ISLE_CORRUPT')
	})
})

describe('a pack', () => {
	test('gives back each of its values', () => {
		fc.assert(
			fc.property(fc.array(sizes, { minLength: 1, maxLength: 4 }), lengths => {
				const values = lengths.map((length, i) => pattern(length, i))
				const { pack, refs } = packOf(values)
				expect(decodePackHeader(pack, 'here')).toBe('w3-17')
				refs.forEach((ref, i) => {
					expect(Buffer.compare(decodeBlob(ref, storedOf(pack, ref), 'here'), values[i] as Uint8Array)).toBe(0)
				})
				expect(pack.length).toBe(PACK_HEADER_BYTES + lengths.reduce((sum, length) => sum + framedBytes(length), 0))
			}),
			{ numRuns: 20 },
		)
	})

	test('is the same whatever pieces its values came in, and copies none of them', () => {
		const value = pattern(2 * FRAME_BYTES + 5000)
		const whole = packOf([value])
		const encoder = new PackEncoder('w3-17')
		const pieces = [encoder.header()]
		encoder.begin()
		for (let at = 0; at < value.length; at += 99_991) pieces.push(...encoder.push(value.subarray(at, at + 99_991)))
		const last = encoder.end()
		pieces.push(...last.pieces)
		expect(last.ref).toEqual(whole.refs[0])
		expect(Buffer.compare(join(pieces), whole.pack)).toBe(0)
		expect(pieces.filter(piece => piece.length > PACK_HEADER_BYTES).every(piece => piece.buffer === value.buffer)).toBe(
			true,
		)
	})

	test('is made from a stream whose length is not known', async () => {
		const value = pattern(FRAME_BYTES + 3)
		const streamed = new StreamedPack('w3-17', cut(value, [1, 70_000]))
		expect(streamed.result).toBeUndefined()
		const pack = await collect(streamed.body)
		const { ref, packBytes } = streamed.result as NonNullable<typeof streamed.result>
		expect(packBytes).toBe(pack.length)
		expect(Buffer.compare(pack, packOf([value]).pack)).toBe(0)
		expect(Buffer.compare(decodeBlob(ref, storedOf(pack, ref), 'here'), value)).toBe(0)
	})

	test('an error of the source goes through, and there is no reference', async () => {
		async function* failing(): AsyncGenerator<Uint8Array> {
			yield pattern(10)
			throw new Error('the source failed')
		}
		const streamed = new StreamedPack('w1-1', failing())
		await expect(collect(streamed.body)).rejects.toThrow('the source failed')
		expect(streamed.result).toBeUndefined()
	})

	test('any part of a value is found by arithmetic and verified', async () => {
		const value = pattern(3 * FRAME_BYTES + 100)
		const { pack, refs } = packOf([pattern(500), value])
		const ref = refs[1] as BlobRef
		const F = FRAME_BYTES
		const slices: [number, number, number][] = [
			[0, 1, 1],
			[0, F, 1],
			[0, F + 1, 2],
			[F - 1, F + 1, 2],
			[F, 2 * F, 1],
			[3 * F, 3 * F + 100, 1],
			[3 * F + 99, 3 * F + 100, 1],
			[0, value.length, 4],
		]
		for (const [start, end, frames] of slices) {
			const { offset, bytes } = framesRange(ref, start, end)
			expect(bytes).toBeLessThanOrEqual(frames * (F + 4))
			const source = cut(pack.subarray(offset, offset + bytes), [100_000, 7])
			const part = await collect(decodeBlobStream(ref, source, 'here', { start, end }))
			expect(Buffer.compare(part, value.subarray(start, end))).toBe(0)
		}
		expect(() => framesRange(ref, 5, 5)).toThrow('broken invariant')
		expect(() => framesRange(ref, 0, value.length + 1)).toThrow('broken invariant')
	})

	test('a pack id of 44 bytes is the longest', () => {
		const longest = 'w'.repeat(PACK_ID_MAX_BYTES)
		expect(decodePackHeader(encodePackHeader(longest), 'here')).toBe(longest)
		expect(() => encodePackHeader(`${longest}w`)).toThrow('broken invariant')
		expect(() => encodePackHeader('')).toThrow('broken invariant')
	})

	test('a header of version 0, whose id is no text, or has more than zeros behind it, is corrupt behind a checksum that is right', () => {
		for (const [at, value] of [
			[8, 0],
			[16, 0xff],
			[25, 1],
		] as const) {
			const header = encodePackHeader('w3-17')
			header[at] = value
			new DataView(header.buffer).setUint32(60, crc32(header.subarray(0, 60)), true)
			expect(codeOf(() => decodePackHeader(header, 'here'))).toBe('ISLE_CORRUPT')
		}
	})

	test('a value inside a value, and an end without a beginning, are refused', () => {
		const encoder = new PackEncoder('w1-1')
		expect(() => encoder.end()).toThrow('broken invariant')
		expect(() => encoder.push(pattern(1))).toThrow('broken invariant')
		encoder.begin()
		expect(() => encoder.begin()).toThrow('broken invariant')
	})
})
