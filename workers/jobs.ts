/**
 * The jobs, by name: what each takes, what it gives, and what does it.
 *
 * A handler is a function of its input. It keeps no state, owns every buffer of its input, and names in `transfer` every
 * ArrayBuffer of its output (each whole, none twice). The same table runs in worker threads and in the inline pool.
 */
import { toWire, type WireError } from '../src/errors.ts'
import { type DecodeBlocksInput, type DecodeBlocksOutput, decodeBlocksJob } from './decode-blocks.ts'
import { type EncodeTableInput, type EncodeTableOutput, encodeTableJob } from './encode-table.ts'
import { type SortEntriesInput, type SortEntriesOutput, sortEntriesJob } from './sort-entries.ts'

/** Asks a worker whether it lives: sent before any buffer is risked. */
export interface ProbeInput {
	readonly word: string
}

export interface JobInputs {
	readonly 'decode-blocks': DecodeBlocksInput
	readonly 'encode-table': EncodeTableInput
	readonly probe: ProbeInput
	readonly 'sort-entries': SortEntriesInput
}

export interface JobOutputs {
	readonly 'decode-blocks': DecodeBlocksOutput
	readonly 'encode-table': EncodeTableOutput
	/** The word of the input. */
	readonly probe: ProbeInput
	readonly 'sort-entries': SortEntriesOutput
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
	'decode-blocks': decodeBlocksJob,
	'encode-table': encodeTableJob,
	probe: ({ word }) => ({ output: { word }, transfer: [] }),
	'sort-entries': sortEntriesJob,
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
