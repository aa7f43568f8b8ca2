import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { compareLargestKey, compareSmallestKey, plainTable } from '../../src/manifest/packed-table.ts'
import {
	packTables,
	readBlobPackRef,
	readList,
	readPackedTable,
	readTableRef,
	writeBlobPackRef,
	writeList,
	writeTableRef,
} from '../../src/manifest/table-ref-codec.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'
import { decodeSstMeta, encodeSstMeta } from '../../src/sst/sst-properties.ts'
import { bitFlips, truncations, verdictOf } from '../support/damage.ts'
import { blobPackRefs, sstMetas, tableOf, tableRefs } from '../support/manifest-arbitraries.ts'

function written(write: (writer: ByteWriter) => void): Uint8Array {
	const writer = new ByteWriter()
	write(writer)
	return writer.finish()
}

function readBack<Value>(bytes: Uint8Array, read: (reader: ByteReader) => Value): Value {
	const reader = new ByteReader(bytes, 'x')
	const value = read(reader)
	reader.expectEnd()
	return value
}

const metaBytes = (meta: SstMeta): Uint8Array => written(writer => encodeSstMeta(writer, meta))
const readMeta = (bytes: Uint8Array): SstMeta => readBack(bytes, reader => decodeSstMeta(reader, 'x'))
const tableBytes = (tables: readonly TableRef[]): Uint8Array =>
	written(writer => {
		for (const table of tables) writeTableRef(writer, table)
	})
/** Reads it as it is kept in runs. */
const packedOf = (bytes: Uint8Array) => (reader: ByteReader, where: string) => readPackedTable(reader, bytes, where)
const SAMPLE = tableOf('w1-1', 5, 9)

describe('references to tables and blob packs', () => {
	test('come back as they were written', () => {
		fc.assert(
			fc.property(sstMetas, tableRefs, blobPackRefs, (meta, table, pack) => {
				expect(readMeta(metaBytes(meta))).toEqual(meta)
				const tableBytes = written(writer => writeTableRef(writer, table))
				expect(readBack(tableBytes, reader => readTableRef(reader, 'x'))).toEqual(table)
				expect(
					readBack(
						written(writer => writeBlobPackRef(writer, pack)),
						readBlobPackRef,
					),
				).toEqual(pack)
			}),
		)
	})

	test('are refused when cut short anywhere', () => {
		const bytes = written(writer => writeTableRef(writer, SAMPLE))
		for (const cut of truncations(bytes)) {
			for (const read of [readTableRef, packedOf(cut)]) {
				expect(() => readBack(cut, reader => read(reader, 'x'))).toThrow(
					expect.objectContaining({ code: 'ISLE_CORRUPT' }),
				)
			}
		}
	})

	test('give a typed error or other metadata for a flipped bit, never the same and never a crash', () => {
		// A checksum stands around them in commits and checkpoints; by themselves they must only never lead astray.
		const bytes = written(writer => writeTableRef(writer, SAMPLE))
		for (const [where, flipped] of bitFlips(bytes)) {
			const verdict = verdictOf(() => {
				expect(
					readBack(flipped, reader => readTableRef(reader, 'x')),
					where,
				).not.toEqual(SAMPLE)
			})
			expect(['refused', 'accepted']).toContain(verdict)
		}
	})

	test('of a codec that nobody knows are unsupported, and the message names its number', () => {
		const bytes = written(writer => {
			writer.u16(1)
			writer.u8(9)
		})
		expect(() => readMeta(bytes)).toThrow(
			expect.objectContaining({ code: 'ISLE_UNSUPPORTED', message: expect.stringContaining('codec number 9') }),
		)
	})

	test('keep their keys when the record that they were read from is dropped or reused', () => {
		const bytes = metaBytes(SAMPLE.meta)
		const meta = readMeta(bytes)
		bytes.fill(0xff)
		expect([...meta.smallestKey]).toEqual([1])
		expect([...meta.largestKey]).toEqual([9])
		expect(meta.smallestKey.buffer.byteLength).toBe(1)
	})

	const impossible: [string, Partial<SstMeta>][] = [
		['without entries', { entryCount: 0 }],
		['whose metadata begins at its end', { metaOffset: 20 }],
		['whose metadata begins behind its end', { metaOffset: 21 }],
		['of no bytes', { storedBytes: 0, metaOffset: 0 }],
		['whose sequence numbers run backwards', { minSeq: 10, maxSeq: 9 }],
	]
	test.each(impossible)('to a table %s are corrupt', (_what, change) => {
		expect(() => readMeta(metaBytes({ ...SAMPLE.meta, ...change }))).toThrow(
			expect.objectContaining({ code: 'ISLE_CORRUPT' }),
		)
	})

	test('hold keys of 64 KiB and no more', () => {
		const longest = { ...SAMPLE.meta, largestKey: new Uint8Array(65_536).fill(9) }
		expect(readMeta(metaBytes(longest)).largestKey.length).toBe(65_536)
		const longer = { ...SAMPLE.meta, largestKey: new Uint8Array(65_537).fill(9) }
		expect(() => readMeta(metaBytes(longer))).toThrow(expect.objectContaining({ code: 'ISLE_CORRUPT' }))
	})

	test('hold ids of 64 bytes and object keys of 1,024, and no more', () => {
		const round = (id: string, objectKey: string): void => {
			const bytes = written(writer => writeTableRef(writer, { ...SAMPLE, id, objectKey }))
			expect(readBack(bytes, reader => readTableRef(reader, 'x'))).toMatchObject({ id, objectKey })
		}
		round('i'.repeat(64), 'k'.repeat(1024))
		expect(() => round('i'.repeat(65), 'k')).toThrow(expect.objectContaining({ code: 'ISLE_CORRUPT' }))
		expect(() => round('i', 'k'.repeat(1025))).toThrow(expect.objectContaining({ code: 'ISLE_CORRUPT' }))
	})
})

describe('a packed reference to a table', () => {
	test('says all that the reference says, and is written as it was read', () => {
		fc.assert(
			fc.property(fc.array(tableRefs, { minLength: 1, maxLength: 4 }), sstMetas, (tables, { smallestKey: key }) => {
				const bytes = tableBytes(tables)
				const read = readBack(bytes, reader => tables.map(() => readPackedTable(reader, bytes, 'x')))
				for (const packed of [read, packTables(tables), packTables(read)]) {
					for (const [i, table] of tables.entries()) {
						const same = packed[i]
						if (same === undefined) throw new Error('as many as there were')
						const { meta, ...place } = table
						const told = Object.fromEntries(Object.keys(meta).map(name => [name, Reflect.get(same.meta, name)]))
						expect(told).toEqual(meta)
						expect({ id: same.id, objectKey: same.objectKey, offset: same.offset }).toEqual(place)
						expect(Object.hasOwn(plainTable(same), 'meta')).toBe(true)
						expect(plainTable(same)).toEqual(table)
						for (const other of [key, meta.smallestKey, meta.largestKey]) {
							expect(compareSmallestKey(same, other)).toBe(compareSmallestKey(table, other))
							expect(compareLargestKey(same, other)).toBe(compareLargestKey(table, other))
						}
					}
					expect(tableBytes(packed)).toEqual(bytes)
				}
			}),
		)
	})

	test('is refused where the reference would be', () => {
		let refused = 0
		fc.assert(
			fc.property(tableRefs, fc.nat(), fc.nat(255), (table, at, byte) => {
				const bytes = written(writer => writeTableRef(writer, table))
				bytes[at % bytes.length] = byte
				const [plain, packed] = [readTableRef, packedOf(bytes)].map(read => {
					try {
						return readBack(bytes, reader => read(reader, 'x'))
					} catch (error) {
						refused++
						return String(error)
					}
				})
				expect(packed).toEqual(plain)
			}),
			{ numRuns: 1_000 },
		)
		// A control of the test.
		expect(refused).toBeGreaterThan(100)
	})

	test('is told apart from another in what tests compare', () => {
		const [packed, other] = packTables([SAMPLE, { ...SAMPLE, offset: 1 }])
		expect(packed).toEqual(SAMPLE)
		expect({ tables: [packed] }).toEqual({ tables: [SAMPLE] })
		expect(packed).not.toEqual(other)
		expect(packed).not.toEqual({ ...SAMPLE, id: 'w1-2' })
		expect({ tables: [packed] }).not.toEqual({ tables: [other] })
	})

	test('gives copies: what is done to them changes nothing', () => {
		const [packed] = packTables([SAMPLE])
		packed?.meta.smallestKey.fill(7)
		expect(packed?.meta.smallestKey.buffer.byteLength).toBe(1)
		expect(packed).toEqual(SAMPLE)
	})

	test('says whether it lies in the object that is named after it', () => {
		const folder = Buffer.from('sst/')
		for (const objectKey of [
			'sst/w1-7',
			'sst/w1-70',
			'sst/w1-',
			'sst/w1-8',
			'ssx/w1-7',
			'log/1/3',
			'sst/',
			'sst/x/w1-7',
		]) {
			const [packed] = packTables([{ ...SAMPLE, id: 'w1-7', objectKey }])
			expect(packed?.isInObjectOf(folder), objectKey).toBe(objectKey === 'sst/w1-7')
		}
	})
})

describe('a list', () => {
	test('comes back in order', () => {
		const bytes = written(writer => writeList(writer, [3, 1, 2], item => writer.u8(item)))
		expect(readBack(bytes, reader => readList(reader, 'x', () => reader.u8()))).toEqual([3, 1, 2])
	})

	test('that claims more items than bytes are left is refused before one is read', () => {
		for (const claimed of [3, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
			const bytes = written(writer => writer.varint(claimed).u8(0).u8(0))
			let read = 0
			const reader = new ByteReader(bytes, 'x')
			expect(() => readList(reader, 'x', () => read++)).toThrow(expect.objectContaining({ code: 'ISLE_CORRUPT' }))
			expect(read).toBe(0)
		}
	})
})
