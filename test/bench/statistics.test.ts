import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { median, medians, percentile } from '../../bench/statistics.ts'

describe('the median', () => {
	test('is the middle sample, or the mean of the middle two, by number and not by text', () => {
		expect(median([7])).toBe(7)
		expect(median([10, 9, 100])).toBe(10)
		expect(median([4, 1, 3, 2])).toBe(2.5)
	})

	test('leaves the samples as they were', () => {
		const samples = [3, 1, 2]
		median(samples)
		expect(samples).toEqual([3, 1, 2])
	})

	test('of no samples is refused', () => {
		expect(() => median([])).toThrow(RangeError)
	})

	test('of runs is taken for each name by itself', () => {
		expect(medians([{ a: 1, b: 5 }, { a: 3 }, { a: 2, b: 7 }])).toEqual({ a: 2, b: 6 })
	})
})

describe('a percentile', () => {
	test('is the nearest rank', () => {
		const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
		expect(percentile(hundred, 50)).toBe(50)
		expect(percentile(hundred, 99)).toBe(99)
		expect(percentile(hundred, 99.1)).toBe(100)
		expect(percentile(hundred, 100)).toBe(100)
		expect(percentile(Float64Array.of(5), 1)).toBe(5)
	})

	test('is a sample that at least so many do not exceed, and no smaller one is', () => {
		const samples = fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 50 })
		fc.assert(
			fc.property(samples, fc.integer({ min: 1, max: 100 }), (values, percent) => {
				const found = percentile(values, percent)
				const below = (limit: (value: number) => boolean): number => values.filter(limit).length / values.length
				expect(values).toContain(found)
				expect(below(value => value <= found)).toBeGreaterThanOrEqual(percent / 100 - 1e-9)
				expect(below(value => value < found)).toBeLessThan(percent / 100 + 1e-9)
			}),
		)
	})

	test.each([0, -1, 101, Number.NaN])('%d is none', percent => {
		expect(() => percentile([1], percent)).toThrow(RangeError)
	})

	test('of no samples is refused', () => {
		expect(() => percentile([], 50)).toThrow(RangeError)
	})
})
