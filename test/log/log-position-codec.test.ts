import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { comparePositions } from '../../src/log/log-position.ts'
import { decodePosition, encodePosition } from '../../src/log/log-position-codec.ts'

const positions = fc.record({ epoch: fc.maxSafeNat(), slot: fc.maxSafeNat() })
const nearby = fc.record({ epoch: fc.nat(20), slot: fc.nat(20) })

describe('a position as text', () => {
	test('comes back as it was written', () => {
		fc.assert(
			fc.property(positions, position => {
				expect(decodePosition(encodePosition(position))).toEqual(position)
			}),
		)
	})

	test('has the form that it always had: applications store it', () => {
		expect(encodePosition({ epoch: 0, slot: 0 })).toBe('10000000000000000000000000000')
		expect(encodePosition({ epoch: 2 ** 53 - 1, slot: 255 })).toBe('11fffffffffffff000000000000ff')
	})

	test('compares as the positions do', () => {
		const pairs = fc.oneof(fc.tuple(positions, positions), fc.tuple(nearby, nearby))
		fc.assert(
			fc.property(pairs, ([a, b]) => {
				const [textA, textB] = [encodePosition(a), encodePosition(b)]
				expect(Math.sign(comparePositions(a, b))).toBe(textA < textB ? -1 : textA > textB ? 1 : 0)
			}),
		)
	})

	const good = encodePosition({ epoch: 1, slot: 2 })
	test.each([
		'',
		'1',
		good.slice(0, -1),
		`${good}0`,
		`2${good.slice(1)}`,
		good.replace('0', 'g'),
		`1${'f'.repeat(28)}`,
		` ${good}`,
	])('refuses %j as misuse', text => {
		expect(() => decodePosition(text, 'atLeast')).toThrow(RangeError)
		expect(() => decodePosition(text, 'atLeast')).toThrow('atLeast')
	})

	test.each([undefined, null, 7, {}, Buffer.from(good)])('refuses %j, which is no string', value => {
		expect(() => decodePosition(value)).toThrow(TypeError)
	})
})
