import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { BlobUseCounter, decodeBlobUses, encodeBlobUses } from '../../src/sst/blob-uses.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import type { BlobUse } from '../../src/sst/sst-meta.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { codeOf, utf8 } from './table-model.ts'

const refs = fc.array(
	fc.record({
		packId: fc.constantFrom('w1-2', 'w1-10', 's3-4', 'm2-0'),
		offset: fc.nat(),
		bytes: fc.nat(),
		crc: fc.nat(),
	}),
)

function encoded(uses: readonly BlobUse[]): Uint8Array {
	const writer = new ByteWriter()
	encodeBlobUses(writer, uses)
	return writer.finish()
}

const decode = (bytes: Uint8Array, blobRefCount: number): readonly BlobUse[] =>
	decodeBlobUses(new ByteReader(bytes, 'here'), blobRefCount, 'here')

describe('uses of blob packs', () => {
	test('are counted by pack, and read as they were written', () => {
		fc.assert(
			fc.property(refs, list => {
				const counter = new BlobUseCounter()
				for (const ref of list) counter.add(encodeBlobRef(ref), 'here')
				const uses = counter.finish()
				const expected = [...new Set(list.map(ref => ref.packId))].sort().map(packId => {
					const own = list.filter(ref => ref.packId === packId)
					return { packId, count: own.length, bytes: own.reduce((sum, ref) => sum + ref.bytes, 0) }
				})
				expect(uses).toEqual(expected)
				const bytes = encoded(uses)
				expect(decode(bytes, list.length)).toEqual(expected)
				expect(codeOf(() => decode(bytes, list.length + 1))).toBe('ISLE_CORRUPT')
				for (let length = 0; length < bytes.length; length++) {
					expect(codeOf(() => decode(bytes.subarray(0, length), list.length))).toBe('ISLE_CORRUPT')
				}
			}),
		)
	})

	test('take one byte when there are none', () => {
		expect(encoded([])).toEqual(Uint8Array.of(0))
		expect(decode(Uint8Array.of(0), 0)).toEqual([])
	})

	test('are refused out of order, twice, without a reference and without an id', () => {
		const use = (packId: string, count: number): BlobUse => ({ packId, count, bytes: 9 })
		expect(decode(encoded([use('a', 1), use('b', 1)]), 2)).toHaveLength(2)
		expect(codeOf(() => decode(encoded([use('b', 1), use('a', 1)]), 2))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decode(encoded([use('a', 1), use('a', 1)]), 2))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decode(encoded([use('a', 2), use('b', 0)]), 2))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decode(encoded([use('', 2)]), 2))).toBe('ISLE_CORRUPT')
	})

	test('whose references lie about their values do not count beyond 2^53', () => {
		const counter = new BlobUseCounter()
		const ref = encodeBlobRef({ packId: 'w1-2', offset: 64, bytes: 2 ** 52, crc: 0 })
		counter.add(ref, 'here')
		counter.add(ref, 'here')
		counter.add(ref, 'here')
		expect(counter.finish()).toEqual([{ packId: 'w1-2', count: 3, bytes: Number.MAX_SAFE_INTEGER }])
	})

	test('of an entry that holds no reference cannot be counted', () => {
		const builder = new TableBuilder({ codec: 'none', minWriteMs: 1, maxWriteMs: 1 })
		const value = utf8('no reference')
		expect(codeOf(() => builder.add(utf8('k'), 0, 1, 1, KIND_BLOB, 0, value, 0, value.length))).toBe('ISLE_CORRUPT')
	})
})
