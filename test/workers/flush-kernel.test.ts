/** The flush in WebAssembly against the flush in TypeScript: the same bytes, the same refusals. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { systemHost } from '../../src/host/host.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { type EntryKind, KIND_BLOB, toSeq } from '../../src/sst/entry.ts'
import { ownBuffers } from '../../src/sst/entry-arena.ts'
import { flushInto } from '../../src/sst/flush-kernel.ts'
import { type BuiltTable, TableBuilder } from '../../src/sst/table-builder.ts'
import { blockBytesOf, type TableOptions } from '../../src/sst/table-options.ts'
import { compileKernel, KERNELS } from '../../tools/build-kernel.ts'
import { type EncodeTableInput, encodeTableJob } from '../../workers/encode-table.ts'

type Mutation = readonly [key: string | Uint8Array, value: Uint8Array, kind: EntryKind, expiresAtMs: number]

const blobRef = encodeBlobRef({ packId: 'w1-2', offset: 64, bytes: 300_000, crc: 5 })

/** Alphabets and shapes that the sort treats differently, and lengths that move the edges of words. */
const keys = fc.oneof(
	fc.integer({ min: 0, max: 1e9 }).map(n => String(n)),
	fc.integer({ min: 0, max: 1e6 }).map(n => `tenant/0001/user/${String(n).padStart(10, '0')}/profile`),
	fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 60 }),
	fc.uint8Array({ minLength: 1, maxLength: 20 }),
	fc.array(fc.constantFrom(0, 255), { minLength: 1, maxLength: 40 }).map(list => Uint8Array.from(list)),
	fc.integer({ min: 1, max: 300 }).map(length => 'same'.repeat(length)),
)
const mutation: fc.Arbitrary<Mutation> = fc
	.tuple(
		keys,
		fc.uint8Array({ maxLength: 40 }),
		fc.constantFrom<EntryKind>(0, 1, 2),
		fc.oneof(fc.constant(0), fc.nat()),
	)
	.map(([key, value, kind, at]) => [key, kind === KIND_BLOB ? blobRef : value, kind, at])
const options = fc.record({
	codec: fc.constantFrom('none' as const, 'lz4' as const, 'deflate' as const),
	blockBytes: fc.constantFrom(undefined, 64, 100, 256, 4096, 100_000),
	filterBitsPerKey: fc.constantFrom(undefined, 1, 20),
	minWriteMs: fc.constant(1),
	maxWriteMs: fc.constant(2),
})

function jobOf(list: Iterable<Mutation>, table: TableOptions, baseSeq = 50): EncodeTableInput {
	const memtable = new Memtable({ baseSeq: toSeq(baseSeq), pool: new ArenaPool() })
	for (const [key, value, kind, expiresAtMs] of list) memtable.put(key, value, kind, expiresAtMs)
	memtable.freeze()
	return memtable.makeEncodeJob(table).input
}

function flushed(input: EncodeTableInput): BuiltTable {
	const builder = new TableBuilder(input.table)
	expect(flushInto(builder, { ...input, blockBytes: blockBytesOf(input.table) })).toBe(true)
	return builder.finish()
}

function expectSame(input: EncodeTableInput): void {
	const { bytes, meta } = encodeTableJob(input, true).output
	const made = flushed(input)
	expect(made.meta).toEqual(meta)
	expect(Buffer.compare(made.bytes, bytes)).toBe(0)
}

describe('the kernel of flushes', () => {
	test.each(KERNELS)('is what the compiler makes of its source, as the $name', kernel => {
		expect(readFileSync(join(import.meta.dirname, '../..', kernel.output), 'utf8')).toBe(compileKernel(kernel))
	})

	test('makes the bytes that TypeScript makes, of any entries', () => {
		const few = fc.array(mutation, { minLength: 1, maxLength: 300 })
		// So many of few keys that ranges of ties are sorted by counting, again and again.
		const tied = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 40 })
		const many = fc.array(
			tied.map((key): Mutation => [key, new Uint8Array(key.length % 7), 1, 0]),
			{ minLength: 600, maxLength: 1_500 },
		)
		fc.assert(
			fc.property(fc.oneof({ weight: 9, arbitrary: few }, { weight: 1, arbitrary: many }), options, (list, table) => {
				expectSame(jobOf(list, table))
			}),
			{ numRuns: 400 },
		)
	})

	test('and of thousands, whatever the shape of their keys, with several versions of some', () => {
		const shapes: readonly ((n: number) => string)[] = [
			n => String(n % 9_000),
			n => n.toString(16).padStart(8, '0'),
			n => `tenant/${n % 97}/user/${n}/profile`,
			n => `${'p'.repeat(n % 50)}${n % 3}`,
			n => String.fromCharCode(32 + (n % 90), 32 + ((n >> 7) % 90)).repeat(1 + (n % 12)),
			n => `one key${n % 2 === 0 ? '' : '\u0000'}`,
		]
		for (const [i, shape] of shapes.entries()) {
			for (const codec of ['none', 'lz4'] as const) {
				const list = Array.from({ length: 12_000 }, (_, k): Mutation => {
					const n = Math.imul(k + i, 0x9e3779b1) >>> 8
					const kind: EntryKind = n % 11 === 3 ? 0 : 1
					return [shape(n), Buffer.from(`${n}`.padEnd(kind * (n % 90), 'v')), kind, n % 5 === 0 ? 1e12 + n : 0]
				})
				const input = jobOf(list, { codec, minWriteMs: 0, maxWriteMs: 9 }, 2 ** 40)
				expectSame(input)
				// What the job runs is the kernel: its table is the same in any case.
				expect(encodeTableJob(input).output.meta.entryCount).toBe(12_000)
			}
		}
	})

	test('and of entries beyond a chunk, keys of 64 KiB, and keys that differ after 60,000 bytes', () => {
		const large = Array.from({ length: 40 }, (_, i): Mutation => {
			return [`${i % 7}`, new Uint8Array(1 + i * 9_001).fill(i), 1, 0]
		})
		const long = Array.from({ length: 120 }, (_, i): Mutation => {
			return [`${'x'.repeat(60_000 + (i % 3))}${(i * 37) % 120}`, new Uint8Array(i % 5), 1, 0]
		})
		const longest = Array.from(
			{ length: 9 },
			(_, i): Mutation => ['k'.repeat(65_536 - (i % 4)), new Uint8Array(i), 1, 0],
		)
		for (const list of [large, long, longest, [...large, ...long, ...longest]]) {
			for (const blockBytes of [64, 4096, 1_048_576]) {
				expectSame(jobOf(list, { codec: 'none', blockBytes, minWriteMs: 0, maxWriteMs: 0 }))
			}
		}
	})

	test('leaves nothing behind for the next one, as a job in a pool', async () => {
		const pool = createInlinePool(systemHost)
		const table: TableOptions = { codec: 'none', minWriteMs: 0, maxWriteMs: 0 }
		for (const count of [5_000, 1_100, 30_000, 1_100]) {
			const list = Array.from({ length: count }, (_, i): Mutation => [`${Math.imul(i, 7919) % count}`, blobRef, 2, i])
			const expected = encodeTableJob(jobOf(list, table), true).output
			const input = jobOf(list, table)
			const made = await pool.run('encode-table', () => ({ input, transfer: ownBuffers(input.segments) }))
			expect(made.meta).toEqual(expected.meta)
			expect(Buffer.compare(made.bytes, expected.bytes)).toBe(0)
		}
		await pool.close()
	})

	test('refuses what TypeScript refuses: too few entries, numbers with a gap, lengths that lie', () => {
		const list = Array.from({ length: 1_200 }, (_, i): Mutation => [`key ${i}`, blobRef, 1, 0])
		const table: TableOptions = { codec: 'none', minWriteMs: 0, maxWriteMs: 0 }
		const broken = (change: (words: Int32Array) => void, entryCount = 1_200): EncodeTableInput => {
			const input = jobOf(list, table)
			change(new Int32Array(input.segments[0]?.buffer ?? new ArrayBuffer(0)))
			return { ...input, entryCount }
		}
		const cases: readonly [EncodeTableInput, RegExp][] = [
			[broken(() => undefined, 1_201), /should be 1201/],
			[broken(() => undefined, 1_199), /out of range/],
			[broken(words => words.fill(5_000, 0, 1)), /out of range/],
			// A key that swallows the rest of its segment, and a value beyond all.
			[broken(words => words.fill(65_536, 3, 4)), /./],
			[broken(words => words.fill(0x1fff_ffff, 2, 3)), /./],
		]
		for (const [input, reason] of cases) {
			expect(() => encodeTableJob(input)).toThrow(reason)
			expect(() => encodeTableJob(input, true)).toThrow(reason)
		}
		expect(() => encodeTableJob(broken(words => words.fill(0, 3, 4)))).toThrow('broken entry')
	})

	test('is not there for more entries than its memory holds', () => {
		const builder = new TableBuilder({ codec: 'none', minWriteMs: 0, maxWriteMs: 0 })
		expect(flushInto(builder, { segments: [], baseSeq: 0, entryCount: 3_000_000, blockBytes: 4096 })).toBe(false)
	})
})
