/** Merges at their limits, of damaged bytes, in both pools; and proof that the judge of the other tests can say no. */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { crc32 } from '../../src/bytes/crc32.ts'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { Job } from '../../src/runtime/job-pool.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { KIND_BLOB, KIND_TOMBSTONE } from '../../src/sst/entry.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import type { MergeSource, MergeTablesInput } from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'
import { codeOf, entry, type ModelEntry, open, utf8 } from '../sst/table-model.ts'
import { entriesOf, type ModelTable, merge, mergeInput, modelTables, naiveMerge, sourcesOf } from './merge-model.ts'

const table = (entries: readonly ModelEntry[], options: ModelTable['options'] = {}): ModelTable => ({
	entries,
	options: { minWriteMs: 5, maxWriteMs: 6, ...options },
})

const numbered = (count: number, firstSeq: number, from = 0): ModelEntry[] =>
	Array.from({ length: count }, (_, i) =>
		entry(`key/${String(from + i).padStart(8, '0')}`, firstSeq + i, `value ${i} of ${firstSeq}`.padEnd(60, '.')),
	)

const tombstone = (item: ModelEntry): ModelEntry => ({ ...item, kind: KIND_TOMBSTONE, value: utf8('') })

describe('in both pools', () => {
	const pools = [createInlinePool(systemHost), acquireWorkerPool(systemHost)]
	afterAll(() => Promise.all(pools.map(pool => pool.close())))

	/** A job that owns copies of the blocks, and memory that is full of other bytes. */
	function job(tables: readonly ModelTable[], codec: 'none' | 'lz4'): Job<'merge-tables'> {
		const sources = sourcesOf(tables).map(source => ({ ...source, blocks: new Uint8Array(source.blocks) }))
		const buffers = [new Uint8Array(90_000).fill(0xa5).buffer, new Uint8Array(10).buffer]
		const input = { ...mergeInput(sources, { output: { codec, targetBytes: 4000 } }), buffers }
		return { input, transfer: [...sources.map(source => source.blocks.buffer), ...buffers] }
	}

	test('a merge gives identical bytes, whatever its memory held before', async () => {
		await fc.assert(
			fc.asyncProperty(modelTables, fc.constantFrom('none' as const, 'lz4' as const), async (tables, codec) => {
				const fresh = merge(tables, { output: { codec, targetBytes: 4000 } })
				for (const pool of pools) {
					const { buffers, ...output } = await pool.run('merge-tables', () => job(tables, codec))
					expect(output.tables.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
						fresh.tables.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
					)
					expect({ ...output, tables: 0 }).toEqual({ ...fresh, buffers: undefined, tables: 0 })
					expect(buffers.every(buffer => buffer.byteLength > 0)).toBe(true)
				}
			}),
			{ numRuns: 25 },
		)
	})

	test('damage is the same typed error', async () => {
		for (const pool of pools) {
			const damaged = job([table(numbered(50, 1))], 'none')
			const bytes = damaged.input.sources[0]?.blocks ?? utf8('')
			bytes[20] = (bytes[20] ?? 0) ^ 1
			await expect(pool.run('merge-tables', () => damaged)).rejects.toSatisfy(
				error => isIsleError(error, 'ISLE_CORRUPT') && error.message.includes('sst/t0'),
			)
		}
	})
})

describe('whole blocks', () => {
	test('are copied as they are stored where nothing overlaps, and only there', () => {
		const low = table(numbered(500, 1), { codec: 'lz4', blockBytes: 1024 })
		const high = table(numbered(500, 10_000, 1000), { codec: 'lz4', blockBytes: 1024 })
		const output = { codec: 'lz4', blockBytes: 1024 } as const
		const apart = merge([low, high], { output })
		expect(entriesOf(apart.tables)).toEqual(naiveMerge([low, high]))
		const blockCount = sourcesOf([low, high]).reduce((sum, { run }) => sum + run.ends.length, 0)
		expect(apart.blocksPassed).toBeGreaterThanOrEqual(blockCount - 4)
		expect(apart.bytesPassed).toBeGreaterThan(0)
		const over = table(numbered(500, 20_000), { codec: 'lz4', blockBytes: 1024 })
		expect(merge([low, over], { output }).blocksPassed).toBe(0)
		expect(merge([low, high], { output: { ...output, codec: 'none' } }).blocksPassed).toBe(0)
	})

	test('that hold what is to be dropped are not copied', () => {
		const deleted = numbered(300, 1).map((item, i) => (i % 100 === 0 ? tombstone(item) : item))
		const mixed = table(deleted, { blockBytes: 1024 })
		const output = { blockBytes: 1024 }
		const kept = merge([mixed], { output })
		const dropped = merge([mixed], { output, dropTombstones: true })
		expect(kept.blocksPassed - dropped.blocksPassed).toBeGreaterThanOrEqual(3)
		expect(dropped.blocksPassed).toBeGreaterThan(0)
		expect(dropped.tombstonesDropped).toBe(3)
		expect(entriesOf(dropped.tables)).toEqual(naiveMerge([mixed], { dropTombstones: true }))
	})

	test('that are small do not stay small', () => {
		const small = table(numbered(2000, 1), { blockBytes: 64 })
		const output = merge([small], { output: { blockBytes: 4096 } })
		expect(output.blocksPassed).toBe(0)
		const blocks = output.tables.reduce((sum, built) => sum + open(built).blockCount, 0)
		expect(blocks).toBeLessThan(60)
	})
})

describe('limits', () => {
	test('keys of 64 KiB, and values larger than a table', () => {
		const key = (last: number): Uint8Array => new Uint8Array(65_536).fill(7).fill(last, 65_535)
		const tables = [
			table([entry(key(1), 1, 'a'), entry(key(3), 2, new Uint8Array(300_000).fill(9))]),
			table([entry(key(2), 3, new Uint8Array(200_000)), entry(key(3), 4, 'newer')], { codec: 'lz4' }),
			table([entry('z', 5, new Uint8Array(500_000).fill(1))]),
		]
		const output = merge(tables, { output: { targetBytes: 1024 } })
		expect(entriesOf(output.tables)).toEqual(naiveMerge(tables))
		expect(output.tables).toHaveLength(4)
	})

	test('100,000 versions of one key are one entry, and most of their blocks are not even decoded', () => {
		const builder = new TableBuilder({ codec: 'none', blockBytes: 256, minWriteMs: 0, maxWriteMs: 0 })
		const add = (key: string, seq: number): void => {
			const bytes = utf8(`${key}value ${seq}`)
			builder.add(bytes, 0, key.length, seq, 1, 0, bytes, key.length, bytes.length - key.length)
		}
		add('a', 1)
		for (let seq = 200_000; seq > 100_000; seq--) add('many', seq)
		add('z', 2)
		const built = builder.finish()
		const opened = open(built)
		const skippable = Array.from({ length: opened.blockCount }, (_, i) => opened.holdsOnlyOlderVersions(i))
		expect(skippable.filter(Boolean).length).toBe(opened.blockCount - 2)
		const whole: MergeSource = {
			meta: built.meta,
			where: 'here',
			run: opened.blockRun(0, opened.blockCount),
			blocks: built.bytes.slice(0, built.meta.metaOffset),
		}
		const { output } = mergeTablesJob(mergeInput([whole]))
		expect(entriesOf(output.tables).map(item => item.seq)).toEqual([1, 200_000, 2])
		expect(output.entriesRead).toBeLessThan(100)
		// The same from the two ends alone, as a planner leaves the blocks between them out.
		const ends = [0, opened.blockCount - 1].map(b => {
			const { offset, bytes } = opened.blockRange(b)
			return { ...whole, run: opened.blockRun(b, 1), blocks: built.bytes.slice(offset, offset + bytes) }
		})
		expect(entriesOf(mergeTablesJob(mergeInput(ends)).output.tables)).toEqual(entriesOf(output.tables))
	})

	test('a merge of nothing, and one of which nothing is left, give no table and their memory back', () => {
		expect(mergeTablesJob(mergeInput([])).output.tables).toEqual([])
		const gone = numbered(10, 1).map(tombstone)
		const spare = new ArrayBuffer(200_000)
		const sources = sourcesOf([table(gone)])
		const input = { ...mergeInput(sources, { dropTombstones: true }), buffers: [spare] }
		const { output, transfer } = mergeTablesJob(input)
		const buffers = [spare, ...sources.map(source => source.blocks.buffer)]
		expect(output).toMatchObject({ tables: [], tombstonesDropped: 10, entriesWritten: 0, buffers })
		expect(transfer).toEqual(buffers)
	})

	test('a target is 1 KiB to 1 GiB', () => {
		const run = (targetBytes: number) => (): unknown =>
			mergeTablesJob(mergeInput(sourcesOf([table(numbered(3, 1))]), { output: { targetBytes } }))
		expect(run(1024)).not.toThrow()
		expect(run(1_073_741_824)).not.toThrow()
		for (const bad of [1023, 1_073_741_825, Number.NaN]) expect(run(bad)).toThrow(RangeError)
	})
})

describe('hostile sources', () => {
	const tables = [table(numbered(60, 1), { blockBytes: 256 }), table(numbered(60, 1000), { blockBytes: 256 })]
	const run = (change: (sources: MergeSource[]) => readonly MergeSource[]) => (): unknown =>
		mergeTablesJob(mergeInput(change(sourcesOf(tables))))
	const changeFirst = (change: (source: MergeSource) => Partial<MergeSource>) =>
		codeOf(
			run(([first, ...rest]) => {
				if (first === undefined) throw new Error('no source')
				return [{ ...first, ...change(first) }, ...rest]
			}),
		)

	test('any flipped byte is corruption that names the table', () => {
		const size = sourcesOf(tables)[0]?.blocks.length ?? 0
		for (let at = 0; at < size; at += 7) {
			let found: unknown
			try {
				run(sources => {
					const bytes = sources[0]?.blocks ?? utf8('')
					bytes[at] = (bytes[at] ?? 0) ^ 0x10
					return sources
				})()
			} catch (error) {
				found = error
			}
			expect(found).toBeInstanceOf(IsleError)
			expect(['ISLE_CORRUPT', 'ISLE_UNSUPPORTED']).toContain(found instanceof IsleError ? found.code : found)
			expect(String(found)).toContain('sst/t0')
		}
	})

	test('too few, too many or other bytes, and blocks of another place, are corruption', () => {
		expect(changeFirst(() => ({}))).toBe('none')
		expect(changeFirst(({ blocks }) => ({ blocks: blocks.subarray(1) }))).toBe('ISLE_CORRUPT')
		expect(changeFirst(({ blocks }) => ({ blocks: Uint8Array.of(...blocks, 0) }))).toBe('ISLE_CORRUPT')
		expect(changeFirst(({ run: own }) => ({ run: { ...own, rawMaxBytes: 10 } }))).toBe('ISLE_CORRUPT')
		expect(changeFirst(({ meta }) => ({ meta: { ...meta, smallestKey: utf8('key/00000001') } }))).toBe('ISLE_CORRUPT')
		expect(changeFirst(({ meta }) => ({ meta: { ...meta, largestKey: utf8('key/00000058') } }))).toBe('ISLE_CORRUPT')
		// Two blocks that have changed places: each is sound in itself.
		const even = table(
			Array.from({ length: 8 }, (_, i) => entry(`key/${i}`, i + 1, 'x'.repeat(60))),
			{ blockBytes: 64 },
		)
		const [source] = sourcesOf([even])
		if (source === undefined) throw new Error('no source')
		const size = source.run.ends[0] ?? 0
		expect(source.run.ends[1]).toBe(2 * size)
		source.blocks.set([...source.blocks.subarray(size, 2 * size), ...source.blocks.subarray(0, size)])
		expect(codeOf(() => mergeTablesJob(mergeInput([source])))).toBe('ISLE_CORRUPT')
	})

	test('an entry that two tables have is corruption', () => {
		expect(codeOf(() => merge([tables[0] ?? table([]), tables[0] ?? table([])]))).toBe('ISLE_CORRUPT')
	})

	test('a blob that is no reference is corruption that names the table', () => {
		for (const alone of [false, true]) {
			const value = utf8('no reference at all, but long enough to fill a block of its own '.repeat(2))
			const source = sourcesOf([table([entry('a', 1), entry('b', 2, value)], { blockBytes: alone ? 64 : 4096 })])[0]
			if (source === undefined) throw new Error('no source')
			// A builder refuses such an entry: the kinds of a sound table are changed, and its CRCs made good.
			const { blocks, run: own } = source
			for (let b = 0; b < own.ends.length; b++) resealAs(blocks, b === 0 ? 0 : (own.ends[b - 1] ?? 0), own.ends[b] ?? 0)
			expect(() => mergeTablesJob(mergeInput([source]))).toThrow('sst/t0')
			expect(codeOf(() => mergeTablesJob(mergeInput([source])))).toBe('ISLE_CORRUPT')
		}
	})
})

/** Makes all entries of the stored block at [start, end) blobs. */
function resealAs(blocks: Uint8Array, start: number, end: number): void {
	const view = new DataView(blocks.buffer, blocks.byteOffset + start, end - start)
	view.setUint8(9 + 1, KIND_BLOB)
	view.setUint32(0, crc32(blocks.subarray(start + 4, end)), true)
}

test('the judge tells a wrong merge from a right one', () => {
	const older = table(numbered(20, 1))
	const newer = table(numbered(20, 100))
	expect(entriesOf(merge([older, newer]).tables)).toEqual(naiveMerge([newer, older]))
	expect(entriesOf(merge([older]).tables)).not.toEqual(naiveMerge([newer, older]))
	const input: MergeTablesInput = mergeInput(sourcesOf([older, newer]), { upper: utf8('key/00000019') })
	expect(entriesOf(mergeTablesJob(input).output.tables)).not.toEqual(naiveMerge([newer, older]))
})
