import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { systemHost } from '../../src/host/host.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { type EntryKind, KIND_BLOB, toSeq } from '../../src/sst/entry.ts'
import { viewSegments } from '../../src/sst/entry-arena.ts'
import { sortEntries } from '../../src/sst/entry-sort.ts'
import type { TableOptions } from '../../src/sst/table-options.ts'
import { encodeTableJob } from '../../workers/encode-table.ts'
import { contentsOf, MemtableModel, type ModelEntry } from '../memtable/memtable-model.ts'
import { open } from '../sst/table-model.ts'

const options: TableOptions = { codec: 'none', blockBytes: 256, minWriteMs: 1, maxWriteMs: 2 }

/** Alphabets that the sort treats differently: digits, two letters, any byte, zero bytes; and shared prefixes. */
const keys = fc.oneof(
	fc.integer({ min: 0, max: 1e9 }).map(n => String(n)),
	fc.integer({ min: 0, max: 1e6 }).map(n => `tenant/0001/user/${String(n).padStart(10, '0')}/profile`),
	fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 60 }),
	fc.uint8Array({ minLength: 1, maxLength: 20 }),
	fc.array(fc.constantFrom(0, 255), { minLength: 1, maxLength: 40 }).map(list => Uint8Array.from(list)),
	fc.integer({ min: 1, max: 300 }).map(length => 'same'.repeat(length)),
)
const kinds = fc.constantFrom<EntryKind>(0, 1, 2)
const blobRef = encodeBlobRef({ packId: 'w1-2', offset: 64, bytes: 300_000, crc: 5 })
const mutation = fc
	.tuple(keys, fc.uint8Array({ maxLength: 30 }), kinds, fc.nat())
	.map(([key, value, kind, at]): [string | Uint8Array, Uint8Array, EntryKind, number] => [
		key,
		kind === KIND_BLOB ? blobRef : value,
		kind,
		at,
	])
const entries = fc.array(mutation, { minLength: 1, maxLength: 600 })

function fill(
	memtable: Memtable,
	list: readonly [string | Uint8Array, Uint8Array, EntryKind, number][],
): MemtableModel {
	const model = new MemtableModel(memtable.baseSeq)
	for (const [key, value, kind, expiresAtMs] of list) {
		memtable.put(key, value, kind, expiresAtMs)
		model.put(typeof key === 'string' ? new TextEncoder().encode(key) : key, value, kind, expiresAtMs)
	}
	return model
}

const newMemtable = (): Memtable => new Memtable({ baseSeq: toSeq(50), pool: new ArenaPool() })

test('the table of a memtable holds all its versions, sorted as an array of entries is', () => {
	fc.assert(
		fc.property(entries, fc.constantFrom('none', 'lz4', 'deflate'), (list, codec) => {
			const memtable = newMemtable()
			const model = fill(memtable, list)
			memtable.freeze()
			const { output } = encodeTableJob(memtable.makeEncodeJob({ ...options, codec }).input)
			const table = open({ ...output, bytes: new Uint8Array(output.bytes) })
			const found: ModelEntry[] = []
			for (let b = 0; b < table.blockCount; b++) {
				const { offset, bytes } = table.blockRange(b)
				const block = table.decodeBlock(b, output.bytes.subarray(offset, offset + bytes), 'here')
				for (let i = 0; i < block.count; i++) {
					const [kind, expiresAtMs] = [block.kindAt(i), block.expiresAtMsAt(i)]
					found.push({
						key: block.keyAt(i),
						seq: block.seqAt(i),
						kind,
						expiresAtMs,
						value: block.valueViewAt(i).slice(),
					})
				}
			}
			expect(found).toEqual(model.sorted())
		}),
		{ numRuns: 150 },
	)
})

test('sorting thousands of keys of one shape, and of many, agrees with an array of entries', async () => {
	const jobs = createInlinePool(systemHost)
	const shapes = fc.constantFrom<(n: number) => string>(
		n => String(n),
		n => n.toString(16).padStart(8, '0'),
		n => `tenant/${n % 97}/user/${n}/profile`,
		n => `${'p'.repeat(n % 50)}${n % 3}`,
		n => String.fromCharCode(32 + (n % 90), 32 + ((n >> 7) % 90)).repeat(1 + (n % 12)),
		n => `one key${n % 2 === 0 ? '' : '\u0000'}`,
	)
	await fc.assert(
		fc.asyncProperty(shapes, fc.integer({ min: 600, max: 9_000 }), fc.nat(), async (shape, count, seed) => {
			const memtable = newMemtable()
			const numbers = Array.from({ length: count }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 8)
			const model = fill(
				memtable,
				numbers.map(n => [shape(n), new Uint8Array(0), 1, 0]),
			)
			const [run] = await memtable.sortedRuns(jobs)
			expect(run && contentsOf(run)).toEqual(model.sorted())
		}),
		{ numRuns: 30 },
	)
	await jobs.close()
})

test('keys that share 60,000 bytes and differ after them are sorted without a stack as deep', () => {
	const memtable = newMemtable()
	const list = Array.from({ length: 200 }, (_, i): [string, Uint8Array, EntryKind, number] => [
		`${'x'.repeat(60_000 + (i % 3))}${(i * 37) % 200}`,
		new Uint8Array(0),
		1,
		0,
	])
	const model = fill(memtable, list)
	memtable.freeze()
	const { segments, entryCount } = memtable.makeEncodeJob(options).input
	const views = viewSegments(segments)
	const refs = sortEntries(segments, views, entryCount)
	const seqs = Array.from(refs, ref => 50 + (views.words[ref >>> 16]?.[ref & 0xffff] ?? -1))
	expect(seqs).toEqual(model.sorted().map(entry => entry.seq))
})

test('refuses no entries, fewer than are said to be there, and segments that end past their buffer', () => {
	const memtable = newMemtable()
	fill(memtable, [['k', new Uint8Array(1), 1, 0]])
	memtable.freeze()
	const { input } = memtable.makeEncodeJob(options)
	expect(() => encodeTableJob({ ...input, segments: [], entryCount: 0 })).toThrow('no entries')
	expect(() => encodeTableJob({ ...input, entryCount: 2 })).toThrow('should be 2')
	const long = input.segments.map(segment => ({ ...segment, endWord: 1e6 }))
	expect(() => encodeTableJob({ ...input, segments: long })).toThrow('ends past its buffer')
})
