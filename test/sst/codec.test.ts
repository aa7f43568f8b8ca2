import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { CODEC_NAMES, type Codec, codecById, codecByName } from '../../src/sst/codec.ts'
import { deflateCodec, fflateDeflateCodec } from '../../src/sst/codec-deflate.ts'
import { lz4Codec, lz4KernelCodec, lz4NativeCodec } from '../../src/sst/codec-lz4.ts'
import { zstdCodec } from '../../src/sst/codec-zstd.ts'
import { lz4Compress, lz4Decompress, lz4MaxBytes } from '../../src/sst/lz4-kernel.ts'

/** Noise, long runs, repeats at short and long distances: what exercises matches, literals and length bytes. */
const raws = fc
	.array(
		fc.oneof(
			fc.uint8Array({ maxLength: 400 }),
			fc.tuple(fc.nat(255), fc.nat(2000)).map(([byte, count]) => new Uint8Array(count).fill(byte)),
			fc
				.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(300))
				.map(([unit, count]) =>
					Uint8Array.from({ length: unit.length * count }, (_, i) => unit[i % unit.length] as number),
				),
			fc.nat(3000).map(count => Uint8Array.from({ length: count }, (_, i) => (i * i * 2654435761) >>> 24)),
		),
		{ maxLength: 8 },
	)
	.map(parts => new Uint8Array(Buffer.concat(parts)))

function sizedOf(payload: Uint8Array, rawBytes: number): Uint8Array {
	const sized = new Uint8Array(4 + payload.length)
	new DataView(sized.buffer).setUint32(0, rawBytes, true)
	sized.set(payload, 4)
	return sized
}

function roundTrip(writer: Codec, reader: Codec, raw: Uint8Array): void {
	const payload = writer.compress(raw).slice()
	const back = new Uint8Array(raw.length).fill(0xee)
	reader.decompress(sizedOf(payload, raw.length), back)
	expect(Buffer.compare(back, raw)).toBe(0)
}

const pairs: [string, Codec, Codec][] = [
	['lz4', lz4Codec, lz4Codec],
	['lz4 kernel', lz4KernelCodec, lz4KernelCodec],
	['deflate', deflateCodec, deflateCodec],
	['fflate', fflateDeflateCodec, fflateDeflateCodec],
	['deflate made by zlib, read by fflate', deflateCodec, fflateDeflateCodec],
	['deflate made by fflate, read by zlib', fflateDeflateCodec, deflateCodec],
	['zstd', zstdCodec, zstdCodec],
]
if (lz4NativeCodec !== undefined) {
	pairs.push(['lz4 made by the addon, read by the kernel', lz4NativeCodec, lz4KernelCodec])
	pairs.push(['lz4 made by the kernel, read by the addon', lz4KernelCodec, lz4NativeCodec])
}

describe.each(pairs)('%s', (_, writer, reader) => {
	test('gives back what went in', () => {
		fc.assert(
			fc.property(raws, raw => roundTrip(writer, reader, raw)),
			{ numRuns: 150 },
		)
	})

	test('gives back sizes around the thresholds', () => {
		for (const size of [0, 1, 4, 5, 11, 12, 13, 16, 1023, 1024, 4095, 4096, 65_535, 65_536, 300_000]) {
			roundTrip(
				writer,
				reader,
				Uint8Array.from({ length: size }, (_, i) => (i >> 3) & 0x3f),
			)
		}
	})

	test('refuses a payload that is cut off or changed, or gives bytes of the right size, and never more', () => {
		const raw = new TextEncoder().encode('{"id":1,"name":"user 1"},'.repeat(90))
		const payload = writer.compress(raw).slice()
		const attempt = (bytes: Uint8Array, rawBytes: number): boolean => {
			try {
				const back = new Uint8Array(rawBytes)
				reader.decompress(sizedOf(bytes, rawBytes), back)
				return Buffer.compare(back, raw) === 0
			} catch (error) {
				expect(error).toBeInstanceOf(Error)
				return false
			}
		}
		expect(attempt(payload, raw.length)).toBe(true)
		for (let length = 0; length < payload.length; length++) {
			expect(attempt(payload.subarray(0, length), raw.length)).toBe(false)
		}
		for (let bit = 0; bit < payload.length * 8; bit++) {
			const damaged = payload.slice()
			damaged[bit >>> 3] = (damaged[bit >>> 3] as number) ^ (1 << (bit & 7))
			attempt(damaged, raw.length)
		}
		for (const rawBytes of [0, 1, raw.length - 1, raw.length + 1, raw.length * 3]) {
			expect(attempt(payload, rawBytes)).toBe(false)
		}
	})

	test('does not blow a small payload up beyond the declared size', () => {
		const bomb = writer.compress(new Uint8Array(3_000_000)).slice()
		const back = new Uint8Array(5000)
		expect(() => reader.decompress(sizedOf(bomb, back.length), back)).toThrow()
	})
})

describe('the LZ4 kernel', () => {
	test('stays inside its bound for bytes that do not compress', () => {
		for (const size of [0, 1, 254, 255, 256, 10_000]) {
			const noise = Uint8Array.from({ length: size }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 23)
			const target = new Uint8Array(lz4MaxBytes(size) + 8).fill(0xab)
			const bytes = lz4Compress(noise, 0, size, target, 4)
			expect(bytes).toBeLessThanOrEqual(lz4MaxBytes(size))
			expect([...target.subarray(0, 4), ...target.subarray(4 + lz4MaxBytes(size))]).toEqual(Array(8).fill(0xab))
		}
	})

	test('compresses a range and nothing before it', () => {
		const source = new TextEncoder().encode('abcdefgh'.repeat(50))
		const target = new Uint8Array(1000)
		const bytes = lz4Compress(source, 100, 300, target, 0)
		const back = new Uint8Array(200)
		expect(lz4Decompress(target.subarray(0, bytes), back)).toBe(true)
		expect(back).toEqual(source.subarray(100, 300))
	})

	test('reads vectors written by hand from the specification', () => {
		const read = (payload: number[], size: number): string | undefined => {
			const raw = new Uint8Array(size)
			return lz4Decompress(Uint8Array.from(payload), raw) ? new TextDecoder().decode(raw) : undefined
		}
		// Literals "ab", match of 4 + 2 at distance 2, literals "xyzuv".
		const block = [0x22, 0x61, 0x62, 2, 0, 0x50, 0x78, 0x79, 0x7a, 0x75, 0x76]
		expect(read(block, 13)).toBe('abababab' + 'xyzuv')
		expect(read(block, 12)).toBeUndefined()
		expect(read(block, 14)).toBeUndefined()
		expect(read([0], 0)).toBe('')
		expect(read([], 0)).toBeUndefined()
		// Distance 0; a distance before the beginning; lengths that never end; a match as the last sequence.
		expect(read([0x22, 0x61, 0x62, 0, 0, 0x50, 0x78, 0x79, 0x7a, 0x75, 0x76], 13)).toBeUndefined()
		expect(read([0x22, 0x61, 0x62, 3, 0, 0x50, 0x78, 0x79, 0x7a, 0x75, 0x76], 13)).toBeUndefined()
		expect(read([0xf0, 255, 255, 255], 1000)).toBeUndefined()
		expect(read([0x2f, 0x61, 0x62, 2, 0, 255, 255], 1000)).toBeUndefined()
		expect(read([0x22, 0x61, 0x62, 2, 0], 8)).toBeUndefined()
		expect(read([0x22, 0x61, 0x62, 2], 8)).toBeUndefined()
	})

	test('never leaves its target on random bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(100), (payload, size) => {
				const memory = new Uint8Array(size + 32).fill(0xcd)
				lz4Decompress(payload, memory.subarray(16, 16 + size))
				expect([...memory.subarray(0, 16), ...memory.subarray(16 + size)]).toEqual(Array(32).fill(0xcd))
			}),
			{ numRuns: 2000 },
		)
	})
})

describe('the addon', () => {
	test('is in use wherever it can be loaded', () => {
		const canLoad = ((): boolean => {
			try {
				const require = createRequire(import.meta.url)
				require('lz4-napi')
				return true
			} catch {
				return false
			}
		})()
		expect(lz4NativeCodec !== undefined).toBe(canLoad)
		const raw = new TextEncoder().encode(Array.from({ length: 2_000 }, (_, i) => `${i * i}`).join())
		const [used, expected] = [lz4Codec, lz4NativeCodec ?? lz4KernelCodec].map(codec => codec.compress(raw).slice())
		expect(used).toEqual(expected)
	})
})

test('LZ4 works in several worker threads at once, with the addon when this thread has it', async () => {
	const url = new URL('./lz4-thread.ts', import.meta.url)
	const threads = await Promise.all(
		[1, 2, 3].map(
			seed =>
				new Promise<unknown>((resolve, reject) => {
					const thread = new Worker(url, { workerData: seed, execArgv: [] })
					thread.once('message', resolve)
					thread.once('error', reject)
				}),
		),
	)
	const expected = { isNative: lz4NativeCodec !== undefined, isEqual: true }
	expect(threads).toEqual([expected, expected, expected])
})

describe('the registry', () => {
	test('finds each codec by name and by number', () => {
		expect(CODEC_NAMES.map(name => codecByName(name)?.name ?? 'none')).toEqual(['none', 'deflate', 'lz4', 'zstd'])
		expect([0, 1, 2, 3].map(id => codecById(id, 'here')?.name ?? 'none')).toEqual(['none', 'deflate', 'lz4', 'zstd'])
	})

	test.each([
		() => codecByName('brotli'),
		() => codecByName('toString'),
		() => codecByName(''),
		() => codecById(4, 'here'),
		() => codecById(255, 'here'),
	])('says unsupported for what it does not know', act => {
		let caught: unknown
		try {
			act()
		} catch (error) {
			caught = error
		}
		expect(isIsleError(caught, 'ISLE_UNSUPPORTED')).toBe(true)
	})
})
