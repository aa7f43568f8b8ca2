import { describe, expect, test } from 'vitest'
import type { BlobRef } from '../../src/blob/blob-ref.ts'
import { decodeBlob, decodeBlobStream, FrameDecoder } from '../../src/blob/frame-decoder.ts'
import { decodePackHeader, encodePackHeader, FRAME_BYTES } from '../../src/blob/pack-format.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'
import { codeOf, collect, cut, join, packOf, pattern, storedOf } from './pack-model.ts'

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
