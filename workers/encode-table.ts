/**
 * Job: the entries of a frozen memtable become an SSTable.
 *
 * Steps: sort references to the entries; then feed the builder in order. Both happen in the flush kernel (wasm/flush-kernel.ts)
 * where there is one for these entries, and here otherwise, byte for byte the same.
 *
 * Feeding reads entries at random places, and the processor waits for each. So before every 64 entries a short loop reads a word of each of their cache lines: those
 * waits overlap (measured: 228 instead of 330 ns an entry; touching one entry ahead in each step changes nothing).
 */
import { invariant } from '../src/errors.ts'
import {
	type ArenaSegment,
	checkSegments,
	expiresAtMsAt,
	HEADER_WORDS,
	keyBytesAt,
	kindAt,
	ownBuffers,
	REF_CHUNK_SHIFT,
	REF_WORD_MASK,
	seqDeltaAt,
	valueBytesAt,
	valueOffsetAt,
	viewSegments,
} from '../src/sst/entry-arena.ts'
import { sortEntries } from '../src/sst/entry-sort.ts'
import { flushInto } from '../src/sst/flush-kernel.ts'
import type { SstMeta } from '../src/sst/sst-meta.ts'
import { TableBuilder } from '../src/sst/table-builder.ts'
import { blockBytesOf, type TableOptions } from '../src/sst/table-options.ts'
import type { JobResult } from './jobs.ts'

export interface EncodeTableInput {
	/** All entries of a memtable. The job owns what is not shared. */
	readonly segments: readonly ArenaSegment[]
	/** Sequence number to which those in the entries are relative. */
	readonly baseSeq: number
	/** At least 1. */
	readonly entryCount: number
	readonly table: TableOptions
	/** Shared memory that is the job's until it ends: the table stands there, if it fits. */
	readonly target?: SharedArrayBuffer | undefined
}

export interface EncodeTableOutput {
	/** The whole table: at the start of `target`, or alone in a buffer of its own. */
	readonly bytes: Uint8Array
	readonly meta: SstMeta
	/** The buffers of the input, to use again. */
	readonly buffers: readonly ArrayBuffer[]
}

/** Entries that are touched together: 64 × 3 lines of 64 bytes = 12 KiB of the first-level cache. */
const TOUCH_BATCH = 64
/** Words in a cache line of 64 bytes. */
const LINE_WORDS = 16

/**
 * So few are not worth the kernel, which then need not be there at all: what the main thread encodes itself is as small as
 * that (src/writer/committer.ts).
 */
const KERNEL_MIN_ENTRIES = 1_025

/** `withoutKernel` leaves the WebAssembly out, whose results are the same: tests and benchmarks compare. */
export function encodeTableJob(input: EncodeTableInput, withoutKernel: boolean = false): JobResult<EncodeTableOutput> {
	const { segments, entryCount, table, target } = input
	invariant(entryCount > 0, 'a table of no entries is encoded')
	const builder = new TableBuilder(table)
	checkSegments(segments)
	const flush = { ...input, blockBytes: blockBytesOf(table) }
	const hasKernel = !withoutKernel && entryCount >= KERNEL_MIN_ENTRIES
	if (!hasKernel || !flushInto(builder, flush)) sortAndFeed(builder, input)
	const { bytes, meta } = target === undefined ? builder.finish() : builder.finishInto(target)
	invariant(meta.entryCount === entryCount, 'a table lacks entries of its memtable')
	const buffers = ownBuffers(segments)
	const moved = bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []
	return { output: { bytes, meta, buffers }, transfer: [...moved, ...buffers] }
}

function sortAndFeed(builder: TableBuilder, { segments, entryCount, baseSeq }: EncodeTableInput): void {
	const views = viewSegments(segments)
	const refs = sortEntries(segments, views, entryCount)
	const touched = feed(builder, refs, views.bytes, views.words, baseSeq)
	invariant(Number.isInteger(touched), 'a sum of what was touched')
}

/** Adds all entries in the order of `refs`. Returns a meaningless number, so that the touches are not optimised away. */
function feed(
	builder: TableBuilder,
	refs: Uint32Array,
	bytesOf: readonly Uint8Array[],
	wordsOf: readonly Int32Array[],
	baseSeq: number,
): number {
	const count = refs.length
	let touched = 0
	for (let i = 0; i < count; i++) {
		if (i % TOUCH_BATCH === 0) touched = (touched + touch(refs, i, wordsOf)) | 0
		const ref = refs[i] as number
		const words = wordsOf[ref >>> REF_CHUNK_SHIFT] as Int32Array
		const bytes = bytesOf[ref >>> REF_CHUNK_SHIFT] as Uint8Array
		const at = ref & REF_WORD_MASK
		const seq = baseSeq + seqDeltaAt(words, at)
		const expiresAtMs = expiresAtMsAt(words, at)
		const valueBytes = valueBytesAt(words, at)
		const keyOffset = (at + HEADER_WORDS) << 2
		const keyBytes = keyBytesAt(words, at)
		const kind = kindAt(words, at)
		builder.add(bytes, keyOffset, keyBytes, seq, kind, expiresAtMs, bytes, valueOffsetAt(words, at), valueBytes)
	}
	return touched
}

/** Reads the first three cache lines of each entry of a batch; returns a sum that means nothing. */
function touch(refs: Uint32Array, start: number, wordsOf: readonly Int32Array[]): number {
	const end = Math.min(refs.length, start + TOUCH_BATCH)
	let sum = 0
	for (let i = start; i < end; i++) {
		const ref = refs[i] as number
		const words = wordsOf[ref >>> REF_CHUNK_SHIFT] as Int32Array
		const at = ref & REF_WORD_MASK
		const last = words.length - 1
		const second = words[Math.min(last, at + LINE_WORDS)] as number
		const third = words[Math.min(last, at + 2 * LINE_WORDS)] as number
		sum = (sum + (words[at] as number) + second + third) | 0
	}
	return sum
}
