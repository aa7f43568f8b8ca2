import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BlobRef, decodeBlobRef, encodeBlobRef, PACK_ID_MAX_BYTES } from '../../src/blob/blob-ref.ts'
import { decodeBlob, decodeBlobStream, FrameDecoder } from '../../src/blob/frame-decoder.ts'
import { PackEncoder, packFromStream } from '../../src/blob/pack-encoder.ts'
import {
	blobRange,
	decodePackHeader,
	encodePackHeader,
	FRAME_BYTES,
	framedBytes,
	framesRange,
	PACK_HEADER_BYTES,
} from '../../src/blob/pack-format.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'

function pattern(bytes: number, seed = 1): Uint8Array {
	return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >>> 8) * seed) & 0xff)
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
	return new Uint8Array(Buffer.concat(pieces))
}

function codeOf(act: () => unknown): string {
	try {
		act()
	} catch (error) {
		if (isIsleError(error)) return error.code
		throw error
	}
	return 'none'
}

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
	for (let at = 0, i = 0; at < bytes.length; i++) {
		const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] ?? 1)
		yield bytes.subarray(at, at + size)
		at += size
	}
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
	const parts: Uint8Array[] = []
	for await (const part of source) parts.push(part)
	return join(parts)
}

/** A pack of those values, and their references. */
function packOf(values: readonly Uint8Array[]): { pack: Uint8Array; refs: BlobRef[] } {
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

const storedOf = (pack: Uint8Array, ref: BlobRef): Uint8Array => {
	const { offset, bytes } = blobRange(ref)
	return pack.subarray(offset, offset + bytes)
}

const sizes = fc.oneof(
	fc.nat(1000),
	fc.constantFrom(0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 3 * FRAME_BYTES + 17),
)

describe('BlobRef', () => {
	test('comes back as it was', () => {
		const ids = fc.stringMatching(/^[wm][0-9]{1,9}-[0-9]{1,9}$/)
		fc.assert(
			fc.property(ids, fc.maxSafeNat(), fc.maxSafeNat(), fc.nat(0xffffffff), (packId, offset, bytes, crc) => {
				const ref = { packId, offset, bytes, crc }
				expect(decodeBlobRef(encodeBlobRef(ref), 'here')).toEqual(ref)
			}),
		)
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
		const streamed = packFromStream('w3-17', cut(value, [1, 70_000]))
		expect(() => streamed.result()).toThrow('broken invariant')
		const pack = await collect(streamed.body)
		const { ref, packBytes } = streamed.result()
		expect(packBytes).toBe(pack.length)
		expect(Buffer.compare(pack, packOf([value]).pack)).toBe(0)
		expect(Buffer.compare(decodeBlob(ref, storedOf(pack, ref), 'here'), value)).toBe(0)
	})

	test('an error of the source goes through, and there is no reference', async () => {
		async function* failing(): AsyncGenerator<Uint8Array> {
			yield pattern(10)
			throw new Error('the source failed')
		}
		const streamed = packFromStream('w1-1', failing())
		await expect(collect(streamed.body)).rejects.toThrow('the source failed')
		expect(() => streamed.result()).toThrow('broken invariant')
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

	test('a value inside a value, and an end without a beginning, are refused', () => {
		const encoder = new PackEncoder('w1-1')
		expect(() => encoder.end()).toThrow('broken invariant')
		expect(() => encoder.push(pattern(1))).toThrow('broken invariant')
		encoder.begin()
		expect(() => encoder.begin()).toThrow('broken invariant')
	})
})

describe('damage', () => {
	test('every bit of a header counts, and a newer version says so', () => {
		const header = encodePackHeader('w3-17')
		for (let bit = 0; bit < header.length * 8; bit++) {
			const damaged = header.slice()
			damaged[bit >>> 3] = (damaged[bit >>> 3] as number) ^ (1 << (bit & 7))
			expect(codeOf(() => decodePackHeader(damaged, 'here'))).toBe('ISLE_CORRUPT')
		}
		const newer = header.slice()
		newer[8] = 2
		new DataView(newer.buffer).setUint32(60, crc32(newer.subarray(0, 60)), true)
		expect(codeOf(() => decodePackHeader(newer, 'here'))).toBe('ISLE_UNSUPPORTED')
		for (let length = 0; length < header.length; length++) {
			expect(codeOf(() => decodePackHeader(header.subarray(0, length), 'here'))).toBe('ISLE_CORRUPT')
		}
	})

	test('every bit of a value counts', () => {
		const { pack, refs } = packOf([pattern(300)])
		const ref = refs[0] as BlobRef
		const stored = storedOf(pack, ref)
		for (let bit = 0; bit < stored.length * 8; bit++) {
			const damaged = stored.slice()
			damaged[bit >>> 3] = (damaged[bit >>> 3] as number) ^ (1 << (bit & 7))
			expect(codeOf(() => decodeBlob(ref, damaged, 'here'))).toBe('ISLE_CORRUPT')
		}
	})

	test('a value that is cut off, too long, swapped with another or has its frames swapped is never given out', async () => {
		const a = pattern(2 * FRAME_BYTES, 1)
		const b = pattern(2 * FRAME_BYTES, 2)
		const { pack, refs } = packOf([a, b])
		const [refA, refB] = refs as [BlobRef, BlobRef]
		const stored = storedOf(pack, refA)
		const frame = FRAME_BYTES + 4
		const wrong: Uint8Array[] = [
			new Uint8Array(0),
			stored.subarray(0, 10),
			stored.subarray(0, frame),
			stored.subarray(0, stored.length - 1),
			join([stored, pattern(1)]),
			storedOf(pack, refB),
			join([stored.subarray(frame), stored.subarray(0, frame)]),
		]
		for (const bytes of wrong) {
			expect(codeOf(() => decodeBlob(refA, bytes, 'here'))).toBe('ISLE_CORRUPT')
			const error = await collect(decodeBlobStream(refA, cut(bytes, [50_000]), 'here')).catch((cause: unknown) => cause)
			expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
		}
	})

	test('hostile lengths in a reference are refused before anything is allocated', () => {
		const ref = { packId: 'w1-1', offset: 64, bytes: Number.MAX_SAFE_INTEGER, crc: 0 }
		expect(codeOf(() => decodeBlob(ref, pattern(100), 'here'))).toBe('ISLE_CORRUPT')
		const decoder = new FrameDecoder(ref, 'here')
		expect(decoder.push(pattern(100))).toEqual([])
		expect(codeOf(() => decoder.end())).toBe('ISLE_CORRUPT')
	})
})

describe('decodeBlobStream', () => {
	test('gives an empty value as no part at all', async () => {
		const { refs } = packOf([new Uint8Array(0)])
		expect(await collect(decodeBlobStream(refs[0] as BlobRef, cut(new Uint8Array(0), []), 'here'))).toHaveLength(0)
	})

	test('gives the parts before a damaged frame and then the error, and ends its source', async () => {
		const { pack, refs } = packOf([pattern(3 * FRAME_BYTES)])
		const ref = refs[0] as BlobRef
		const stored = storedOf(pack, ref).slice()
		stored[FRAME_BYTES + 100] = (stored[FRAME_BYTES + 100] as number) ^ 1
		let isEnded = false
		async function* source(): AsyncGenerator<Uint8Array> {
			try {
				yield* cut(stored, [FRAME_BYTES + 4])
			} finally {
				isEnded = true
			}
		}
		const parts = decodeBlobStream(ref, source(), 'here')
		expect((await parts.next()).value).toHaveLength(FRAME_BYTES)
		const error = await parts.next().catch((cause: unknown) => cause)
		expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
		expect(isEnded).toBe(true)
		expect(await parts.next()).toEqual({ done: true, value: undefined })
	})

	test('returning while a read is pending ends the source at once', async () => {
		const { refs } = packOf([pattern(10)])
		let isReturned = false
		let answer: (result: IteratorResult<Uint8Array>) => void = () => undefined
		const source: AsyncIterable<Uint8Array> = {
			[Symbol.asyncIterator]: () => ({
				next: () => new Promise<IteratorResult<Uint8Array>>(resolve => (answer = resolve)),
				return: async () => {
					isReturned = true
					answer({ done: true, value: undefined })
					return { done: true, value: undefined }
				},
			}),
		}
		const parts = decodeBlobStream(refs[0] as BlobRef, source, 'here')
		const pending = parts.next()
		await Promise.resolve()
		await parts.return?.()
		expect(isReturned).toBe(true)
		expect(await pending).toEqual({ done: true, value: undefined })
	})

	test('several reads at once are answered in order', async () => {
		const value = pattern(2 * FRAME_BYTES + 9)
		const { pack, refs } = packOf([value])
		const ref = refs[0] as BlobRef
		const parts = decodeBlobStream(ref, cut(storedOf(pack, ref), [1000]), 'here')
		const results = await Promise.all([parts.next(), parts.next(), parts.next(), parts.next()])
		expect(results.map(result => (result.done === true ? 'end' : result.value.length))).toEqual([
			FRAME_BYTES,
			FRAME_BYTES,
			9,
			'end',
		])
	})
})
