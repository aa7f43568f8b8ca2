/** The merge in WebAssembly against the merge in TypeScript: the same bytes, the same counts, the same refusals. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'
import { KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import { createMergeKernel } from '../../src/sst/merge-kernel.ts'
import type { MergeSource, MergeTablesInput } from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'
import { entry, keys, type ModelEntry } from '../sst/table-model.ts'
import { type ModelTable, mergeInput, modelTables, sourcesOf } from './merge-model.ts'

interface Outcome {
	readonly tables?: unknown
	readonly error?: unknown
	readonly message?: string
	readonly counts?: unknown
}

function outcome(input: MergeTablesInput, withoutKernel: boolean): Outcome {
	try {
		const { tables, buffers, ...rest } = mergeTablesJob(input, withoutKernel).output
		const counts = { ...rest, free: buffers.length }
		return { tables: tables.map(({ bytes, meta }) => [Buffer.from(bytes).toString('latin1'), meta]), counts }
	} catch (error) {
		if (!isIsleError(error)) throw error
		return { error: error.code, message: error.message }
	}
}

const bound = fc.option(keys, { nil: null })
const settings = fc.record({
	lower: bound,
	upper: bound,
	dropTombstones: fc.boolean(),
	// The last are those of `longTables`.
	expireBeforeMs: fc.oneof(
		fc.constant(0),
		fc.nat(),
		fc.maxSafeNat(),
		fc.nat(300).map(i => 1 + i * 3000),
	),
	output: fc.record({
		codec: fc.constantFrom('none' as const, 'lz4' as const, 'deflate' as const),
		blockBytes: fc.constantFrom(undefined, 64, 100, 256, 1024),
		targetBytes: fc.constantFrom(1024, 2000, 1_000_000),
	}),
})

/** Tables of many short entries: common prefixes, runs of neighbours, versions, tombstones, expiries. */
const longTables: fc.Arbitrary<ModelTable[]> = fc
	.record({
		count: fc.integer({ min: 1, max: 900 }),
		tables: fc.integer({ min: 1, max: 6 }),
		runs: fc.constantFrom(1, 10, 25, 60, 400),
		step: fc.constantFrom(1, 7, 997),
		versions: fc.integer({ min: 1, max: 3 }),
		expires: fc.boolean(),
		valueBytes: fc.constantFrom(0, 5, 90, 700),
		blockBytes: fc.constantFrom(undefined, 128, 512),
		codec: fc.constantFrom('none' as const, 'lz4' as const),
		prefix: fc.constantFrom('', 'tenant/a/', 'tenant/a/long/path/of/names/'),
	})
	.map(shape => {
		const made: ModelEntry[][] = Array.from({ length: shape.tables }, () => [])
		for (let i = 0; i < shape.count; i++) {
			const key = `${shape.prefix}${String(i * shape.step).padStart(i % 5 === 0 ? 7 : 6, '0')}`
			for (let version = 0; version < shape.versions; version++) {
				const owner = (Math.floor(i / shape.runs) + version) % shape.tables
				const item = entry(key, (shape.versions - version) * 1_000_000 + i, `${i}`.padEnd(shape.valueBytes, 'v'))
				const kind = i % 11 === 3 ? KIND_TOMBSTONE : KIND_VALUE
				const value = kind === KIND_TOMBSTONE ? new Uint8Array(0) : item.value
				made[owner]?.push({ ...item, kind, value, expiresAtMs: shape.expires && i % 3 === 0 ? 1 + i * 1000 : 0 })
			}
		}
		const options = { blockBytes: shape.blockBytes, codec: shape.codec, minWriteMs: 5, maxWriteMs: 9 }
		return made
			.filter(entries => entries.length > 0)
			.map(entries => ({ entries: entries.sort((a, b) => Buffer.compare(a.key, b.key) || b.seq - a.seq), options }))
	})

function expectSame(input: MergeTablesInput): Outcome {
	const made = outcome(input, false)
	expect(made).toEqual(outcome(input, true))
	return made
}

/** `source` with one byte of a block changed, and the CRC of that block made right again. */
function hurt(source: MergeSource, at: number, mask: number): MergeSource {
	const blocks = new Uint8Array(source.blocks)
	const place = at % blocks.length
	const end = source.run.ends.find(blockEnd => blockEnd > place) ?? 0
	const start = Math.max(0, ...source.run.ends.filter(blockEnd => blockEnd <= place))
	blocks[place] = (blocks[place] ?? 0) ^ mask
	new DataView(blocks.buffer).setUint32(start, crc32(blocks.subarray(start + 4, end)), true)
	return { ...source, blocks }
}

describe('the kernel of merges', () => {
	test('is there', () => {
		const kernel = createMergeKernel({
			rawMaxBytes: [4096],
			sharedBytes: 0,
			blockBytes: 4096,
			dropTombstones: false,
			expireBeforeMs: 0,
			patienceBlocks: 3,
		})
		expect(kernel).toBeDefined()
	})

	test('makes the bytes that TypeScript makes, of any entries', () => {
		fc.assert(
			fc.property(modelTables, settings, (tables, chosen) => {
				expectSame(mergeInput(sourcesOf(tables, chosen.lower, chosen.upper), chosen))
			}),
			{ numRuns: 500 },
		)
	})

	test('and of tables of many blocks, whole ones among them', () => {
		let passed = 0
		fc.assert(
			fc.property(longTables, settings, fc.boolean(), (tables, chosen, isAlike) => {
				const { codec, blockBytes } = tables[0]?.options ?? {}
				const output = isAlike ? { codec: codec ?? 'none', blockBytes, targetBytes: 4000 } : chosen.output
				const dropTombstones = !isAlike && chosen.dropTombstones
				const { counts } = expectSame(
					mergeInput(sourcesOf(tables), { ...chosen, lower: null, upper: null, dropTombstones, output }),
				)
				if (typeof counts === 'object' && counts !== null && 'blocksPassed' in counts)
					passed += Number(counts.blocksPassed)
			}),
			{ numRuns: 80 },
		)
		expect(passed).toBeGreaterThan(50)
	})

	test('refuses what TypeScript refuses, in the same words, behind CRCs that are right', () => {
		let refused = 0
		fc.assert(
			fc.property(
				fc.oneof(modelTables, longTables),
				settings,
				fc.nat(),
				fc.integer({ min: 1, max: 255 }),
				fc.nat(),
				(tables, chosen, at, mask, which) => {
					const sources = sourcesOf(tables)
					const target = which % sources.length
					const hostile = sources.map((source, i) => (i === target ? hurt(source, at, mask) : source))
					if (expectSame(mergeInput(hostile, { ...chosen, lower: null, upper: null })).error !== undefined) refused++
				},
			),
			{ numRuns: 150 },
		)
		expect(refused).toBeGreaterThan(10)
	})

	test('refuses two sources with the same version of a key', () => {
		const entries = [entry('a', 1, 'x'), entry('b', 2, 'y')]
		const tables = [{ entries }, { entries: [entry('b', 2, 'y')] }]
		expect(expectSame(mergeInput(sourcesOf(tables))).error).toBe('ISLE_CORRUPT')
	})

	test('is not had beyond its memory, and the merge goes on without', () => {
		const limit = { sharedBytes: 0, dropTombstones: false, expireBeforeMs: 0, patienceBlocks: 3, blockBytes: 4096 }
		expect(createMergeKernel({ ...limit, rawMaxBytes: [4_000_000] })).toBeDefined()
		expect(createMergeKernel({ ...limit, rawMaxBytes: [5_000_000] })).toBeUndefined()
		const value = 'v'.repeat(5_000_000)
		expectSame(mergeInput(sourcesOf([{ entries: [entry('a', 1, value)] }, { entries: [entry('a', 2, 'new')] }])))
	})
})
