import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Block } from '../../src/sst/block.ts'
import { kernelRows, ROWS_MAX, type WantedTexts } from '../../src/sst/block-kernel.ts'
import { KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import { blockBytes, build, entry, type ModelEntry, open, sorted } from './table-model.ts'

/** The only block of a table of these entries. */
function blockOf(entries: readonly ModelEntry[]): Block {
	const built = build(sorted(entries), { blockBytes: 1_048_576 })
	const table = open(built)
	expect(table.blockCount).toBe(1)
	return table.decodeBlock(0, blockBytes(built, table, 0).slice(), 'here')
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

interface Range {
	readonly first: number
	readonly step: 1 | -1
	readonly count: number
}

/** What the kernel makes of entries of `block`, cut into rows. */
function rowsOf(block: Block, { first, step, count }: Range, wanted: WantedTexts): unknown {
	const texts = kernelRows(block.bytes, first, step, count, wanted)
	if (texts === undefined) return undefined
	let [key, value] = [0, 0]
	return Array.from({ length: count }, (_, i) => {
		const [keyEnd, valueEnd] = [texts.ends[2 * i] as number, texts.ends[2 * i + 1] as number]
		const row = [texts.keys.slice(key, keyEnd), texts.values.slice(value, valueEnd)]
		key = keyEnd
		value = valueEnd
		return row
	})
}

/** The same, entry by entry. */
function expectedOf(block: Block, { first, step, count }: Range, wanted: WantedTexts): unknown {
	return Array.from({ length: count }, (_, i) => {
		const at = first + step * i
		return [wanted === 'values' ? '' : latin1(block.keyAt(at)), wanted === 'keys' ? '' : latin1(block.valueViewAt(at))]
	})
}

const ascii = (max: number): fc.Arbitrary<Uint8Array> =>
	fc.array(fc.integer({ min: 0, max: 127 }), { maxLength: max }).map(bytes => Uint8Array.from(bytes))

const entries = fc
	.tuple(
		ascii(40),
		fc.array(
			fc.record({
				key: ascii(20),
				seq: fc.integer({ min: 1, max: 2 ** 40 }),
				value: ascii(60),
				kind: fc.constantFrom(KIND_VALUE, KIND_VALUE, KIND_TOMBSTONE),
				expiresAtMs: fc.constantFrom(0, 0, 7, 1e12),
			}),
			{ minLength: 1, maxLength: 60 },
		),
	)
	.map(([prefix, all]) =>
		all.map(({ key, value, kind, ...rest }) => ({
			...rest,
			kind,
			key: Uint8Array.of(...prefix, ...key, 1),
			value: kind === KIND_TOMBSTONE ? new Uint8Array(0) : value,
		})),
	)

describe('rows of a block made by the kernel', () => {
	test('are those that are made one by one, forwards and backwards, with whatever columns and prefix', () => {
		fc.assert(
			fc.property(entries, fc.nat(), fc.nat(), fc.constantFrom('entries', 'keys', 'values'), (all, a, b, wanted) => {
				const block = blockOf(all)
				const [low, high] = [a % block.count, b % block.count].sort((x, y) => x - y) as [number, number]
				const count = high - low + 1
				for (const range of [{ first: low, step: 1, count } as const, { first: high, step: -1, count } as const]) {
					expect(rowsOf(block, range, wanted)).toEqual(expectedOf(block, range, wanted))
				}
			}),
			{ numRuns: 200 },
		)
	})

	test('are refused when a byte of a key or a value is not ASCII, wherever it stands, and made where it is not asked for', () => {
		const plain = Array.from({ length: 20 }, (_, i) => entry(`key ${100 + i}`, 1, `value ${i}`.repeat(3)))
		for (const [i, item] of plain.entries()) {
			for (const part of ['key', 'value'] as const) {
				const bytes = new Uint8Array(item[part])
				const at = part === 'key' ? bytes.length - 1 : (i * 5) % bytes.length
				bytes[at] = 0x80
				const block = blockOf(plain.map(other => (other === item ? { ...item, [part]: bytes } : other)))
				const range = { first: 0, step: 1, count: 20 } as const
				expect(rowsOf(block, range, 'entries')).toBeUndefined()
				const other = part === 'key' ? 'values' : 'keys'
				expect(rowsOf(block, range, other)).toEqual(expectedOf(block, range, other))
			}
		}
	})

	test('are left to others where they need more than 64 KiB', () => {
		const key = (i: number): string => 'k'.repeat(1_000) + (1_000 + i)
		const block = blockOf(Array.from({ length: 300 }, (_, i) => entry(key(i), 1, 'value')))
		const all = { first: 0, step: 1, count: 300 } as const
		expect(rowsOf(block, all, 'entries')).toBeUndefined()
		expect(rowsOf(block, all, 'values')).toEqual(expectedOf(block, all, 'values'))
		const some = { first: 0, step: 1, count: 65 } as const
		expect(rowsOf(block, some, 'entries')).toEqual(expectedOf(block, some, 'entries'))
		expect(kernelRows(new Uint8Array(65_537), 0, 1, ROWS_MAX, 'keys')).toBeUndefined()
	})
})
