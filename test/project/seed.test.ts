import { property, sample, string } from 'fast-check'
import { expect, test } from 'vitest'
import { parseTestSeed, testSeed } from '../support/seed.ts'

test('a seed is an integer below 2^31, and anything else is refused by name', () => {
	expect(parseTestSeed('0')).toBe(0)
	expect(parseTestSeed('2147483647')).toBe(2_147_483_647)
	for (const text of ['2147483648', '-1', '1.5', '', ' 1', '0x10', '1e3', undefined]) {
		expect(() => parseTestSeed(text)).toThrow('`TEST_SEED` to be an integer from 0 to 2147483647')
	}
})

test('properties take their inputs from it', () => {
	const any = property(string({ minLength: 20 }), () => true)
	expect(sample(any, 5)).toEqual(sample(any, { seed: testSeed(), numRuns: 5 }))
	expect(sample(any, 5)).not.toEqual(sample(any, { seed: testSeed() + 1, numRuns: 5 }))
})
