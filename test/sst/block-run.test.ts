/** What a planner asks of an open table, against the entries of its blocks. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import { BlockRunReader } from '../../src/sst/block-run.ts'
import { blockBytes, build, codeOf, entry, keys, type ModelEntry, modelEntries, open } from './table-model.ts'

const sizes = fc.constantFrom(64, 100, 256, 1024)
const bound = fc.option(keys, { nil: null })
const nameOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1')

/** Of each key the block that holds its newest entry. */
function homes(entriesOfBlocks: readonly (readonly ModelEntry[])[]): Map<string, number> {
	const found = new Map<string, number>()
	entriesOfBlocks.forEach((entries, b) => {
		for (const { key } of entries) if (!found.has(nameOf(key))) found.set(nameOf(key), b)
	})
	return found
}

function splitBlocks(built: ReturnType<typeof build>): ModelEntry[][] {
	const table = open(built)
	return Array.from({ length: table.blockCount }, (_, b) => {
		const block = table.decodeBlock(b, blockBytes(built, table, b), 'here')
		return Array.from({ length: block.count }, (_entry, i) => ({
			key: block.keyAt(i),
			seq: block.seqAt(i),
			kind: block.kindAt(i),
			expiresAtMs: block.expiresAtMsAt(i),
			value: new Uint8Array(block.valueViewAt(i)),
		}))
	})
}

describe('an open table', () => {
	test('knows the blocks that hold the newest entries of a key range', () => {
		fc.assert(
			fc.property(modelEntries, sizes, bound, bound, (entries, size, lower, upper) => {
				const built = build(entries, { blockBytes: size })
				const { first, end } = open(built).blocksBetween(lower, upper)
				expect(first).toBeLessThanOrEqual(end)
				for (const [name, home] of homes(splitBlocks(built))) {
					const key = Buffer.from(name, 'latin1')
					const isIn =
						(lower === null || compareBytes(key, lower) >= 0) && (upper === null || compareBytes(key, upper) < 0)
					if (isIn) expect(home >= first && home < end).toBe(true)
				}
			}),
			{ numRuns: 300 },
		)
	})

	test('has no blocks for a range without keys of its own', () => {
		const table = open(build([entry('b', 1), entry('d', 2)]))
		const between = (lower: string | null, upper: string | null): number => {
			const bytes = (text: string | null): Uint8Array | null => (text === null ? null : Buffer.from(text))
			const { first, end } = table.blocksBetween(bytes(lower), bytes(upper))
			return end - first
		}
		expect(between(null, null)).toBe(1)
		expect(between('b', 'c')).toBe(1)
		expect(between('d', null)).toBe(1)
		expect(between('e', null)).toBe(0)
		expect(between(null, 'b')).toBe(0)
		expect(between('a', 'b')).toBe(0)
	})

	test('says of blocks that hold only older versions exactly that, where those go on behind them, their key does with a zero byte, or the table ends', () => {
		fc.assert(
			fc.property(modelEntries, sizes, (entries, size) => {
				const built = build(entries, { blockBytes: size })
				const table = open(built)
				const blocks = splitBlocks(built)
				const newest = homes(blocks)
				blocks.forEach((list, b) => {
					const isOlder = list.every(({ key }) => (newest.get(nameOf(key)) ?? b) < b)
					const next = blocks[b + 1]?.[0]
					const last = list.at(-1)
					// A key that goes on with a zero byte has the separator that their own versions would have.
					const end = nameOf(last?.key ?? new Uint8Array(0))
					const behind = next === undefined ? end : nameOf(next.key)
					const isTold = behind === end || behind.startsWith(`${end}\0`)
					expect(table.holdsOnlyOlderVersions(b)).toBe(isOlder && isTold)
				})
			}),
			{
				numRuns: 300,
				examples: ['k\0', 'k\0\0'].map(key => [
					[entry('k', 2, 'v'.repeat(40)), entry('k', 1, 'v'.repeat(40)), entry(key, 1, 'v')],
					64,
				]),
			},
		)
	})

	test('counts bytes, and its separators part the newest entries', () => {
		fc.assert(
			fc.property(modelEntries, sizes, (entries, size) => {
				const built = build(entries, { blockBytes: size })
				const table = open(built)
				expect(table.bytesBefore(0)).toBe(0)
				expect(table.bytesBefore(table.blockCount)).toBe(built.meta.metaOffset)
				for (const [name, home] of homes(splitBlocks(built))) {
					const key = Buffer.from(name, 'latin1')
					for (let b = 0; b < table.blockCount; b++) {
						expect(compareBytes(key, table.separatorOf(b)) >= 0).toBe(home >= b)
						expect(table.blockRange(b).offset).toBe(table.bytesBefore(b))
					}
				}
			}),
			{ numRuns: 100 },
		)
	})
})

describe('a run of blocks', () => {
	test('is read as the table reads its blocks', () => {
		fc.assert(
			fc.property(modelEntries, sizes, fc.nat(), fc.nat(), (entries, size, from, length) => {
				const built = build(entries, { blockBytes: size, codec: 'lz4' })
				const table = open(built)
				const first = from % table.blockCount
				const count = 1 + (length % (table.blockCount - first))
				const run = table.blockRun(first, count)
				const stored = built.bytes.subarray(table.bytesBefore(first), table.bytesBefore(first + count))
				const reader = new BlockRunReader(run, stored, 'here')
				expect(reader.count).toBe(count)
				for (let i = 0; i < count; i++) {
					const expected = table.decodeBlock(first + i, blockBytes(built, table, first + i), 'here')
					const block = reader.decode(i)
					expect(Buffer.from(block.bytes)).toEqual(Buffer.from(expected.bytes))
					const seqs = new Float64Array(block.count)
					block.copySeqs(seqs)
					for (let j = 0; j < block.count; j++) {
						expect(block.keyAt(j)).toEqual(expected.keyAt(j))
						expect(seqs[j]).toBe(expected.seqAt(j))
					}
					if (i + 1 < count) expect(reader.holdsOnlyOlderVersions(i)).toBe(table.holdsOnlyOlderVersions(first + i))
				}
			}),
			{ numRuns: 200 },
		)
	})

	test('of other bytes than its own is corruption, and one that does not exist is a bug', () => {
		const built = build([entry('b', 1), entry('d', 2)])
		const table = open(built)
		const stored = built.bytes.subarray(0, built.meta.metaOffset)
		expect(codeOf(() => new BlockRunReader(table.blockRun(0, 1), stored, 'here'))).toBe('none')
		expect(codeOf(() => new BlockRunReader(table.blockRun(0, 1), stored.subarray(1), 'here'))).toBe('ISLE_CORRUPT')
		expect(() => table.blockRun(0, 2)).toThrow('broken invariant')
		expect(() => table.blockRun(0, 0)).toThrow('broken invariant')
	})
})
