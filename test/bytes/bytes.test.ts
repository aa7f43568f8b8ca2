import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { compareBytes, compareRanges, equalBytes } from '../../src/bytes/compare.ts'
import { copyWords } from '../../src/bytes/copy.ts'
import { crc32, tableCrc32 } from '../../src/bytes/crc32.ts'
import { hashKey, hashLane, hashLanes, hashParts, hashTail } from '../../src/bytes/hash.ts'
import { isIsleError } from '../../src/errors.ts'

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const hashOf = (bytes: Uint8Array): number => hashKey(bytes, 0, bytes.length)

function expectCorrupt(act: () => unknown): void {
	try {
		act()
	} catch (error) {
		expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
		expect(String(error)).toContain('here')
		return
	}
	throw new Error('nothing was thrown')
}

describe('compare', () => {
	test('orders as Buffer.compare does', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ maxLength: 9 }), (a, b) => {
				expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b))
				expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0)
			}),
		)
	})

	test('treats bytes as unsigned and a prefix as smaller', () => {
		expect(compareBytes(Uint8Array.of(0x7f), Uint8Array.of(0x80))).toBeLessThan(0)
		expect(compareBytes(ascii('abc'), ascii('abc\0'))).toBeLessThan(0)
		expect(compareBytes(new Uint8Array(0), new Uint8Array(0))).toBe(0)
	})

	test('compares ranges and nothing around them', () => {
		expect(compareRanges(ascii('xxabcxx'), 2, 5, ascii('abcd'), 0, 3)).toBe(0)
		expect(compareRanges(ascii('xxabcxx'), 2, 5, ascii('abcd'), 0, 4)).toBeLessThan(0)
	})
})

describe('hash', () => {
	// Vectors of MurmurHash3_x86_32 with seed 0, as published with its ports.
	test.each([
		['', 0],
		['test', 0xba6bd213],
		['Hello, world!', 0xc0363e43],
		['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
		['a', 0x3c2569b2],
		['abc', 0xb3dd93fa],
	])('of %j is the published one', (text, expected) => {
		expect(hashOf(ascii(text))).toBe(expected)
	})

	test('of a tail of two bytes, from a published seed, is the published one', () => {
		expect(hashTail(0x9747b28c, 0x6161, 2)).toBe(0x5d211726)
	})

	test('does not depend on what stands around the key', () => {
		expect(hashKey(ascii('##test##'), 2, 6)).toBe(hashOf(ascii('test')))
	})

	test('is the same when the key lies in two parts', () => {
		const bytes = ascii('0123456789abcdefghij')
		for (let prefixBytes = 0; prefixBytes <= 12; prefixBytes++) {
			for (let keyBytes = prefixBytes; keyBytes <= 20; keyBytes++) {
				// The first part stands alone, behind the second one.
				const parts = Uint8Array.from([
					9,
					...bytes.subarray(prefixBytes, keyBytes),
					9,
					...bytes.subarray(0, prefixBytes),
				])
				const prefixStart = 2 + keyBytes - prefixBytes
				const state = hashLanes(parts, prefixStart, prefixBytes)
				const end = 1 + keyBytes - prefixBytes
				expect(hashParts(parts, state, prefixStart, prefixBytes, 1, end)).toBe(hashKey(bytes, 0, keyBytes))
			}
		}
	})

	test('is the same when a string is fed lane by lane', () => {
		const text = 'user:0000042'
		let state = 0
		for (let i = 0; i < 12; i += 4) {
			const code = (j: number): number => text.charCodeAt(i + j)
			state = hashLane(state, code(0) | (code(1) << 8) | (code(2) << 16) | (code(3) << 24))
		}
		expect(hashTail(state, 0, text.length)).toBe(hashOf(ascii(text)))
	})

	test('tells keys of zero bytes apart by their length', () => {
		const hashes = new Set(Array.from({ length: 64 }, (_, length) => hashOf(new Uint8Array(length))))
		expect(hashes.size).toBe(64)
	})
})

describe('crc32', () => {
	test('has the published check value', () => {
		expect(crc32(ascii('123456789'))).toBe(0xcbf43926)
		expect(tableCrc32(ascii('123456789'))).toBe(0xcbf43926)
	})

	test('is equal in zlib and in JavaScript, whole and in pieces', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
				const whole = crc32(bytes)
				expect(tableCrc32(bytes)).toBe(whole)
				expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(whole)
				expect(tableCrc32(bytes.subarray(cut), tableCrc32(bytes.subarray(0, cut)))).toBe(whole)
			}),
		)
	})
})

describe('ByteWriter and ByteReader', () => {
	const unsigned = fc.oneof(
		fc.maxSafeNat(),
		fc.nat(300),
		fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER),
	)

	test('read back what was written', () => {
		fc.assert(
			fc.property(
				unsigned,
				fc.double(),
				fc.uint8Array({ maxLength: 700 }),
				fc.string({ unit: 'grapheme' }),
				(number, real, bytes, text) => {
					const written = new ByteWriter(1)
						.u8(number % 256)
						.u16(number % 65536)
						.u32(number % 2 ** 32)
						.u64(number)
						.f64(real)
						.varint(number)
						.bytes(bytes)
						.lengthPrefixed(bytes)
						.string(text)
						.finish()
					expect(written.buffer.byteLength).toBe(written.length)
					const reader = new ByteReader(written, 'here')
					expect(reader.u8()).toBe(number % 256)
					expect(reader.u16()).toBe(number % 65536)
					expect(reader.u32()).toBe(number % 2 ** 32)
					expect(reader.u64()).toBe(number)
					expect(reader.f64()).toBe(real)
					expect(reader.varint()).toBe(number)
					expect(reader.bytes(bytes.length)).toEqual(bytes)
					expect(reader.lengthPrefixed(bytes.length)).toEqual(bytes)
					expect(reader.string(10_000)).toBe(text)
					reader.expectEnd()
					expect(reader.remaining).toBe(0)
				},
			),
		)
	})

	test('a varint takes one byte up to 127 and eight at 2^53 − 1', () => {
		expect(new ByteWriter().varint(127).length).toBe(1)
		expect(new ByteWriter().varint(128).length).toBe(2)
		expect(new ByteWriter().varint(Number.MAX_SAFE_INTEGER).length).toBe(8)
	})

	test('a byte order mark and a zero byte in a string come back', () => {
		const written = new ByteWriter().string('\ufeffa\0b').finish()
		expect(new ByteReader(written, 'here').string(100)).toBe('\ufeffa\0b')
	})

	test('reading past the end is corruption that names the place', () => {
		const reads: ((reader: ByteReader) => unknown)[] = [
			reader => reader.u8(),
			reader => reader.u16(),
			reader => reader.u32(),
			reader => reader.u64(),
			reader => reader.f64(),
			reader => reader.varint(),
			reader => reader.bytes(1),
			reader => reader.lengthPrefixed(9),
			reader => reader.string(9),
		]
		for (const read of reads) expectCorrupt(() => read(new ByteReader(new Uint8Array(0), 'here')))
	})

	test('numbers beyond 2^53 − 1, overlong varints, lengths past a bound, bad text and left-overs are corruption', () => {
		const reader = (...bytes: number[]): ByteReader => new ByteReader(Uint8Array.from(bytes), 'here')
		expectCorrupt(() => reader(0, 0, 0, 0, 0, 0, 0x20, 0).u64())
		expect(reader(255, 255, 255, 255, 255, 255, 0x1f, 0).u64()).toBe(Number.MAX_SAFE_INTEGER)
		expect(reader(255, 255, 255, 255, 255, 255, 255, 0x0f).varint()).toBe(Number.MAX_SAFE_INTEGER)
		expectCorrupt(() => reader(255, 255, 255, 255, 255, 255, 255, 0x10).varint())
		expectCorrupt(() => reader(255, 255, 255, 255, 255, 255, 255, 255, 1).varint())
		expectCorrupt(() => reader(0x80, 0).varint())
		expect(reader(2, 1, 1).lengthPrefixed(2).length).toBe(2)
		expectCorrupt(() => reader(3, 1, 1, 1).lengthPrefixed(2))
		expectCorrupt(() => reader(1, 0xff).string(2))
		expectCorrupt(() => reader(1).expectEnd())
		expectCorrupt(() => reader(1).bytes(-1))
		expectCorrupt(() => reader(1).bytes(Number.NaN))
	})

	test('a value that does not fit its field breaks an invariant and writes nothing', () => {
		const writer = new ByteWriter()
		expect(() => writer.u8(256)).toThrow('broken invariant')
		expect(() => writer.u16(65536)).toThrow('broken invariant')
		expect(() => writer.u32(2 ** 32)).toThrow('broken invariant')
		expect(() => writer.u64(2 ** 53)).toThrow('broken invariant')
		expect(() => writer.varint(-1)).toThrow('broken invariant')
		expect(() => writer.u32(1.5)).toThrow('broken invariant')
		expect(writer.length).toBe(0)
	})
})

test('copies in words move exactly the bytes that they are told to', () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(9), fc.nat(9), (bytes, from, at) => {
			const count = Math.max(0, bytes.length - from)
			const target = new Uint8Array(80).fill(0xee)
			copyWords(new DataView(bytes.buffer), Math.min(from, bytes.length), count, new DataView(target.buffer), at)
			const expected = new Uint8Array(80).fill(0xee)
			expected.set(bytes.subarray(bytes.length - count), at)
			expect(target).toEqual(expected)
		}),
	)
})
