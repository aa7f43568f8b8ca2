import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteCache, Shelf } from '../../src/cache/byte-cache.ts'

describe('a cache bounded in bytes', () => {
	test('never holds more than its bound, and counts exactly what is on the shelves', () => {
		fc.assert(
			fc.property(
				fc.nat({ max: 1000 }),
				fc.array(
					fc.record({
						shelf: fc.nat({ max: 2 }),
						index: fc.nat({ max: 30 }),
						bytes: fc.integer({ min: 1, max: 300 }),
						action: fc.constantFrom('put', 'put', 'get', 'delete shelf'),
					}),
					{ maxLength: 300 },
				),
				(maxBytes, actions) => {
					const cache = new ByteCache<{ readonly bytes: number }>(maxBytes)
					const shelves = [1, 2, 3].map(() => new Shelf<{ readonly bytes: number }>())
					for (const { shelf: which, index, bytes, action } of actions) {
						const shelf = shelves[which] as Shelf<{ readonly bytes: number }>
						if (action === 'put') cache.put(shelf, index, { bytes }, bytes)
						else if (action === 'get') cache.get(shelf, index)
						else if (index === 0) cache.deleteShelf(shelf)
						const held = shelves.flatMap(({ values }) => values.filter(value => value !== undefined))
						expect(cache.bytes).toBe(held.reduce((sum, value) => sum + value.bytes, 0))
						expect(cache.bytes).toBeLessThanOrEqual(maxBytes)
						expect(cache.stats().entries).toBe(held.length)
						for (const { values, entries } of shelves) {
							expect(entries.map(entry => entry?.bytes)).toEqual(values.map(value => value?.bytes))
						}
						expect(shelves.reduce((sum, { count }) => sum + count, 0)).toBe(held.length)
					}
				},
			),
		)
	})

	test('keeps what fits exactly and not what is one byte larger; a bound of 0 keeps nothing', () => {
		const shelf = new Shelf<string>()
		const cache = new ByteCache<string>(100)
		cache.put(shelf, 0, 'fits', 100)
		expect(cache.get(shelf, 0)).toBe('fits')
		cache.put(shelf, 1, 'too large', 101)
		expect(cache.get(shelf, 1)).toBeUndefined()
		expect(cache.get(shelf, 0)).toBe('fits')
		const none = new ByteCache<string>(0)
		none.put(shelf, 2, 'nothing', 1)
		expect(none.get(shelf, 2)).toBeUndefined()
		expect(() => new ByteCache(-1)).toThrow('capacity')
	})

	test('keeps what is used often while a scan ten times its size passes by', () => {
		const cache = new ByteCache<number>(100)
		const hot = new Shelf<number>()
		const scanned = new Shelf<number>()
		for (let i = 0; i < 50; i++) cache.put(hot, i, i, 1)
		for (let i = 0; i < 50; i++) cache.get(hot, i)
		for (let i = 0; i < 1000; i++) cache.put(scanned, i, i, 1)
		const left = Array.from({ length: 50 }, (_, i) => cache.peek(hot, i)).filter(value => value !== undefined)
		expect(left.length).toBe(50)
		expect(scanned.count).toBe(50)
	})

	test('puts what returns soon after its eviction among what is kept', () => {
		const cache = new ByteCache<number>(100)
		const shelf = new Shelf<number>()
		for (let i = 0; i < 100; i++) cache.put(shelf, i, i, 1)
		cache.put(shelf, 100, 100, 1)
		expect(cache.peek(shelf, 0)).toBeUndefined()
		cache.put(shelf, 0, 0, 1)
		for (let i = 200; i < 1000; i++) cache.put(shelf, i, i, 1)
		expect(cache.peek(shelf, 0)).toBe(0)
		expect(cache.peek(shelf, 1)).toBeUndefined()
	})

	test('lets go of what is not used any more, whatever use was made of it once', () => {
		const cache = new ByteCache<number>(10)
		const shelf = new Shelf<number>()
		for (let i = 0; i < 10; i++) cache.put(shelf, i, i, 1)
		for (let i = 0; i < 10; i++) cache.get(shelf, i)
		for (let i = 10; i < 200; i++) {
			cache.put(shelf, i, i, 1)
			cache.get(shelf, i)
		}
		expect(Array.from({ length: 10 }, (_, i) => cache.peek(shelf, i)).every(value => value === undefined)).toBe(true)
		const { hits, misses, evictions, entries } = cache.stats()
		expect({ hits, misses, evictions, entries }).toEqual({ hits: 200, misses: 0, evictions: 190, entries: 10 })
		expect(cache.get(shelf, 0)).toBeUndefined()
		expect(cache.stats().misses).toBe(1)
	})

	test('evicts nothing for the sake of what was deleted', () => {
		const cache = new ByteCache<number>(100)
		const [live, dead] = [new Shelf<number>(), new Shelf<number>()]
		for (let i = 0; i < 40; i++) cache.put(live, i, i, 1)
		for (let i = 0; i < 60; i++) cache.put(dead, i, i, 1)
		cache.deleteShelf(dead)
		for (let i = 40; i < 100; i++) cache.put(live, i, i, 1)
		expect(live.count).toBe(100)
		expect(cache.stats().evictions).toBe(0)
	})

	test('remembers evictions for as long as they matter, not for ever', () => {
		const cache = new ByteCache<number>(10)
		const shelf = new Shelf<number>()
		for (let i = 0; i < 100_000; i++) cache.put(shelf, i, i, 1)
		expect(shelf.evictedAt.size).toBeLessThanOrEqual(1024)
	})
})
