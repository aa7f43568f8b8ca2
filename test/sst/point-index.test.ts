import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { type Block, NOT_FOUND } from '../../src/sst/block.ts'
import {
	isPointOf,
	NO_POINT,
	pointIn,
	pointIndex,
	pointSlots,
	pointStart,
	pointsStart,
	withPoints,
} from '../../src/sst/point-index.ts'
import { blockBytes, build, entry, type ModelEntry, open, sorted, utf8 } from './table-model.ts'

/** Searches of one key: more than a block makes by halves before it makes points. */
const SEARCHES = 80

/** The only block of a table of these entries. */
function blockOf(entries: readonly ModelEntry[]): Block {
	const built = build(entries, { blockBytes: 1_048_576 })
	const table = open(built)
	expect(table.blockCount).toBe(1)
	return table.decodeBlock(0, blockBytes(built, table, 0).slice(), 'here')
}

const findIn = (block: Block, key: Uint8Array): number => block.find(key, hashKey(key, 0, key.length))

/** The first entry with this key, one after another. */
function firstOf(block: Block, key: Uint8Array): number {
	for (let i = 0; i < block.count; i++) if (compareBytes(block.keyAt(i), key) === 0) return i
	return NOT_FOUND
}

function expectFinds(block: Block, keys: readonly Uint8Array[]): void {
	for (let round = 0; round < 2; round++) {
		for (const key of keys) expect(findIn(block, key)).toBe(firstOf(block, key))
		for (let i = 0; i < SEARCHES; i++) findIn(block, keys[0] as Uint8Array)
	}
}

const keys = fc.oneof(
	fc.uint8Array({ minLength: 1, maxLength: 3 }),
	fc.constantFrom('a', 'ab', 'abc').chain(prefix => fc.nat(200).map(i => utf8(`${prefix}${i}`))),
)

describe('an entry of a block, found by its key', () => {
	test('is the newest version of it, before there are points and with them, or there is none', () => {
		fc.assert(
			fc.property(
				fc.array(fc.tuple(keys, fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 60 }),
				fc.array(keys, { maxLength: 30 }),
				(present, others) => {
					const block = blockOf(sorted(present.map(([key, seq]) => entry(key, seq, `value ${seq}`))))
					const extended = present.flatMap(([key]) => [key, Uint8Array.of(...key, 120), key.subarray(0, -1)])
					expectFinds(
						block,
						[...extended, ...others].filter(key => key.length > 0),
					)
				},
			),
			{ numRuns: 60 },
		)
	})

	test.each([
		['1,024 entries, as many as there may be', 1_024, 8, true],
		['one more', 1_025, 8, false],
		['32 KiB of entries', 200, 155, true],
		['more bytes', 200, 165, false],
	])('is found in blocks of %s, with points or without', (_, count, valueBytes, hasPoints) => {
		const value = new Uint8Array(valueBytes)
		const block = blockOf(Array.from({ length: count }, (_, i) => entry(`${1e5 + i}`, count - i, value)))
		const dataEnd = block.valueEndAt(count - 1)
		expect(pointSlots(count, dataEnd) > 0).toBe(hasPoints)
		const wanted = Array.from({ length: 100 }, (_, i) => utf8(`${1e5 + ((i * 7_919) % (2 * count))}`))
		expectFinds(block, wanted)
	})

	test('with an empty key behind its prefix, and a key that is longer than the block', () => {
		const block = blockOf([entry('prefix', 2, ''), entry('prefix-and-more', 1, '')])
		expectFinds(block, [utf8('prefix'), utf8('prefi'), utf8('prefix-and-more'), new Uint8Array(2_000).fill(112)])
	})
})

describe('points', () => {
	test('of a block say where the newest version of each key stands, and are counted in its memory', () => {
		const entries = sorted(Array.from({ length: 300 }, (_, i) => entry(`key ${i % 200}`, i + 1, 'v'.repeat(i % 40))))
		const block = blockOf(entries)
		const slots = pointSlots(block.count, block.valueEndAt(block.count - 1))
		const { raw } = block
		const bytes = withPoints(block, raw, slots)
		const start = pointsStart(raw.length)
		expect(bytes.subarray(0, raw.length)).toEqual(raw)
		expect(bytes.length).toBe(start + 4 * slots)
		const points = Array.from({ length: slots }, (_, i) => pointIn(bytes, start + 4 * i))
		const shown = points.filter(point => point !== NO_POINT)
		expect(shown.length).toBe(200)
		expect(slots).toBeGreaterThanOrEqual(shown.length * 1.5)
		for (const point of shown) {
			const i = pointIndex(point)
			expect(pointStart(point)).toBe(block.suffixStartAt(i))
			expect(firstOf(block, block.keyAt(i))).toBe(i)
			expect(isPointOf(point, block.hashAt(i))).toBe(true)
			expect(isPointOf(point, block.hashAt(i) ^ 0x80000000)).toBe(false)
		}
		const counted = block.memoryBytes
		for (let i = 0; i < SEARCHES; i++) findIn(block, utf8('key 7'))
		expect(block.bytes.length).toBe(bytes.length)
		expect(block.raw).toEqual(raw)
		expect(counted).toBeGreaterThan(block.bytes.buffer.byteLength + 4 * block.count)
	})
})
