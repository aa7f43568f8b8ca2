/** Tables as sources of a merge, what comes out of it as plain entries, and the naive merge that judges it. */
import fc from 'fast-check'
import { type BlobRef, decodeBlobRef, encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { compareBytes } from '../../src/bytes/compare.ts'
import { KIND_BLOB, KIND_TOMBSTONE } from '../../src/sst/entry.ts'
import type { TableOptions } from '../../src/sst/table-options.ts'
import type {
	BlobMoves,
	MergedTable,
	MergeOutputOptions,
	MergeSource,
	MergeTablesInput,
	MergeTablesOutput,
} from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'
import { build, type ModelEntry, modelEntries, open, readAll } from '../sst/table-model.ts'

/** Entries of one table, and when they were written. */
export interface ModelTable {
	readonly entries: readonly ModelEntry[]
	readonly options?: Partial<TableOptions> | undefined
}

/** The blocks of a table that hold the keys of [lower, upper), as a planner cuts them; none when it has none. */
export function sourcesOf(
	tables: readonly ModelTable[],
	lower: Uint8Array | null = null,
	upper: Uint8Array | null = null,
): MergeSource[] {
	return tables.flatMap(({ entries, options }, i) => {
		const built = build(entries, options)
		const table = open(built)
		const { first, end } = table.blocksBetween(lower, upper)
		if (first === end) return []
		const offset = table.blockRange(first).offset
		const blocks = new Uint8Array(built.bytes.subarray(offset, table.bytesBefore(end)))
		return [{ meta: built.meta, where: `sst/t${i}`, run: table.blockRun(first, end - first), blocks }]
	})
}

/** What a test says of a merge; the rest is filled in. */
export type MergeSettings = Partial<Omit<MergeTablesInput, 'sources' | 'output'>> & {
	readonly output?: Partial<MergeOutputOptions>
}

export function mergeInput(sources: readonly MergeSource[], settings: MergeSettings = {}): MergeTablesInput {
	return {
		lower: null,
		upper: null,
		dropTombstones: false,
		expireBeforeMs: 0,
		...settings,
		sources,
		output: { codec: 'none', targetBytes: 1_000_000, ...settings.output },
	}
}

export function merge(tables: readonly ModelTable[], settings: MergeSettings = {}): MergeTablesOutput {
	const sources = sourcesOf(tables, settings.lower, settings.upper)
	return mergeTablesJob(mergeInput(sources, settings)).output
}

/** Every entry of the merged tables. */
export function entriesOf(tables: readonly MergedTable[]): ModelEntry[] {
	return tables.flatMap(({ bytes, meta }) => readAll({ bytes, meta }))
}

/** The same by the rules alone: group by key, take the largest sequence number, drop, rewrite. */
export function naiveMerge(tables: readonly ModelTable[], settings: MergeSettings = {}): ModelEntry[] {
	const { lower = null, upper = null, dropTombstones = false, expireBeforeMs = 0, blobMoves } = settings
	const newest = new Map<string, ModelEntry>()
	for (const item of tables.flatMap(table => table.entries)) {
		if (lower !== null && compareBytes(item.key, lower) < 0) continue
		if (upper !== null && compareBytes(item.key, upper) >= 0) continue
		const name = Buffer.from(item.key).toString('latin1')
		const other = newest.get(name)
		if (other === undefined || other.seq < item.seq) newest.set(name, item)
	}
	return [...newest.values()]
		.sort((a, b) => compareBytes(a.key, b.key))
		.flatMap(item => {
			if (item.kind === KIND_TOMBSTONE) return dropTombstones ? [] : [item]
			if (item.expiresAtMs > 0 && item.expiresAtMs <= expireBeforeMs) {
				return dropTombstones ? [] : [{ ...item, kind: KIND_TOMBSTONE, expiresAtMs: 0, value: new Uint8Array(0) }]
			}
			if (item.kind !== KIND_BLOB || blobMoves === undefined) return [item]
			const ref = decodeBlobRef(item.value, 'model')
			return [{ ...item, value: encodeBlobRef({ ...ref, ...movedTo(blobMoves, ref) }) }]
		})
}

function movedTo(blobMoves: readonly BlobMoves[], ref: BlobRef): Partial<BlobRef> {
	for (const { packId, newPackId, oldOffsets, newOffsets } of blobMoves) {
		const i = oldOffsets.indexOf(ref.offset)
		if (packId === ref.packId && i >= 0) return { packId: newPackId, offset: newOffsets[i] ?? -1 }
	}
	return {}
}

const blockBytes = fc.constantFrom(64, 100, 256, 1024, 16_384)
const codec = fc.constantFrom('none' as const, 'lz4' as const, 'deflate' as const)

/** One to five tables that share keys; the sequence numbers of all are distinct. */
export const modelTables: fc.Arbitrary<ModelTable[]> = fc
	.array(fc.record({ entries: modelEntries, blockBytes, codec, minWriteMs: fc.nat(1000), span: fc.nat(1000) }), {
		minLength: 1,
		maxLength: 5,
	})
	.map(list => {
		const count = list.length
		return list.map(({ entries, blockBytes: size, codec: name, minWriteMs, span }, t) => {
			// Of each table its own residue; within it the order of versions stays.
			const limit = Math.floor(Number.MAX_SAFE_INTEGER / count) - 1
			const distinct = entries.map(item => ({ ...item, seq: (item.seq % limit) * count + t }))
			return {
				entries: sortedDistinct(distinct),
				options: { blockBytes: size, codec: name, minWriteMs, maxWriteMs: minWriteMs + span },
			}
		})
	})

function sortedDistinct(entries: readonly ModelEntry[]): ModelEntry[] {
	const ordered = [...entries].sort((a, b) => compareBytes(a.key, b.key) || b.seq - a.seq)
	return ordered.filter((item, i) => {
		const before = ordered[i - 1]
		return before === undefined || before.seq !== item.seq || compareBytes(before.key, item.key) !== 0
	})
}
