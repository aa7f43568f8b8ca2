import { describe, expect, test } from 'vitest'
import type { Datum } from '../../bench/engine.ts'
import { KEY_SHAPES, shapedRecords, VALUE_SHAPES } from '../../bench/shaped-records.ts'

const COUNT = 2_000

const textOf = (datum: Datum): string => (typeof datum === 'string' ? datum : Buffer.from(datum).toString('latin1'))

describe('records of a shape', () => {
	test.each(KEY_SHAPES)('%s keys are distinct, and in order only where that is their shape', shape => {
		const { key, value } = shapedRecords(shape, '100 B', 1, 1)
		const keys = Array.from({ length: COUNT }, (_, i) => textOf(key(i)))
		expect(new Set(keys).size).toBe(COUNT)
		const isSorted = keys.every((one, i) => i === 0 || one > (keys[i - 1] ?? ''))
		expect(isSorted).toBe(shape === 'sequential')
		expect(typeof key(0)).toBe(shape === 'strings' ? 'string' : 'object')
		expect(typeof value(0)).toBe(shape === 'strings' ? 'string' : 'object')
	})

	test.each([
		['100 B', 100, 100],
		['1 KB', 1_000, 1_000],
		['mixed', 500, 800],
	] as const)('%s values have that size at the mean', (shape, least, most) => {
		expect(VALUE_SHAPES).toContain(shape)
		const { value } = shapedRecords('random', shape, 1, 1)
		const sizes = Array.from({ length: 1_024 }, (_, i) => value(i).length)
		const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
		expect(mean).toBeGreaterThanOrEqual(least)
		expect(mean).toBeLessThanOrEqual(most)
		expect(new Set(sizes).size > 1).toBe(shape === 'mixed')
	})

	test('a long value is no repetition of one text', () => {
		const text = textOf(shapedRecords('random', '1 KB', 1, 1).value(0))
		expect(text.slice(0, 100)).not.toBe(text.slice(100, 200))
	})
})
