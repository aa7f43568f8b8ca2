import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/bytes/crc32.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { isIsleError } from '../../src/errors.ts'
import { CODEC_NAMES } from '../../src/sst/codec.ts'
import { readSstMeta } from '../../src/sst/sst-table.ts'
import type { BuiltTable } from '../../src/sst/table-builder.ts'
import { build, codeOf, smallEntries as entries, open, readAll, readNewest } from './table-model.ts'

/** What reading everything gives: `right`, a code, or `wrong`, the one outcome that must not be. */
function outcome(damaged: BuiltTable): string {
	try {
		const table = open(damaged)
		const all = readAll(damaged, table)
		if (JSON.stringify(all) !== JSON.stringify(entries)) return 'wrong'
		for (const { key } of entries) {
			const newest = entries.find(item => Buffer.compare(item.key, key) === 0)
			if (readNewest(damaged, table, key)?.seq !== newest?.seq) return 'wrong'
		}
		return 'right'
	} catch (error) {
		if (!isIsleError(error)) throw error
		expect(error.message).toContain('here')
		return error.code
	}
}

test('the outcome of an undamaged table is right, and of one with other entries it is wrong', () => {
	expect(outcome(build(entries, { blockBytes: 128 }))).toBe('right')
	expect(outcome(build(entries.slice(1), { blockBytes: 128 }))).toBe('wrong')
})

describe.each(CODEC_NAMES)('a table of codec %s', codec => {
	const built = build(entries, { codec, blockBytes: 256 })

	test('cut off at any length is corrupt', () => {
		expect(outcome(built)).toBe('right')
		for (let length = 0; length < built.bytes.length; length++) {
			const bytes = built.bytes.slice(0, length)
			expect(outcome({ bytes, meta: built.meta })).toBe('ISLE_CORRUPT')
			expect(codeOf(() => readSstMeta(bytes, 'here'))).toBe('ISLE_CORRUPT')
		}
	})

	test('with any bit flipped is a typed error, or right when the bit is in the filter', () => {
		const table = open(built)
		const filterEnd = built.meta.metaOffset + new DataView(built.bytes.buffer).getUint32(built.bytes.length - 28, true)
		expect(table.isFilterDamaged).toBe(false)
		for (let bit = 0; bit < built.bytes.length * 8; bit++) {
			const at = bit >>> 3
			const bytes = built.bytes.slice()
			bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
			const isInFilter = at >= built.meta.metaOffset && at < filterEnd
			expect(outcome({ bytes, meta: built.meta })).toBe(isInFilter ? 'right' : 'ISLE_CORRUPT')
			if (isInFilter) expect(open({ bytes, meta: built.meta }).isFilterDamaged).toBe(true)
		}
	})
})

describe('a damaged filter', () => {
	test('is reported, and no key is lost', () => {
		const { bytes, meta } = build(entries)
		bytes[meta.metaOffset] = (bytes[meta.metaOffset] as number) ^ 0xff
		const table = open({ bytes, meta })
		expect(table.isFilterDamaged).toBe(true)
		for (const { key } of entries) expect(table.mayContain(hashKey(key, 0, key.length))).toBe(true)
		expect(table.mayContain(0)).toBe(true)
		expect(table.mayContain(0xffffffff)).toBe(true)
	})

	test('with a sound CRC but an unknown kind or a wrong count is treated the same', () => {
		for (const [at, value] of [
			[4, 2],
			[5, 0],
			[5, 2],
			[8, 255],
		] as const) {
			const { bytes, meta } = build(entries)
			const filterBytes = new DataView(bytes.buffer).getUint32(bytes.length - 28, true)
			bytes[meta.metaOffset + at] = value
			const sealed = bytes.subarray(meta.metaOffset + 4, meta.metaOffset + filterBytes)
			new DataView(bytes.buffer).setUint32(meta.metaOffset, crc32(sealed), true)
			expect(open({ bytes, meta }).isFilterDamaged).toBe(true)
		}
	})
})
