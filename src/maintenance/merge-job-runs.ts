/**
 * Sends blocks of tables to a worker. The input travels by transfer and is not kept, which would double the memory: when a
 * worker dies with it, it is read again.
 */
import type { JobInputs, JobOutputs } from '../../workers/jobs.ts'
import type { MergeSource } from '../../workers/merge-job.ts'
import { IsleError } from '../errors.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { Job, JobPool } from '../runtime/job-pool.ts'
import { asDamagedInput, type MergeInputs } from './merge-inputs.ts'
import type { RangePart } from './merge-ranges.ts'

type SourceJob = 'merge-tables' | 'collect-blob-refs'

/** A worker that dies is not the fault of the merge; one that dies again may be. */
const WORKER_ATTEMPTS = 2

/** @throws DamagedInput for a table of `parts`; what the store and the pool throw; the signal's reason. */
export async function runSourceJob<Name extends SourceJob>(
	pool: JobPool,
	name: Name,
	inputs: MergeInputs,
	parts: readonly RangePart[],
	makeInput: (sources: readonly MergeSource[]) => JobInputs[Name],
	signal: AbortSignal,
): Promise<JobOutputs[Name]> {
	const tables: readonly TableRef[] = parts.map(part => part.ref)
	for (let attempt = 1; ; attempt++) {
		const sources = await inputs.read(parts, signal)
		const input = makeInput(sources)
		const transfer = [...new Set(sources.map(source => source.blocks.buffer as ArrayBuffer))]
		let isLost = false
		const make = (): Job<Name> => {
			isLost = transfer.some(buffer => buffer.byteLength === 0)
			if (isLost) throw new IsleError('ISLE_UNAVAILABLE', `a worker died with the input of job \`${name}\``)
			return { input, transfer }
		}
		try {
			return await pool.run(name, make, { signal })
		} catch (error) {
			if (!isLost || attempt === WORKER_ATTEMPTS) throw asDamagedInput(error, tables)
		}
	}
}
