/**
 * Job: blocks of several tables become new tables with the newest version of each key of a range.
 *
 * Steps: a cursor for each source; a loser tree says which stands on the smallest key (of equal keys, on the newest
 * version); the first entry of each key goes to the output, the others are older and go nowhere. When one source has come
 * first several times in a row, its block is compared with the runner-up: a block that lies wholly before it is copied
 * as it is stored. The same loop in WebAssembly (kernel-merge.ts) does it two to three times as fast where it can be had.
 *
 * Memory: the input, one decoded block for each source, the output.
 */
import type { Block } from '../src/sst/block.ts'
import { MergeCursor } from '../src/sst/merge-cursor.ts'
import { createMergeKernel, type MergeKernel } from '../src/sst/merge-kernel.ts'
import { isOfSize, MergeOutput } from '../src/sst/merge-output.ts'
import { MergeTree } from '../src/sst/merge-tree.ts'
import type { JobResult } from './jobs.ts'
import { KernelMerge } from './kernel-merge.ts'
import { buffersOf, type MergeSource, type MergeTablesInput, type MergeTablesOutput } from './merge-job.ts'
import { isStoredAlike, type MergeSetup, setUpMerge } from './merge-setup.ts'

const TARGET_MIN_BYTES = 1024
const TARGET_MAX_BYTES = 1_073_741_824
/** The output gets at most one small block for so many that are copied as they are stored. */
const PATIENCE_BLOCKS = 3

/**
 * Merges in the kernel where there is one, and in TypeScript else or when `withoutKernel`: with the same outcome.
 *
 * @throws ISLE_CORRUPT naming the source whose bytes are damaged.
 */
export function mergeTablesJob(input: MergeTablesInput, withoutKernel = false): JobResult<MergeTablesOutput> {
	const { targetBytes } = input.output
	if (!(targetBytes >= TARGET_MIN_BYTES && targetBytes <= TARGET_MAX_BYTES)) {
		throw new RangeError(
			`Expected \`targetBytes\` to be from ${TARGET_MIN_BYTES} to ${TARGET_MAX_BYTES}, got ${targetBytes}`,
		)
	}
	const setup = setUpMerge(input)
	const kernel = withoutKernel ? undefined : kernelFor(setup)
	const merge = kernel === undefined ? new Merge(setup) : new KernelMerge(setup, kernel)
	merge.run()
	const { counts, blobRefsMoved, blocksPassed, bytesPassed } = merge
	const { tables } = setup.tables
	const buffers = [...setup.memory.free, ...buffersOf(input.sources)]
	return {
		output: { tables, ...counts, blobRefsMoved, blocksPassed, bytesPassed, buffers },
		transfer: [...tables.map(({ bytes }) => bytes.buffer), ...buffers],
	}
}

/** References that move change the length of values, which the kernel does not do. */
function kernelFor({ sources, runs, rules, sharedBytes, blockBytes }: MergeSetup): MergeKernel | undefined {
	if (rules.moved !== undefined || sources.length === 0) return undefined
	const rawMaxBytes = runs.map(({ run }) => run.rawMaxBytes)
	const { dropTombstones, expireBeforeMs } = rules
	const patienceBlocks = PATIENCE_BLOCKS
	return createMergeKernel({ rawMaxBytes, sharedBytes, blockBytes, dropTombstones, expireBeforeMs, patienceBlocks })
}

class Merge {
	entriesRead = 0
	blocksPassed = 0
	bytesPassed = 0
	readonly #output: MergeOutput
	readonly #setup: MergeSetup
	readonly #sources: readonly MergeSource[]
	readonly #cursors: readonly MergeCursor[]
	readonly #tree: MergeTree
	/** The key that came last: in a block as long as that is at hand, then in memory of its own. */
	#lastBlock: Block | undefined
	#lastAt = 0
	#lastKey: Uint8Array = new Uint8Array(0)
	#lastHead = -1
	/** Blocks one after another that were not copied whole because a small one would have ended before them. */
	#held = 0

	constructor(setup: MergeSetup) {
		this.#setup = setup
		this.#sources = setup.sources
		this.#output = new MergeOutput(setup.rules, setup.tables, setup.blockBytes)
		this.#cursors = setup.runs.map(run => new MergeCursor(run))
		this.#tree = new MergeTree(this.#cursors)
	}

	get blobRefsMoved(): number {
		return this.#output.blobRefsMoved
	}

	get counts(): ReturnType<MergeKernel['counts']> {
		const { entriesWritten, tombstonesDropped, expiredDropped } = this.#output
		return { entriesRead: this.entriesRead, entriesWritten, tombstonesDropped, expiredDropped }
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
				this.#output.add(cursor, block, (this.#sources[winner] as MergeSource).meta)
				this.#lastBlock = block
				this.#lastAt = cursor.at
				this.#lastHead = head
			}
			if (++cursor.at === cursor.end) this.#leaveBlock(cursor, block)
			tree.replay()
		}
		this.#setup.tables.endTable()
	}

	/** Takes the whole block of the winner, if it lies before all other sources and may stay as it is stored. */
	#pass(winner: number, cursor: MergeCursor, block: Block): boolean {
		const stored = cursor.stored
		const source = this.#sources[winner] as MergeSource
		const { codec, blockBytes } = this.#setup
		if (!isStoredAlike(stored, source.meta, codec) || !isOfSize(block.raw.length, block.count, blockBytes)) return false
		if (this.#isLastKey(block, 0)) return false
		const rival = this.#cursors[this.#tree.runnerUp()]
		const last = block.count - 1
		if (rival?.block !== undefined && block.compareKeysAt(last, rival.block, rival.at) >= 0) {
			this.#held = 0
			return false
		}
		if (this.#output.wouldEndSmall && ++this.#held < PATIENCE_BLOCKS) return false
		this.#held = 0
		const lastHead = cursor.heads[last] as number
		if (!this.#output.addWhole(cursor, block, source.meta)) return false
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
