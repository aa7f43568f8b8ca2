/**
 * Job: blocks of several tables become new tables with the newest version of each key of a range.
 *
 * Steps: a cursor for each source; a loser tree says which stands on the smallest key (of equal keys, on the newest
 * version); the first entry of each key goes to the output, the others are older and go nowhere. When one source has come
 * first several times in a row, its block is compared with the runner-up: a block that lies wholly before it is copied
 * as it is stored.
 *
 * Memory: the input, one decoded block for each source, the output.
 */

import type { BlobRef } from '../src/blob/blob-ref.ts'
import { compareBytes } from '../src/bytes/compare.ts'
import type { Block } from '../src/sst/block.ts'
import { codecByName } from '../src/sst/codec.ts'
import { MergeCursor } from '../src/sst/merge-cursor.ts'
import { MergeOutput, type MergeRules } from '../src/sst/merge-output.ts'
import { MergeTree } from '../src/sst/merge-tree.ts'
import { OutputMemory } from '../src/sst/output-memory.ts'
import { codecIdOf } from '../src/sst/stored-block.ts'
import type { JobResult } from './jobs.ts'
import type { BlobMoves, MergeSource, MergeTablesInput, MergeTablesOutput } from './merge-job.ts'

const TARGET_MIN_BYTES = 1024
const TARGET_MAX_BYTES = 1_073_741_824
/** The output gets at most one small block for so many that are copied as they are stored. */
const PATIENCE_BLOCKS = 3

/** @throws ISLE_CORRUPT naming the source whose bytes are damaged. */
export function mergeTablesJob(input: MergeTablesInput): JobResult<MergeTablesOutput> {
	const { output } = input
	if (!(output.targetBytes >= TARGET_MIN_BYTES && output.targetBytes <= TARGET_MAX_BYTES)) {
		throw new RangeError(
			`Expected \`targetBytes\` to be from ${TARGET_MIN_BYTES} to ${TARGET_MAX_BYTES}, got ${output.targetBytes}`,
		)
	}
	const merge = new Merge(input)
	merge.run()
	const { tables, entriesWritten, tombstonesDropped, expiredDropped, blobRefsMoved } = merge.output
	const { entriesRead, blocksPassed, bytesPassed } = merge
	const buffers = merge.memory.free
	const counts = { entriesRead, entriesWritten, tombstonesDropped, expiredDropped, blobRefsMoved }
	return {
		output: { tables, ...counts, blocksPassed, bytesPassed, buffers },
		transfer: [...tables.map(({ bytes }) => bytes.buffer), ...buffers],
	}
}

class Merge {
	entriesRead = 0
	blocksPassed = 0
	bytesPassed = 0
	readonly output: MergeOutput
	readonly memory: OutputMemory
	readonly #sources: readonly MergeSource[]
	readonly #cursors: readonly MergeCursor[]
	readonly #tree: MergeTree
	/** Number of the codec of the output. */
	readonly #codecId: number
	readonly #codec: string
	/** The key that came last: in a block as long as that is at hand, then in memory of its own. */
	#lastBlock: Block | undefined
	#lastAt = 0
	#lastKey: Uint8Array = new Uint8Array(0)
	#lastHead = -1
	/** Blocks one after another that were not copied whole because a small one would have ended before them. */
	#held = 0

	constructor(input: MergeTablesInput) {
		const { sources, lower, upper, output, dropTombstones, expireBeforeMs } = input
		const rules: MergeRules = { dropTombstones, expireBeforeMs, moved: movesOf(input.blobMoves) }
		const { targetBytes, ...options } = output
		this.memory = new OutputMemory(input.buffers ?? [])
		const inputBytes = sources.reduce((sum, { blocks }) => sum + blocks.length, 0)
		this.output = new MergeOutput({ options, targetBytes, inputBytes, rules, memory: this.memory })
		this.#sources = sources
		this.#codec = output.codec
		this.#codecId = codecByName(output.codec)?.id ?? 0
		const sharedBytes = sharedBytesOf(sources, lower, upper)
		this.#cursors = sources.map(
			({ meta: { smallestKey, largestKey }, run, blocks, where }) =>
				new MergeCursor({ run, blocks, where, smallestKey, largestKey, lower, upper, sharedBytes }),
		)
		this.#tree = new MergeTree(this.#cursors)
	}

	run(): void {
		const tree = this.#tree
		const cursors = this.#cursors
		while (cursors.length > 0) {
			const winner = tree.winner
			const cursor = cursors[winner] as MergeCursor
			const block = cursor.block
			if (block === undefined) break
			if (cursor.isWholeBlock && this.#pass(winner, cursor, block)) {
				tree.replay()
				continue
			}
			this.entriesRead++
			const head = cursor.heads[cursor.at] as number
			if (head !== this.#lastHead || !this.#isLastKey(block, cursor.at)) {
				this.output.add(cursor, block, (this.#sources[winner] as MergeSource).meta)
				this.#lastBlock = block
				this.#lastAt = cursor.at
				this.#lastHead = head
			}
			if (++cursor.at === cursor.end) this.#leaveBlock(cursor, block)
			tree.replay()
		}
		this.output.finish()
	}

	/** Takes the whole block of the winner, if it lies before all other sources and may stay as it is stored. */
	#pass(winner: number, cursor: MergeCursor, block: Block): boolean {
		const stored = cursor.stored
		const source = this.#sources[winner] as MergeSource
		const codecId = codecIdOf(stored)
		// A raw block in a table with a codec is one that does not shrink.
		const isSameCodec = codecId === this.#codecId || (codecId === 0 && source.meta.codec === this.#codec)
		if (!isSameCodec || !this.output.suits(block.bytes.length, block.count)) return false
		if (this.#isLastKey(block, 0)) return false
		const rival = this.#cursors[this.#tree.runnerUp()]
		const last = block.count - 1
		if (rival?.block !== undefined && block.compareKeysAt(last, rival.block, rival.at) >= 0) {
			this.#held = 0
			return false
		}
		if (this.output.wouldEndSmall && ++this.#held < PATIENCE_BLOCKS) return false
		this.#held = 0
		const lastHead = cursor.heads[last] as number
		if (!this.output.addWhole(cursor, block, source.meta)) return false
		this.blocksPassed++
		this.bytesPassed += stored.length
		this.entriesRead += block.count
		this.#lastBlock = block
		this.#lastAt = last
		this.#lastHead = lastHead
		this.#leaveBlock(cursor, block)
		return true
	}

	#leaveBlock(cursor: MergeCursor, block: Block): void {
		if (this.#lastBlock === block) {
			this.#lastKey = block.keyAt(this.#lastAt)
			this.#lastBlock = undefined
		}
		cursor.nextBlock()
	}

	#isLastKey(block: Block, i: number): boolean {
		if (this.#lastBlock !== undefined) return this.#lastBlock.compareKeysAt(this.#lastAt, block, i) === 0
		return this.#lastKey.length > 0 && block.compareKeyAt(i, this.#lastKey) === 0
	}
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
