import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BlobRef, decodeBlobRef, encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import { collectBlobRefsJob } from '../../workers/collect-blob-refs.ts'
import { codeOf, entry, utf8 } from '../sst/table-model.ts'
import { modelTables, sourcesOf } from './merge-model.ts'

const PACKS = ['w0-1', 'w1-0', 'w2-3', 'absent']

test('the references to each pack are found, each once, by offset', () => {
	fc.assert(
		fc.property(modelTables, tables => {
			const sources = sourcesOf(tables)
			const { output, transfer } = collectBlobRefsJob({ sources, packIds: PACKS })
			const entries = tables.flatMap(table => table.entries)
			expect(output.entriesRead).toBe(entries.length)
			const refs = entries.filter(item => item.kind === KIND_BLOB).map(item => decodeBlobRef(item.value, 'here'))
			expect(output.packs.map(pack => pack.packId)).toEqual(PACKS)
			for (const { packId, offsets, bytes, crcs } of output.packs) {
				const byOffset = new Map<number, BlobRef>()
				for (const ref of refs) if (ref.packId === packId) byOffset.set(ref.offset, ref)
				const expected = [...byOffset.values()].sort((a, b) => a.offset - b.offset)
				expect([...offsets]).toEqual(expected.map(ref => ref.offset))
				expect([...bytes]).toEqual(expected.map(ref => ref.bytes))
				expect([...crcs]).toEqual(expected.map(ref => ref.crc))
			}
			expect(new Set(output.buffers)).toEqual(new Set(sources.map(source => source.blocks.buffer)))
			expect(new Set(transfer).size).toBe(3 * PACKS.length + output.buffers.length)
		}),
		{ numRuns: 100 },
	)
})

test('a damaged table is corruption', () => {
	const value = encodeBlobRef({ packId: 'w1-0', offset: 64, bytes: 300_000, crc: 1 })
	const sources = sourcesOf([{ entries: [{ ...entry('k', 1, value), kind: KIND_BLOB }] }])
	const run = (): unknown => collectBlobRefsJob({ sources, packIds: ['w1-0'] })
	expect(codeOf(run)).toBe('none')
	const bytes = sources[0]?.blocks ?? utf8('')
	bytes[30] = (bytes[30] ?? 0) ^ 1
	expect(codeOf(run)).toBe('ISLE_CORRUPT')
})
