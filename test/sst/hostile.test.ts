/** Bytes with sound CRCs that nobody but an enemy would write: typed errors, nothing allocated, nothing read outside. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'
import { Block } from '../../src/sst/block.ts'
import { BlockIndex } from '../../src/sst/block-index.ts'
import { CODEC_NAMES, codecByName } from '../../src/sst/codec.ts'
import { KEY_MAX_BYTES } from '../../src/sst/entry.ts'
import { FOOTER_BYTES } from '../../src/sst/footer.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'
import {
	decodeProperties,
	decodeSstMeta,
	encodeSstMeta,
	SST_FORMAT_VERSION,
	settleProperties,
} from '../../src/sst/sst-properties.ts'
import { openTable, readSstMeta } from '../../src/sst/sst-table.ts'
import { openStoredBlock } from '../../src/sst/stored-block.ts'
import type { BuiltTable } from '../../src/sst/table-builder.ts'
import { blockBytes, build, codeOf, smallEntries as entries, entry, open, readAll, utf8 } from './table-model.ts'

/** Puts the right CRC back after a change: what remains to be refused is hostile and not damaged. */
function resealFooter(bytes: Uint8Array): void {
	const at = bytes.length - FOOTER_BYTES
	new DataView(bytes.buffer).setUint32(at + 20, crc32(bytes.subarray(at, at + 20)), true)
}

/** The table with other properties, and a footer and checksums that fit. */
function withMeta(bytes: Uint8Array, meta: SstMeta): BuiltTable {
	const at = bytes.length - FOOTER_BYTES
	const view = new DataView(bytes.buffer)
	const [metaOffset, filterBytes, indexBytes] = [0, 4, 8].map(field => view.getUint32(at + field, true))
	const start = (metaOffset ?? 0) + (filterBytes ?? 0) + (indexBytes ?? 0)
	const said = decodeProperties(bytes.subarray(start, at), 'here')
	const { section, storedBytes } = settleProperties(start + FOOTER_BYTES, size => ({
		...said,
		meta: { ...meta, storedBytes: size },
	}))
	const made = new Uint8Array(Buffer.concat([bytes.subarray(0, start), section, bytes.subarray(at)]))
	new DataView(made.buffer).setUint32(made.length - FOOTER_BYTES + 12, section.length, true)
	resealFooter(made)
	return { bytes: made, meta: { ...meta, storedBytes } }
}

describe('hostile bytes with sound CRCs', () => {
	test('a newer version, in the footer or in the reference, is unsupported', () => {
		const { bytes, meta } = build(entries)
		bytes[bytes.length - FOOTER_BYTES + 16] = SST_FORMAT_VERSION + 1
		resealFooter(bytes)
		expect(codeOf(() => open({ bytes, meta }))).toBe('ISLE_UNSUPPORTED')
		expect(codeOf(() => readSstMeta(bytes, 'here'))).toBe('ISLE_UNSUPPORTED')
		expect(codeOf(() => open({ ...build(entries), meta: { ...meta, formatVersion: SST_FORMAT_VERSION + 1 } }))).toBe(
			'ISLE_UNSUPPORTED',
		)
	})

	test('a footer of version 0, or whose reserved bytes are not 0, is corrupt', () => {
		for (const [at, value] of [
			[16, 0],
			[19, 1],
		] as const) {
			const { bytes, meta } = build(entries)
			bytes[bytes.length - FOOTER_BYTES + at] = value
			resealFooter(bytes)
			expect(codeOf(() => open({ bytes, meta }))).toBe('ISLE_CORRUPT')
		}
	})

	test('a footer whose sections do not add up is corrupt', () => {
		for (let field = 0; field < 4; field++) {
			for (const value of [0, 1, 0x7fffffff, 0xffffffff]) {
				const { bytes, meta } = build(entries)
				new DataView(bytes.buffer).setUint32(bytes.length - FOOTER_BYTES + 4 * field, value, true)
				resealFooter(bytes)
				expect(codeOf(() => open({ bytes, meta }))).toBe('ISLE_CORRUPT')
			}
		}
	})

	test('a block that declares more raw bytes than the table allows is refused before it is allocated', () => {
		for (const codec of CODEC_NAMES) {
			const built = build(entries, { codec })
			const table = open(built)
			const largest = blockBytes(built, table, 0).slice()
			const view = new DataView(largest.buffer)
			const declared = view.getUint32(5, true)
			for (const rawBytes of [declared + 1, 0x7fffffff, 0xffffffff, 0, declared - 1]) {
				view.setUint32(5, rawBytes, true)
				view.setUint32(0, crc32(largest.subarray(4)), true)
				expect(codeOf(() => table.decodeBlock(0, largest, 'here'))).toBe('ISLE_CORRUPT')
			}
		}
	})

	test('a block that declares more than its payload can hold is refused before it is allocated, whatever the table admits', () => {
		const rawMaxBytes = 269_549_568
		for (const codec of ['deflate', 'lz4', 'zstd'] as const) {
			const zeros = new Uint8Array(4_000_000)
			const payload = codecByName(codec)?.compress(zeros) ?? zeros
			const stored = new Uint8Array(9 + payload.length)
			stored.set(payload, 9)
			stored[4] = codecByName(codec)?.id ?? 0
			const declare = (rawBytes: number): Uint8Array => {
				const view = new DataView(stored.buffer)
				view.setUint32(5, rawBytes, true)
				view.setUint32(0, crc32(stored.subarray(4)), true)
				return stored
			}
			// The most that there is: zeros.
			expect(openStoredBlock(declare(zeros.length), rawMaxBytes, 'here')).toHaveLength(zeros.length)
			let asked = 0
			const room = (rawBytes: number): Uint8Array => {
				asked += rawBytes
				return new Uint8Array(rawBytes)
			}
			const lie = declare(rawMaxBytes)
			expect(codeOf(() => openStoredBlock(lie.subarray(0, 200), rawMaxBytes, 'here', room))).toBe('ISLE_CORRUPT')
			const short = new Uint8Array(lie.subarray(0, 200))
			new DataView(short.buffer).setUint32(0, crc32(short.subarray(4)), true)
			expect(codeOf(() => openStoredBlock(short, rawMaxBytes, 'here', room))).toBe('ISLE_CORRUPT')
			expect(asked, codec).toBe(0)
		}
	})

	test('a block with keys outside of the range that its table says is corrupt', () => {
		const { bytes, meta } = build([entry('b', 1), entry('c', 2), entry('d', 3)])
		for (const range of [
			{ smallestKey: utf8('bb') },
			{ largestKey: utf8('cc') },
			{ smallestKey: utf8('bb'), largestKey: utf8('cc') },
		]) {
			const lie = withMeta(bytes, { ...meta, ...range })
			expect(
				codeOf(() => readAll(lie)),
				JSON.stringify(range),
			).toBe('ISLE_CORRUPT')
		}
		expect(readAll(withMeta(bytes, meta))).toHaveLength(3)
	})

	test('a block of a codec that is not known is unsupported', () => {
		const built = build(entries)
		const table = open(built)
		const stored = blockBytes(built, table, 0).slice()
		stored[4] = 9
		new DataView(stored.buffer).setUint32(0, crc32(stored.subarray(4)), true)
		expect(codeOf(() => table.decodeBlock(0, stored, 'here'))).toBe('ISLE_UNSUPPORTED')
	})

	test('a block of another place in the table, sound in itself, is corrupt', () => {
		const many = Array.from({ length: 60 }, (_, i) => entry(`k${i + 100}`, i, 'x'.repeat(20)))
		const built = build(many, { blockBytes: 200 })
		const table = open(built)
		let checked = 0
		for (let i = 0; i < table.blockCount; i++) {
			for (let j = 0; j < table.blockCount; j++) {
				const stored = blockBytes(built, table, j)
				if (i === j || stored.length !== table.blockRange(i).bytes) continue
				expect(codeOf(() => table.decodeBlock(i, stored, 'here'))).toBe('ISLE_CORRUPT')
				checked++
			}
		}
		expect(checked).toBeGreaterThan(10)
		expect(codeOf(() => table.decodeBlock(0, new Uint8Array(3), 'here'))).toBe('ISLE_CORRUPT')
	})

	test('a table in the place of another is corrupt', () => {
		const one = build([entry('a', 1, 'one')])
		const other = build([entry('a', 2, 'two')])
		expect(other.bytes.length).toBe(one.bytes.length)
		expect(codeOf(() => open({ bytes: other.bytes, meta: one.meta }))).toBe('ISLE_CORRUPT')
	})

	test('write times of the reference may differ from those of the table', () => {
		const built = build(entries)
		const meta = { ...built.meta, minWriteMs: 5, maxWriteMs: 9_999_999 }
		expect(openTable(meta, built.bytes.subarray(meta.metaOffset), 'here').meta.maxWriteMs).toBe(9_999_999)
	})

	test('any byte of a raw block may be anything: it opens and can be read everywhere, or it is corrupt', () => {
		const built = build(entries, { blockBytes: 4096 })
		const table = open(built)
		const raw = blockBytes(built, table, 0).slice(9)
		const touch = (bytes: Uint8Array): 'read' | 'refused' => {
			let block: Block
			try {
				block = new Block(bytes, 'here')
			} catch (error) {
				expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
				return 'refused'
			}
			for (let i = 0; i < block.count; i++) {
				expect(block.keyAt(i).length).toBe(block.keyBytesAt(i))
				expect(Number.isSafeInteger(block.seqAt(i) + block.expiresAtMsAt(i))).toBe(true)
				expect(block.kindAt(i)).toBeLessThanOrEqual(2)
				expect(block.valueViewAt(i).length).toBe(block.valueEndAt(i) - block.valueStartAt(i))
				expect(block.compareKeyAt(i, utf8('user/005'))).toBeTypeOf('number')
				if (i > 0) expect(block.compareKeysAt(i - 1, block, i)).toBeLessThanOrEqual(0)
			}
			expect(block.seek(utf8('user/005'))).toBeLessThanOrEqual(block.count)
			return 'read'
		}
		expect(touch(raw)).toBe('read')
		const seen = new Set<string>()
		for (let at = 0; at < raw.length; at++) {
			for (const value of [0, 1, 7, 0x7f, 0x80, 0xff]) {
				const bytes = raw.slice()
				bytes[at] = value
				seen.add(touch(bytes))
			}
		}
		expect([...seen].sort()).toEqual(['read', 'refused'])
		for (let length = 0; length < raw.length; length++) expect(touch(raw.slice(0, length))).toBe('refused')
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
				touch(bytes)
			}),
			{ numRuns: 500 },
		)
	})
})

describe('a hostile block index', () => {
	/** A section with that many blocks and those separators, with a sound CRC. */
	function section(
		blockEnds: number[],
		separatorEnds: number[],
		separators: string,
		count = blockEnds.length,
	): Uint8Array {
		const bytes = new ByteWriter()
			.u32(0)
			.u32(count)
			.u32(separators.length)
			.bytes(new Uint8Array(Uint32Array.from([...blockEnds, ...separatorEnds]).buffer))
			.bytes(utf8(separators))
			.finish()
		new DataView(bytes.buffer).setUint32(0, crc32(bytes.subarray(4)), true)
		return bytes
	}
	const opens = (bytes: Uint8Array, blocksEnd = 300) => codeOf(() => new BlockIndex(bytes, blocksEnd, 'here'))

	test('opens when it is sound, and finds blocks by their separators', () => {
		const index = new BlockIndex(section([100, 200, 300], [0, 1, 3], 'bde'), 300, 'here')
		expect(['', 'a', 'b', 'c', 'd', 'de', 'df', 'z'].map(key => index.find(utf8(key)))).toEqual([
			0, 0, 1, 1, 1, 2, 2, 2,
		])
	})

	test.each([
		['no blocks', section([], [], '')],
		['more blocks than bytes', section([100, 300], [0, 1], 'b', 0x3fffffff)],
		['blocks that end before they begin', section([100, 90, 300], [0, 1, 3], 'bde')],
		['an empty block', section([100, 100, 300], [0, 1, 3], 'bde')],
		['blocks past the end', section([100, 200, 301], [0, 1, 3], 'bde')],
		['blocks that end early', section([100, 200, 299], [0, 1, 3], 'bde')],
		['separators out of order', section([100, 200, 300], [0, 1, 2], 'ba')],
		['separator ends out of order', section([100, 200, 300], [0, 2, 1], 'ab')],
		['separators past their bytes', section([100, 200, 300], [0, 1, 9], 'bde')],
		['separator bytes that belong to none', section([100, 200, 300], [0, 1, 2], 'bde')],
		['a first separator', section([100, 200, 300], [1, 2, 3], 'abc')],
		['an empty separator', section([100, 200, 300], [0, 0, 1], 'b')],
	])('with %s is corrupt', (_, bytes) => {
		expect(opens(bytes)).toBe('ISLE_CORRUPT')
	})

	test('a separator of 64 KiB and a byte is the longest', () => {
		const longest = 'x'.repeat(KEY_MAX_BYTES + 1)
		expect(opens(section([100, 300], [0, longest.length], longest))).toBe('none')
		expect(opens(section([100, 300], [0, longest.length + 1], `${longest}x`))).toBe('ISLE_CORRUPT')
	})
})

test('properties that contradict each other are corrupt', () => {
	const { meta } = build(entries)
	const read = (change: Partial<SstMeta>): string => {
		const writer = new ByteWriter()
		encodeSstMeta(writer, { ...meta, ...change })
		return codeOf(() => decodeSstMeta(new ByteReader(writer.finish(), 'here'), 'here'))
	}
	expect(read({})).toBe('none')
	expect(read({ formatVersion: SST_FORMAT_VERSION + 1 })).toBe('ISLE_UNSUPPORTED')
	expect(read({ formatVersion: 0 })).toBe('ISLE_CORRUPT')
	expect(read({ maxExpiresAtMs: 5, halfExpiresAtMs: 5 })).toBe('none')
	expect(read({ maxExpiresAtMs: 5, halfExpiresAtMs: 6 })).toBe('ISLE_CORRUPT')
	expect(read({ entryCount: 0 })).toBe('ISLE_CORRUPT')
	expect(read({ tombstoneCount: meta.entryCount + 1 })).toBe('ISLE_CORRUPT')
	expect(read({ minSeq: meta.maxSeq + 1 })).toBe('ISLE_CORRUPT')
	expect(read({ minWriteMs: meta.maxWriteMs + 1 })).toBe('ISLE_CORRUPT')
	expect(read({ metaOffset: meta.storedBytes })).toBe('ISLE_CORRUPT')
	expect(read({ smallestKey: new Uint8Array(0) })).toBe('ISLE_CORRUPT')
	expect(read({ smallestKey: utf8('z') })).toBe('ISLE_CORRUPT')
	expect(read({ largestKey: new Uint8Array(KEY_MAX_BYTES + 1).fill(0xff) })).toBe('ISLE_CORRUPT')
})
