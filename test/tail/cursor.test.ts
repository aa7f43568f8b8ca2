/** Cursors: round trip, order, and what is wrong with those that no tail gave out. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import { type Cursor, CursorMaker, decodeCursor, encodeCursor, rowCursorStem } from '../../src/tail/cursor.ts'

const position = fc.record({ epoch: fc.maxSafeNat(), slot: fc.maxSafeNat() })
const cursor: fc.Arbitrary<Cursor> = fc.oneof(
	fc.record({ kind: fc.constant('change' as const), seq: fc.maxSafeNat(), position }),
	fc.record({
		kind: fc.constant('row' as const),
		seq: fc.maxSafeNat(),
		position,
		committedAtMs: fc.maxSafeNat(),
		key: fc.uint8Array({ minLength: 1, maxLength: 20 }),
	}),
)

describe('cursors', () => {
	test('come back as they were', () => {
		fc.assert(
			fc.property(cursor, value => {
				expect(decodeCursor(encodeCursor(value))).toEqual(value)
			}),
		)
	})

	test('of changes are ordered as sequence numbers are, whatever their positions', () => {
		const change = fc.record({ kind: fc.constant('change' as const), seq: fc.maxSafeNat(), position })
		fc.assert(
			fc.property(change, change, (a, b) => {
				fc.pre(a.seq !== b.seq)
				expect(encodeCursor(a) < encodeCursor(b)).toBe(a.seq < b.seq)
			}),
		)
	})

	test('of rows are ordered as their keys are, behind what came before and before every change that follows', () => {
		const key = fc.uint8Array({ minLength: 1, maxLength: 6 })
		fc.assert(
			fc.property(fc.maxSafeNat(), position, fc.maxSafeNat(), key, key, (seq, at, committedAtMs, a, b) => {
				const row = (of: Uint8Array): string => encodeCursor({ kind: 'row', seq, position: at, committedAtMs, key: of })
				expect(Math.sign(Number(row(a) > row(b)) - Number(row(a) < row(b)))).toBe(Math.sign(compareBytes(a, b)))
				expect(row(a) < encodeCursor({ kind: 'change', seq, position: at })).toBe(true)
				fc.pre(seq > 0)
				expect(row(a) > encodeCursor({ kind: 'change', seq: seq - 1, position: at })).toBe(true)
			}),
		)
	})

	test('made in a row are those made one by one; the last of a commit points behind it', () => {
		fc.assert(
			fc.property(fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 9000 }), position, (first, count, at) => {
				fc.pre(at.slot < Number.MAX_SAFE_INTEGER)
				const last = first + count - 1
				const maker = new CursorMaker(at, last)
				for (const seq of [first, first + (count >> 1), last]) {
					const behind = seq === last ? { epoch: at.epoch, slot: at.slot + 1 } : at
					expect(maker.make(seq)).toBe(encodeCursor({ kind: 'change', seq, position: behind }))
				}
			}),
		)
	})

	test('of rows begin with a stem and end with the key in hexadecimal', () => {
		const at = { epoch: 3, slot: 17 }
		const text = encodeCursor({ kind: 'row', seq: 9, position: at, committedAtMs: 255, key: Uint8Array.of(0, 255) })
		expect(text).toBe(`${rowCursorStem(9, at, 255)}00ff`)
		expect(text).toBe('10000000000000903.11.ff.00ff')
	})

	test.each([
		['', 'an empty string'],
		['2000000000000010000', "version '2'"],
		['now!', "version 'n'"],
		['1', 'another form'],
		['100000000000009', 'another form'],
		['1000000000000091', 'another form'],
		['100000000000009100.1', 'leading zeros'],
		['10000000000000911', 'another form'],
		['1000000000000091G.1', 'another form'],
		['10000000000000911.01', 'leading zeros'],
		['1ffffffffffffff11.1', 'beyond 2^53'],
		['10000000000000911.1.1.61', 'a change with a key'],
		['10000000000000901.1', 'a row without a key'],
		['10000000000000901.1.1.6', 'another form'],
		['10000000000000901.1.1.6A', 'another form'],
	])('%j is a RangeError that says why: %s', (text, why) => {
		expect(() => decodeCursor(text)).toThrow(RangeError)
		expect(() => decodeCursor(text)).toThrow(why)
	})

	test('what is no string is a TypeError', () => {
		for (const value of [undefined, null, 7, {}]) expect(() => decodeCursor(value)).toThrow(TypeError)
	})

	test('any text is a cursor or a RangeError, and nothing is understood in two ways', () => {
		const near = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef.1F')), maxLength: 40 })
		fc.assert(
			fc.property(near, text => {
				try {
					expect(encodeCursor(decodeCursor(`1${text}`))).toBe(`1${text}`)
				} catch (error) {
					expect(error).toBeInstanceOf(RangeError)
				}
			}),
		)
	})
})
