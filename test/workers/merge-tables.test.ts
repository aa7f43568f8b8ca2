import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBlobRef } from '../../src/blob/blob-ref.ts'
import { compareBytes } from '../../src/bytes/compare.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import { keys, type ModelEntry, open } from '../sst/table-model.ts'
import { entriesOf, type MergeSettings, type ModelTable, merge, modelTables, naiveMerge } from './merge-model.ts'

const bound = fc.option(keys, { nil: null })
const settings: fc.Arbitrary<MergeSettings> = fc.record({
	lower: bound,
	upper: bound,
	dropTombstones: fc.boolean(),
	expireBeforeMs: fc.oneof(fc.constant(0), fc.nat(), fc.maxSafeNat()),
	output: fc.record({
		codec: fc.constantFrom('none', 'lz4', 'deflate'),
		blockBytes: fc.constantFrom(undefined, 64, 100, 256, 1024),
		targetBytes: fc.constantFrom(1024, 2000, 1_000_000),
	}),
})

/** Every value of every pack moves, but for those at odd places. */
function moveBlobs(tables: readonly ModelTable[]): MergeSettings['blobMoves'] {
	const refs = tables
		.flatMap(table => table.entries)
		.filter(item => item.kind === KIND_BLOB)
		.map(item => decodeBlobRef(item.value, 'here'))
	return [...new Set(refs.map(ref => ref.packId))].map(packId => {
		const offsets = [...new Set(refs.filter(ref => ref.packId === packId).map(ref => ref.offset))]
		const oldOffsets = Float64Array.from(offsets.filter(offset => offset % 2 === 0)).sort()
		return { packId, newPackId: 'm9-9', oldOffsets, newOffsets: oldOffsets.map(offset => offset + 7) }
	})
}

describe('a merge', () => {
	test('is what grouping all entries by key gives', () => {
		fc.assert(
			fc.property(modelTables, settings, fc.boolean(), (tables, chosen, movesBlobs) => {
				const all = movesBlobs ? { ...chosen, blobMoves: moveBlobs(tables) } : chosen
				const output = merge(tables, all)
				const expected = naiveMerge(tables, all)
				expect(entriesOf(output.tables)).toEqual(expected)
				expect(output.entriesWritten).toBe(expected.length)
				for (const { meta } of output.tables) expect(meta.keyCount).toBe(meta.entryCount)
			}),
			{ numRuns: 400 },
		)
	})

	test('of the parts of a range gives what the merge of the whole gives', () => {
		fc.assert(
			fc.property(modelTables, settings, fc.array(keys, { maxLength: 4 }), (tables, chosen, cuts) => {
				const bounds = [null, ...[...cuts].sort(compareBytes), null]
				const parts = bounds.slice(1).flatMap((upper, i) => {
					const lower = bounds[i] ?? null
					return entriesOf(merge(tables, { ...chosen, lower, upper }).tables)
				})
				expect(parts).toEqual(entriesOf(merge(tables, { ...chosen, lower: null, upper: null }).tables))
			}),
			{ numRuns: 200 },
		)
	})

	test('makes tables that are disjoint, and whose filters and write times fit their entries', () => {
		fc.assert(
			fc.property(modelTables, settings, (tables, chosen) => {
				const output = merge(tables, { ...chosen, output: { ...chosen.output, targetBytes: 1024 } })
				let before: ModelEntry | undefined
				for (const built of output.tables) {
					const table = open(built)
					expect(built.meta).toEqual(table.meta)
					const contained = entriesOf([built])
					for (const item of contained) {
						if (before !== undefined) expect(compareBytes(before.key, item.key)).toBeLessThan(0)
						before = item
						expect(table.mayContain(hashKey(item.key, 0, item.key.length))).toBe(true)
					}
					const seqs = new Set(contained.map(item => item.seq))
					const from = tables.filter(source => source.entries.some(item => seqs.has(item.seq)))
					expect(built.meta.minWriteMs).toBe(Math.min(...from.map(source => source.options?.minWriteMs ?? -1)))
					expect(built.meta.maxWriteMs).toBe(Math.max(...from.map(source => source.options?.maxWriteMs ?? -1)))
				}
			}),
			{ numRuns: 200 },
		)
	})
})
