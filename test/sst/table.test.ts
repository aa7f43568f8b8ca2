import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBlobRef } from '../../src/blob/blob-ref.ts'
import { compareBytes } from '../../src/bytes/compare.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { CODEC_NAMES } from '../../src/sst/codec.ts'
import { KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import type { BlobUse, SstMeta } from '../../src/sst/sst-meta.ts'
import { metaRange, openTable, readSstMeta } from '../../src/sst/sst-table.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { halfExpiryOf } from '../support/half-expiry.ts'
import {
	blockBytes,
	build,
	entry,
	keys,
	type ModelEntry,
	modelEntries,
	open,
	readAll,
	readNewest,
	utf8,
} from './table-model.ts'

/** What the entries of kind blob hold of each pack, in the order of the packs' ids. */
function blobUsesOf(entries: readonly ModelEntry[]): readonly BlobUse[] {
	const refs = entries.filter(item => item.kind === KIND_BLOB).map(item => decodeBlobRef(item.value, 'here'))
	return [...new Set(refs.map(ref => ref.packId))].sort().map(packId => {
		const own = refs.filter(ref => ref.packId === packId)
		return { packId, count: own.length, bytes: own.reduce((sum, ref) => sum + ref.bytes, 0) }
	})
}

const blockSizes = fc.constantFrom(64, 100, 256, 1024, 16_384)

describe.each(CODEC_NAMES)('a table of codec %s', codec => {
	test('gives back every entry, in order', () => {
		fc.assert(
			fc.property(modelEntries, blockSizes, (entries, blockBytes) => {
				const built = build(entries, { codec, blockBytes })
				expect(built.bytes.byteLength).toBe(built.bytes.buffer.byteLength)
				expect(readAll(built)).toEqual(entries)
			}),
			{ numRuns: 60 },
		)
	})

	test('answers reads at any sequence number as the model does, for keys that are there and keys that are not', () => {
		fc.assert(
			fc.property(modelEntries, fc.array(keys), fc.nat(50), blockSizes, (entries, others, maxSeq, blockBytes) => {
				const built = build(entries, { codec, blockBytes })
				const table = open(built)
				for (const key of [...entries.map(item => item.key), ...others]) {
					const versions = entries.filter(item => compareBytes(item.key, key) === 0)
					expect(readNewest(built, table, key)).toEqual(versions[0])
					expect(readNewest(built, table, key, maxSeq)).toEqual(versions.find(item => item.seq <= maxSeq))
				}
			}),
			{ numRuns: 40 },
		)
	})
})

test.each(CODEC_NAMES)(
	'a block decoded from codec %s owns its memory and can be transferred to another thread',
	codec => {
		for (const size of [10, 1500, 20_000]) {
			const built = build([entry('k', 1, new Uint8Array(size).fill(5))], { codec })
			const table = open(built)
			const block = table.decodeBlock(0, blockBytes(built, table, 0), 'here')
			expect(block.bytes.buffer).not.toBe(built.bytes.buffer)
			expect(block.bytes.buffer.byteLength).toBe(block.bytes.length)
			expect(block.memoryBytes).toBeGreaterThan(size)
			const buffer = block.bytes.buffer as ArrayBuffer
			expect(structuredClone(buffer, { transfer: [buffer] }).byteLength).toBeGreaterThan(size)
			expect(buffer.byteLength).toBe(0)
		}
	},
)

test('a block that is stored raw in a buffer of its own is not copied', () => {
	const built = build([entry('k', 1, 'value')])
	const table = open(built)
	const stored = blockBytes(built, table, 0).slice()
	expect(table.decodeBlock(0, stored, 'here').bytes.buffer).toBe(stored.buffer)
})

describe('the meta of a table', () => {
	test('describes its entries', () => {
		fc.assert(
			fc.property(modelEntries, blockSizes, (entries, blockBytes) => {
				const { bytes, meta } = build(entries, { blockBytes, codec: 'lz4' })
				const expiries = entries.map(item => item.expiresAtMs)
				const seqs = entries.map(item => item.seq)
				expect(meta).toEqual({
					formatVersion: 2,
					codec: 'lz4',
					entryCount: entries.length,
					keyCount: new Set(entries.map(item => Buffer.from(item.key).toString('hex'))).size,
					tombstoneCount: entries.filter(item => item.kind === KIND_TOMBSTONE).length,
					blobRefCount: entries.filter(item => item.kind === KIND_BLOB).length,
					blobUses: blobUsesOf(entries),
					smallestKey: entries[0]?.key ?? utf8(''),
					largestKey: entries.at(-1)?.key ?? utf8(''),
					minSeq: Math.min(...seqs),
					maxSeq: Math.max(...seqs),
					minWriteMs: 1000,
					maxWriteMs: 2000,
					maxExpiresAtMs: expiries.includes(0) ? 0 : Math.max(...expiries),
					halfExpiresAtMs: halfExpiryOf(expiries),
					rawBytes: entries.reduce((sum, item) => sum + item.key.length + item.value.length, 0),
					storedBytes: bytes.length,
					metaOffset: meta.metaOffset,
				} satisfies SstMeta)
				expect(readSstMeta(bytes, 'here')).toEqual(meta)
			}),
		)
	})
})

describe('finding blocks', () => {
	test('a seek finds the naive lower bound, whatever the block boundaries', () => {
		fc.assert(
			fc.property(modelEntries, fc.array(keys, { minLength: 1 }), blockSizes, (entries, targets, size) => {
				const built = build(entries, { blockBytes: size })
				const table = open(built)
				// Neighbours of real keys: cut off, followed by 0x00, followed by 0xFF.
				const near = entries.flatMap(({ key }) => [
					key,
					key.subarray(0, key.length - 1),
					Uint8Array.from([...key, 0]),
					Uint8Array.from([...key, 0xff]),
				])
				for (const target of [...targets, ...near]) {
					const expected = entries.findIndex(item => compareBytes(item.key, target) >= 0)
					let index = 0
					const first = table.seekBlock(target)
					let found = -1
					for (let i = 0; i < table.blockCount; i++) {
						const block = table.decodeBlock(i, blockBytes(built, table, i), 'here')
						if (i >= first && found < 0) {
							const at = block.seek(target)
							for (let j = 0; j < block.count; j++) {
								expect(Math.sign(block.compareKeyAt(j, target))).toBe(Math.sign(compareBytes(block.keyAt(j), target)))
								expect(block.compareKeyAt(j, target) >= 0).toBe(j >= at)
							}
							if (at < block.count) found = index + at
							// At most one block is looked at in vain.
							expect(found >= 0 || i === first).toBe(true)
						}
						index += block.count
					}
					expect(found).toBe(expected)
				}
			}),
			{ numRuns: 30 },
		)
	})

	test('keys outside the range of the table are in no block', () => {
		const table = open(build([entry('b', 1), entry('c', 2)]))
		expect(table.findBlock(utf8('a'))).toBe(-1)
		expect(table.findBlock(utf8('c\0'))).toBe(-1)
		expect(table.findBlock(utf8('b'))).toBe(0)
		expect(table.findBlock(utf8('b1'))).toBe(0)
		expect(table.seekBlock(utf8('a'))).toBe(0)
		expect(table.seekBlock(utf8('c\0'))).toBe(1)
	})

	test('many versions of one key span blocks: the first block holds the newest and the rest follow', () => {
		const versions = Array.from({ length: 200 }, (_, i) => entry('key', 1000 - i, `value ${i}`))
		const built = build([entry('a', 1), ...versions, entry('key\0', 5000), entry('z', 2)], { blockBytes: 128 })
		const table = open(built)
		expect(table.blockCount).toBeGreaterThan(10)
		expect(readNewest(built, table, utf8('key'))?.seq).toBe(1000)
		for (let seq = 801; seq <= 1000; seq++) expect(readNewest(built, table, utf8('key'), seq)?.seq).toBe(seq)
		expect(readNewest(built, table, utf8('key'), 800)).toBeUndefined()
		expect(readNewest(built, table, utf8('key\0'))?.seq).toBe(5000)
	})

	test('two blocks compare their keys whatever their prefixes', () => {
		fc.assert(
			fc.property(modelEntries, modelEntries, (left, right) => {
				const a = build(left, { blockBytes: 512 })
				const b = build(right, { blockBytes: 64 })
				const aTable = open(a)
				const bTable = open(b)
				const one = aTable.decodeBlock(0, blockBytes(a, aTable, 0), 'here')
				const last = bTable.blockCount - 1
				const other = bTable.decodeBlock(last, blockBytes(b, bTable, last), 'here')
				for (let i = 0; i < one.count; i++) {
					for (let j = 0; j < other.count; j++) {
						const expected = Math.sign(compareBytes(one.keyAt(i), other.keyAt(j)))
						expect(Math.sign(one.compareKeysAt(i, other, j))).toBe(expected)
					}
				}
			}),
			{ numRuns: 40 },
		)
	})
})

describe('the filter of a table', () => {
	test('passes every key that is there and few that are not', () => {
		const present = Array.from({ length: 20_000 }, (_, i) => entry(`user:${String(i).padStart(8, '0')}`, i))
		const table = open(build(present))
		for (const { key } of present) expect(table.mayContain(hashKey(key, 0, key.length))).toBe(true)
		let passed = 0
		for (let i = 0; i < 20_000; i++) {
			const key = utf8(`other:${i}`)
			if (table.mayContain(hashKey(key, 0, key.length))) passed++
		}
		// 1.3 % are expected at 10 bits per key.
		expect(passed).toBeLessThan(400)
		expect(passed).toBeGreaterThan(100)
	})

	test('counts distinct keys and not versions', () => {
		const versions = Array.from({ length: 5000 }, (_, i) => entry('key', 9000 - i))
		const { meta, bytes } = build(versions)
		expect(bytes.length - meta.metaOffset).toBeLessThan(5000)
	})
})

test('estimatedBytes is near what the table becomes', () => {
	const builder = new TableBuilder({ codec: 'none', minWriteMs: 0, maxWriteMs: 0 })
	for (let i = 0; i < 20_000; i++) {
		const key = utf8(`key${String(i).padStart(9, '0')}`)
		builder.add(key, 0, key.length, i, KIND_VALUE, 0, new Uint8Array(100), 0, 100)
	}
	const estimated = builder.estimatedBytes
	const { bytes } = builder.finish()
	expect(Math.abs(estimated / bytes.length - 1)).toBeLessThan(0.03)
})

test('tables built after one another do not share memory', () => {
	const first = build([entry('a', 1, 'first')])
	const copy = first.bytes.slice()
	build([entry('b', 1, 'second'.repeat(100))])
	expect(first.bytes).toEqual(copy)
})

test('a table opens from a Buffer that lies inside a larger one', () => {
	const built = build([entry('a', 1, 'x'), entry('b', 2, 'y')])
	const pool = Buffer.alloc(built.bytes.length + 100, 0xee)
	pool.set(built.bytes, 37)
	const { offset, bytes } = metaRange(built.meta)
	const table = openTable(built.meta, pool.subarray(37 + offset, 37 + offset + bytes), 'here')
	const block = table.decodeBlock(0, pool.subarray(37, 37 + table.blockRange(0).bytes), 'here')
	pool.fill(0)
	expect(block.valueViewAt(1)).toEqual(utf8('y'))
	expect(table.isFilterDamaged).toBe(false)
	expect(table.mayContain(hashKey(utf8('a'), 0, 1))).toBe(true)
	expect(table.findBlock(utf8('b'))).toBe(0)
	expect(table.memoryBytes).toBeGreaterThan(32)
})
