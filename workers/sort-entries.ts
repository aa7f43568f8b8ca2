/** Job: the order of the entries of a memtable (or of the part that a scan still lacks). */
import { type ArenaSegment, mapRefs, ownBuffers, viewSegments } from '../src/sst/entry-arena.ts'
import { sortEntries } from '../src/sst/entry-sort.ts'
import type { JobResult } from './jobs.ts'

export interface SortEntriesInput {
	/** Owned by the job; their sequence numbers are contiguous. */
	readonly segments: readonly ArenaSegment[]
	readonly entryCount: number
}

export interface SortEntriesOutput {
	/** References `chunk << 16 | word` of the arena that the segments were copied from, in order. */
	readonly refs: Uint32Array
	/** The buffers of the input, to use again. */
	readonly buffers: readonly ArrayBuffer[]
}

export function sortEntriesJob(input: SortEntriesInput): JobResult<SortEntriesOutput> {
	const { segments, entryCount } = input
	const refs = mapRefs(sortEntries(segments, viewSegments(segments), entryCount), segments)
	const buffers = ownBuffers(segments)
	return { output: { refs, buffers }, transfer: [refs.buffer, ...buffers] }
}
