import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { CODEC_NAMES } from '../../src/sst/codec.ts'
import { KEY_MAX_BYTES, KIND_VALUE, VALUE_MAX_BYTES } from '../../src/sst/entry.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { build, entry, open, readAll, readNewest, sorted, utf8 } from './table-model.ts'

describe('limits', () => {
	const tableOf = (key: Uint8Array, valueBytes: number): TableBuilder => {
		const builder = new TableBuilder({ codec: 'none', minWriteMs: 0, maxWriteMs: 0 })
		builder.add(key, 0, key.length, 1, KIND_VALUE, 0, new Uint8Array(valueBytes), 0, valueBytes)
		return builder
	}

	test('keys of 64 KiB are taken, beside short ones, and one byte more is refused', () => {
		const long = (fill: number): Uint8Array => new Uint8Array(KEY_MAX_BYTES).fill(fill)
		const entries = sorted([entry(long(0), 1), entry(long(0xff), 2, 'v'), entry('m', 3), entry(long(0xff), 1)])
		for (const codec of CODEC_NAMES) {
			const built = build(entries, { codec })
			expect(readAll(built)).toEqual(entries)
			for (const { key } of entries) expect(readNewest(built, open(built), key)?.key).toEqual(key)
		}
		expect(() => tableOf(new Uint8Array(KEY_MAX_BYTES + 1), 0)).toThrow('broken invariant')
		expect(() => tableOf(new Uint8Array(0), 0)).toThrow('broken invariant')
	})

	test('a value of 256 MiB is the largest', () => {
		expect(tableOf(utf8('k'), VALUE_MAX_BYTES).entryCount).toBe(1)
		expect(() => tableOf(utf8('k'), VALUE_MAX_BYTES + 1)).toThrow('broken invariant')
		expect(tableOf(utf8('k'), 1_000_000).finish().meta.rawBytes).toBe(1_000_001)
	})

	test('large values among small ones come back', () => {
		const large = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >>> 3)
		const entries = [entry('a', 9, large), entry('a', 8), entry('b', 7, large.subarray(0, 65_536)), entry('c', 1, 'x')]
		for (const codec of CODEC_NAMES) expect(readAll(build(entries, { codec }))).toEqual(entries)
	})

	test('data of 65,535 bytes still has narrow ends, and one byte more has wide ones', () => {
		for (const bytes of [65_535, 65_536]) {
			const entries = [entry('k', 1, new Uint8Array(bytes).fill(1))]
			const built = build(entries)
			// The only key is the prefix, so the data is the value alone; flags are the first byte of the raw block.
			expect(built.bytes[9]).toBe(bytes === 65_535 ? 0 : 1)
			expect(readAll(built)).toEqual(entries)
		}
	})

	test('options out of their range are refused', () => {
		const make = (options: object) => () =>
			new TableBuilder({ codec: 'none', minWriteMs: 5, maxWriteMs: 5, ...options })
		for (const blockBytes of [64, 1_048_576]) expect(make({ blockBytes })).not.toThrow()
		for (const blockBytes of [63, 1_048_577, 100.5, Number.NaN]) expect(make({ blockBytes })).toThrow(RangeError)
		for (const filterBitsPerKey of [1, 32]) expect(make({ filterBitsPerKey })).not.toThrow()
		for (const filterBitsPerKey of [0, 33, -1]) expect(make({ filterBitsPerKey })).toThrow(RangeError)
		expect(make({ maxWriteMs: 4 })).toThrow(RangeError)
		expect(make({ minWriteMs: -1 })).toThrow(RangeError)
	})

	test('an unknown codec is unsupported, and the message names those that are known', () => {
		const options = JSON.parse('{"codec":"snappy","minWriteMs":0,"maxWriteMs":0}')
		try {
			new TableBuilder(options)
		} catch (error) {
			expect(isIsleError(error, 'ISLE_UNSUPPORTED')).toBe(true)
			expect(String(error)).toContain('none, deflate, lz4, zstd')
			return
		}
		throw new Error('nothing was thrown')
	})

	test('an empty table, a second finish and an add after it are refused', () => {
		const options = { codec: 'none', minWriteMs: 0, maxWriteMs: 0 } as const
		expect(() => new TableBuilder(options).finish()).toThrow('broken invariant')
		const builder = tableOf(utf8('k'), 3)
		builder.finish()
		expect(() => builder.finish()).toThrow('broken invariant')
		expect(() => builder.add(utf8('z'), 0, 1, 1, KIND_VALUE, 0, utf8(''), 0, 0)).toThrow('broken invariant')
	})

	test.each([
		['an unknown kind', [{ ...entry('a', 1), kind: JSON.parse('3') }]],
		['a smaller key', [entry('b', 1), entry('a', 2)]],
		['a prefix of the key before', [entry('ab', 1), entry('a', 2)]],
		['the same key and sequence number', [entry('a', 1), entry('a', 1)]],
		['a newer version of the same key', [entry('a', 1), entry('a', 2)]],
		['a sequence number that is none', [entry('a', -1)]],
		['a sequence number beyond 2^53', [entry('a', 2 ** 53)]],
	])('%s is refused', (_, entries) => {
		expect(() => build(entries)).toThrow('broken invariant')
	})
})
