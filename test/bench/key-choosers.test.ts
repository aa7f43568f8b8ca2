import { describe, expect, test } from 'vitest'
import { fnvHash64, ScrambledZipfian, ZIPFIAN_THETA, Zipfian } from '../../bench/key-choosers.ts'
import { seededRandom } from '../../src/host/random.ts'

const DRAWS = 200_000

function countsOf(draw: () => number, items: number): number[] {
	const counts = Array.from({ length: items }, () => 0)
	for (let i = 0; i < DRAWS; i++) {
		const drawn = draw()
		counts[drawn] = (counts[drawn] ?? 0) + 1
	}
	// What is no integer below `items` would have been counted elsewhere.
	expect(Object.keys(counts)).toHaveLength(items)
	return counts
}

/** What theory says: number i with a weight of 1 / (i + 1)^theta. */
function expectedShare(i: number, items: number): number {
	let zeta = 0
	for (let j = 1; j <= items; j++) zeta += 1 / j ** ZIPFIAN_THETA
	return 1 / (i + 1) ** ZIPFIAN_THETA / zeta
}

describe('Zipfian numbers', () => {
	test('are drawn as often as their weights say', () => {
		const items = 1_000
		const zipfian = new Zipfian(seededRandom(1), items)
		const counts = countsOf(() => zipfian.next(), items)
		// The first two are drawn exactly, the rest by an approximation of the paper.
		for (const i of [0, 1]) expect((counts[i] ?? 0) / DRAWS / expectedShare(i, items)).toBeCloseTo(1, 1)
		for (const [from, to] of [
			[2, 10],
			[10, 100],
			[100, 1_000],
		] as const) {
			const drawn = counts.slice(from, to).reduce((sum, count) => sum + count, 0) / DRAWS
			let expected = 0
			for (let i = from; i < to; i++) expected += expectedShare(i, items)
			expect(Math.abs(drawn / expected - 1)).toBeLessThan(0.12)
		}
	})

	test('of more items than before are those of a new generator', () => {
		const grown = new Zipfian(seededRandom(7), 10)
		grown.grow(500)
		const fresh = new Zipfian(seededRandom(7), 500)
		expect(Array.from({ length: 100 }, () => grown.next())).toEqual(Array.from({ length: 100 }, () => fresh.next()))
	})

	test('need two items', () => {
		expect(() => new Zipfian(seededRandom(1), 1)).toThrow(RangeError)
	})
})

test('the hash is that of YCSB: these are the names of its first records', () => {
	expect(`user${fnvHash64(0)}`).toBe('user6284781860667377211')
	expect(`user${fnvHash64(1)}`).toBe('user8517097267634966620')
})

test('scrambled numbers are as skewed, and their favourites lie anywhere', () => {
	const items = 10_000
	const scrambled = new ScrambledZipfian(seededRandom(3), items)
	const counts = countsOf(() => scrambled.next(), items)
	const favourites = counts.map((count, item) => ({ count, item })).sort((a, b) => b.count - a.count)
	// The first of ten thousand million has a share of 1 / zeta = 3.8 %, and lies where its hash says.
	expect(favourites[0]?.item).toBe(Number(fnvHash64(0) % BigInt(items)))
	expect((favourites[0]?.count ?? 0) / DRAWS).toBeCloseTo(1 / 26.469, 2)
	const places = favourites.slice(0, 20).map(({ item }) => item)
	expect(places.filter(item => item < items / 2).length).toBeGreaterThan(4)
	expect(places.filter(item => item >= items / 2).length).toBeGreaterThan(4)
	// Evenly drawn ones would be 20 times each, and hardly any more than 40 times.
	expect(favourites.slice(0, 100).every(({ count }) => count > 60)).toBe(true)
})
