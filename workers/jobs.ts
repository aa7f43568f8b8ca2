/**
 * The jobs, by name: what each takes, what it gives, and what does it.
 *
 * A handler is a function of its input. It keeps no state, owns every buffer of its input, and names in `transfer` every
 * ArrayBuffer of its output (each whole, none twice). The same table runs in worker threads and in the inline pool.
 */
import { toWire, type WireError } from '../src/errors.ts'
import { collectBlobRefsJob } from './collect-blob-refs.ts'
import { type DecodeBlocksInput, type DecodeBlocksOutput, decodeBlocksJob } from './decode-blocks.ts'
import { type EncodeTableInput, type EncodeTableOutput, encodeTableJob } from './encode-table.ts'
import { type FillCacheInput, type FillCacheOutput, fillCacheJob } from './fill-cache.ts'
import type { CollectBlobRefsInput, CollectBlobRefsOutput, MergeTablesInput, MergeTablesOutput } from './merge-job.ts'
import { mergeTablesJob } from './merge-tables.ts'
import { type OrderEntriesInput, type OrderEntriesOutput, orderEntriesJob } from './order-entries.ts'
import { type SortEntriesInput, type SortEntriesOutput, sortEntriesJob } from './sort-entries.ts'
import { type SweepCacheInput, type SweepCacheOutput, sweepCacheJob } from './sweep-cache.ts'

/** Asks a worker whether it lives: sent before any buffer is risked. */
export interface ProbeInput {
	readonly word: string
}

export interface JobInputs {
	readonly 'collect-blob-refs': CollectBlobRefsInput
	readonly 'decode-blocks': DecodeBlocksInput
	readonly 'encode-table': EncodeTableInput
	readonly 'merge-tables': MergeTablesInput
	readonly 'fill-cache': FillCacheInput
	readonly 'order-entries': OrderEntriesInput
	readonly probe: ProbeInput
	readonly 'sort-entries': SortEntriesInput
	readonly 'sweep-cache': SweepCacheInput
}

export interface JobOutputs {
	readonly 'collect-blob-refs': CollectBlobRefsOutput
	readonly 'decode-blocks': DecodeBlocksOutput
	readonly 'encode-table': EncodeTableOutput
	readonly 'merge-tables': MergeTablesOutput
	readonly 'fill-cache': FillCacheOutput
	readonly 'order-entries': OrderEntriesOutput
	/** The word of the input. */
	readonly probe: ProbeInput
	readonly 'sort-entries': SortEntriesOutput
	readonly 'sweep-cache': SweepCacheOutput
}

export type JobName = keyof JobInputs

export interface JobResult<Output> {
	readonly output: Output
	readonly transfer: readonly ArrayBuffer[]
}

export type JobHandlers = {
	readonly [Name in JobName]: (
		input: JobInputs[Name],
	) => JobResult<JobOutputs[Name]> | Promise<JobResult<JobOutputs[Name]>>
}

const jobHandlers: JobHandlers = {
	'collect-blob-refs': collectBlobRefsJob,
	'decode-blocks': decodeBlocksJob,
	'encode-table': encodeTableJob,
	'merge-tables': mergeTablesJob,
	'fill-cache': input => fillCacheJob(input),
	'order-entries': orderEntriesJob,
	probe: ({ word }) => ({ output: { word }, transfer: [] }),
	'sort-entries': sortEntriesJob,
	'sweep-cache': sweepCacheJob,
}

/** What crosses back: errors as data, because `structuredClone` drops their codes. */
export type JobEnvelope<Output> = { readonly ok: Output } | { readonly error: WireError }

/** What crosses over. */
export interface JobRequest {
	readonly name: JobName
	readonly input: JobInputs[JobName]
}

/** Runs one job; never rejects. */
export async function runJob<Name extends JobName>(
	name: Name,
	input: JobInputs[Name],
): Promise<{ readonly envelope: JobEnvelope<JobOutputs[Name]>; readonly transfer: readonly ArrayBuffer[] }> {
	try {
		const { output, transfer } = await jobHandlers[name](input)
		return { envelope: { ok: output }, transfer }
	} catch (error) {
		return { envelope: { error: toWire(error) }, transfer: [] }
	}
}
