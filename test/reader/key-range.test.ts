import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { KeyEncoder } from '../../src/reader/key-encoder.ts'
import { keyNumber } from '../../src/reader/key-number.ts'
import { type KeyRange, parseRange, prefixEnd, type RangeOptions, successor } from '../../src/reader/key-range.ts'

const bytes = new KeyEncoder(transcoderOf('buffer', 'keyEncoding'))
const text = new KeyEncoder(transcoderOf('utf8', 'keyEncoding'))
const key = fc.uint8Array({ maxLength: 5 })

const lies = (range: KeyRange, at: Uint8Array): boolean =>
	!range.isEmpty &&
	(range.lower === undefined || compareBytes(at, range.lower) >= 0) &&
	(range.upper === undefined || compareBytes(at, range.upper) < 0)

describe('a range', () => {
	test('holds exactly the keys that its bounds say, at 0x00 and 0xFF too', () => {
		const bound = fc.option(key, { nil: undefined })
		const options = fc.record({ gt: bound, gte: bound, lt: bound, lte: bound, prefix: bound })
		fc.assert(
			fc.property(options, fc.uint8Array({ minLength: 1, maxLength: 6 }), (range: RangeOptions<Uint8Array>, at) => {
				const { gt, gte, lt, lte, prefix } = range
				const wanted =
					(gt === undefined || compareBytes(at, gt) > 0) &&
					(gte === undefined || compareBytes(at, gte) >= 0) &&
					(lt === undefined || compareBytes(at, lt) < 0) &&
					(lte === undefined || compareBytes(at, lte) <= 0) &&
					(prefix === undefined || Buffer.from(at).subarray(0, prefix.length).equals(prefix))
				expect(lies(parseRange(range, bytes), at)).toBe(wanted)
			}),
			{ numRuns: 2000 },
		)
	})

	test('after "abc" begins with "abc" and a zero byte, so that "abc1" is not skipped', () => {
		const range = parseRange({ gt: 'abc' }, text)
		expect(range.lower).toEqual(new TextEncoder().encode('abc\0'))
		expect(lies(range, Buffer.from('abc'))).toBe(false)
		expect(lies(range, Buffer.from('abc1'))).toBe(true)
	})

	test('of a prefix of 0xFF bytes has no end, and one that ends in 0xFF has a shorter one', () => {
		expect(prefixEnd(Uint8Array.of(0xff, 0xff))).toBeUndefined()
		expect(prefixEnd(Uint8Array.of(1, 0xff, 0xff))).toEqual(Uint8Array.of(2))
		expect(prefixEnd(new Uint8Array(0))).toBeUndefined()
		expect(parseRange({ prefix: Uint8Array.of(0xff) }, bytes).upper).toBeUndefined()
	})

	test('with contradictory bounds or a limit of 0 is empty', () => {
		expect(parseRange({ gte: 'b', lt: 'a' }, text).isEmpty).toBe(true)
		expect(parseRange({ gt: 'a', lte: 'a' }, text).isEmpty).toBe(true)
		expect(parseRange({ gte: 'a', lte: 'a' }, text).isEmpty).toBe(false)
		expect(parseRange({ lt: '' }, text).isEmpty).toBe(true)
		expect(parseRange({ prefix: 'a', lt: 'a' }, text).isEmpty).toBe(true)
		expect(parseRange({ limit: 0 }, text).isEmpty).toBe(true)
		expect(parseRange({}, text)).toMatchObject({ isEmpty: false, limit: Number.POSITIVE_INFINITY, reverse: false })
	})

	test('of wrong types is a TypeError, of a wrong limit a RangeError', () => {
		for (const range of [{ gt: 1 }, { lte: null }, { prefix: {} }, { reverse: 'yes' }, { limit: '1' }, null, 'a']) {
			expect(() => parseRange(range as RangeOptions<string>, text)).toThrow(TypeError)
		}
		for (const limit of [-1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
			expect(() => parseRange({ limit }, text)).toThrow(RangeError)
		}
	})

	test('keeps nothing of the bytes that it was given', () => {
		const bound = Uint8Array.of(1, 2)
		const range = parseRange({ gte: bound }, bytes)
		bound.fill(9)
		expect(range.lower).toEqual(Uint8Array.of(1, 2))
	})

	test('knows the successor of a key: nothing lies between', () => {
		fc.assert(
			fc.property(key, key, (a, b) => {
				expect(compareBytes(b, a) > 0).toBe(compareBytes(b, successor(a)) >= 0)
			}),
		)
	})
})

describe('a key encoder', () => {
	test('makes the bytes of any text, whatever it encoded before', () => {
		fc.assert(
			fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 400 }), { maxLength: 10 }), texts => {
				for (const one of texts) expect(Buffer.from(text.encode(one))).toEqual(Buffer.from(one))
			}),
		)
	})
})

describe('numbers of keys', () => {
	test('order as the keys do', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ maxLength: 9 }), (a, b) => {
				const order = compareBytes(a, b)
				if (order < 0) expect(keyNumber(a, 0)).toBeLessThanOrEqual(keyNumber(b, 0))
				if (order > 0) expect(keyNumber(a, 0)).toBeGreaterThanOrEqual(keyNumber(b, 0))
			}),
		)
		expect(keyNumber(Uint8Array.of(9, 1, 2), 1)).toBe(1 * 256 ** 5 + 2 * 256 ** 4)
	})
})
