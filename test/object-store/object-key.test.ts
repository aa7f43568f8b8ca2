import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
	checkKeyPrefix,
	checkObjectKey,
	compareKeys,
	isKeySegment,
	MAX_KEY_BYTES,
	MAX_SEGMENT_BYTES,
} from '../../src/object-store/object-key.ts'

describe('compareKeys', () => {
	test('orders any two strings as the bytes of their UTF-8', () => {
		const text = fc.string({
			unit: fc.constantFrom('a', '/', '-', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
		})
		fc.assert(
			fc.property(text, text, (a, b) => {
				expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
			}),
			{ numRuns: 2000 },
		)
	})

	test('and not as UTF-16 does, where the two differ', () => {
		expect(compareKeys('\u{10000}', '\ufffd')).toBeGreaterThan(0)
		expect(['\ufffd', '\u{10000}'].toSorted()).toEqual(['\u{10000}', '\ufffd'])
		expect(['\u{10000}', '\ufffd'].toSorted(compareKeys)).toEqual(['\ufffd', '\u{10000}'])
	})
})

describe('checkObjectKey', () => {
	test('names the key that it refuses, and says why', () => {
		expect(() => checkObjectKey('a/../b')).toThrow(/key=`a\/\.\.\/b`: it has a segment `\.\.`/)
		expect(() => checkObjectKey('a//b')).toThrow(/empty segment/)
		expect(() => checkObjectKey('.isledb-tmp')).toThrow(/reserved/)
	})

	test('takes a segment and a key at their limit, and refuses one byte more', () => {
		const segment = 'x'.repeat(MAX_SEGMENT_BYTES)
		const key = `${`${'y'.repeat(127)}/`.repeat(7)}${'z'.repeat(128)}`
		expect(Buffer.byteLength(key)).toBe(MAX_KEY_BYTES)
		for (const fine of [segment, key]) expect(() => checkObjectKey(fine)).not.toThrow()
		for (const long of [`${segment}x`, `a/${segment}x`, `${key}z`])
			expect(() => checkObjectKey(long)).toThrow(RangeError)
	})

	test('counts bytes of UTF-8 and not characters', () => {
		expect(() => checkObjectKey('é'.repeat(127))).not.toThrow()
		expect(() => checkObjectKey('é'.repeat(128))).toThrow(RangeError)
	})

	test('accepts exactly the keys whose every segment is one, within the limit', () => {
		const unit = fc.constantFrom('a', '.', '/', '\\', '\0', '-', ' ', 'é', '\ud800', '\u{1f600}')
		fc.assert(
			fc.property(fc.string({ unit, maxLength: 8 }), key => {
				const isFine = key !== '' && key.split('/').every(isKeySegment)
				if (isFine) expect(() => checkObjectKey(key)).not.toThrow()
				else expect(() => checkObjectKey(key)).toThrow(RangeError)
			}),
			{ numRuns: 2000 },
		)
	})

	test('refuses what is no string with TypeError', () => {
		// @ts-expect-error passes a number, as JavaScript callers may
		expect(() => checkObjectKey(5)).toThrow(TypeError)
	})
})

describe('checkKeyPrefix', () => {
	test('admits every beginning of every key', () => {
		const unit = fc.constantFrom('a', '.', '/', '-', 'é')
		fc.assert(
			fc.property(fc.string({ unit, minLength: 1, maxLength: 8 }), fc.nat(8), (key, cut) => {
				fc.pre(key.split('/').every(isKeySegment))
				expect(() => checkKeyPrefix(key.slice(0, cut))).not.toThrow()
			}),
		)
	})

	test('refuses prefixes that lead out', () => {
		for (const prefix of ['../', 'a/../', '/', 'a//', './a', 'a\\b', '.isledb-tmp/']) {
			expect(() => checkKeyPrefix(prefix), prefix).toThrow(RangeError)
		}
	})
})
