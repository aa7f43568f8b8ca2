/** What a merge is told, made ready for whoever does it. */
import type { BlobRef } from '../src/blob/blob-ref.ts'
import { compareBytes } from '../src/bytes/compare.ts'
import { codecByName } from '../src/sst/codec.ts'
import type { MergeRun } from '../src/sst/merge-cursor.ts'
import type { MergeRules } from '../src/sst/merge-output.ts'
import { OutputMemory } from '../src/sst/output-memory.ts'
import type { CodecName, SstMeta } from '../src/sst/sst-meta.ts'
import { codecIdOf } from '../src/sst/stored-block.ts'
import { blockBytesOf } from '../src/sst/table-options.ts'
import { TableSeries } from '../src/sst/table-series.ts'
import type { BlobMoves, MergeSource, MergeTablesInput } from './merge-job.ts'

export interface MergeSetup {
	readonly sources: readonly MergeSource[]
	/** One for each source. */
	readonly runs: readonly MergeRun[]
	/** All keys of the range share so many bytes. */
	readonly sharedBytes: number
	readonly rules: MergeRules
	/** Of the output. */
	readonly codec: CodecName
	readonly blockBytes: number
	readonly tables: TableSeries
	readonly memory: OutputMemory
}

export function setUpMerge(input: MergeTablesInput): MergeSetup {
	const { sources, lower, upper, output, dropTombstones, expireBeforeMs } = input
	const { targetBytes, ...options } = output
	const memory = new OutputMemory(input.buffers ?? [])
	const inputBytes = sources.reduce((sum, { blocks }) => sum + blocks.length, 0)
	const sharedBytes = sharedBytesOf(sources, lower, upper)
	return {
		sources,
		runs: sources.map(({ meta: { smallestKey, largestKey }, run, blocks, where }) => {
			return { run, blocks, where, smallestKey, largestKey, lower, upper, sharedBytes }
		}),
		sharedBytes,
		rules: { dropTombstones, expireBeforeMs, moved: movesOf(input.blobMoves) },
		codec: output.codec,
		blockBytes: blockBytesOf(output),
		tables: new TableSeries({ options, targetBytes, inputBytes, memory }),
		memory,
	}
}

/** True when a stored block of a table may stand in one of `codec`: a raw block where there is a codec is one that does not shrink. */
export function isStoredAlike(stored: Uint8Array, meta: SstMeta, codec: CodecName): boolean {
	const codecId = codecIdOf(stored)
	return codecId === (codecByName(codec)?.id ?? 0) || (codecId === 0 && meta.codec === codec)
}

/** How many bytes all keys of the range that the sources may have share. */
function sharedBytesOf(sources: readonly MergeSource[], lower: Uint8Array | null, upper: Uint8Array | null): number {
	let smallest: Uint8Array | undefined
	let largest: Uint8Array | undefined
	for (const { meta } of sources) {
		if (smallest === undefined || compareBytes(meta.smallestKey, smallest) < 0) smallest = meta.smallestKey
		if (largest === undefined || compareBytes(meta.largestKey, largest) > 0) largest = meta.largestKey
	}
	if (smallest === undefined || largest === undefined) return 0
	const low = lower !== null && compareBytes(lower, smallest) > 0 ? lower : smallest
	const high = upper !== null && compareBytes(upper, largest) < 0 ? upper : largest
	let shared = 0
	while (shared < Math.min(low.length, high.length) && low[shared] === high[shared]) shared++
	return shared
}

/** Looks up where a value has moved to: by pack, then by binary search of its old offset. */
function movesOf(list: readonly BlobMoves[] | undefined): MergeRules['moved'] {
	if (list === undefined || list.length === 0) return undefined
	const byPack = new Map<string, BlobMoves[]>()
	for (const moves of list) byPack.set(moves.packId, [...(byPack.get(moves.packId) ?? []), moves])
	return (ref: BlobRef) => {
		for (const { newPackId, oldOffsets, newOffsets } of byPack.get(ref.packId) ?? []) {
			const i = lowerBound(oldOffsets, ref.offset)
			if (oldOffsets[i] === ref.offset) return { packId: newPackId, offset: newOffsets[i] as number }
		}
		return undefined
	}
}

function lowerBound(ascending: Float64Array, value: number): number {
	let low = 0
	let high = ascending.length
	while (low < high) {
		const middle = (low + high) >>> 1
		if ((ascending[middle] as number) < value) low = middle + 1
		else high = middle
	}
	return low
}
