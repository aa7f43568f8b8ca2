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
import type { MergeLoan } from './merge-memory.ts'
import type { RangePart } from './merge-ranges.ts'

type SourceJob = 'merge-tables' | 'collect-blob-refs'

/** A worker that dies is not the fault of the merge; one that dies again may be. */
const WORKER_ATTEMPTS = 2

/** What reads and what is read into. */
export interface SourceMemory {
	readonly inputs: MergeInputs
	readonly loan: MergeLoan
}

/**
 * `makeInput` gets the sources, and buffers that the job may fill.
 *
 * @throws DamagedInput for a table of `parts`; what the store and the pool throw; the signal's reason.
 */
export async function runSourceJob<Name extends SourceJob>(
	pool: JobPool,
	name: Name,
	{ inputs, loan }: SourceMemory,
	parts: readonly RangePart[],
	makeInput: (sources: readonly MergeSource[], buffers: readonly ArrayBuffer[]) => JobInputs[Name],
	signal: AbortSignal,
): Promise<JobOutputs[Name]> {
	const tables: readonly TableRef[] = parts.map(part => part.ref)
	const inputBytes = parts.reduce((sum, part) => sum + part.bytes, 0)
	for (let attempt = 1; ; attempt++) {
		const { buffer, sources } = await inputs.read(parts, loan.takeInput(inputBytes), signal)
		const outputs = name === 'merge-tables' ? loan.takeOutputs() : []
		const input = makeInput(sources, outputs)
		const transfer = [buffer, ...outputs]
		let isLost = false
		const make = (): Job<Name> => {
			isLost = buffer.detached
			if (isLost) throw new IsleError('ISLE_UNAVAILABLE', `a worker died with the input of job \`${name}\``)
			return { input, transfer }
		}
		try {
			const output = await pool.run(name, make, { signal })
			for (const free of output.buffers) loan.giveBack(free)
			return output
		} catch (error) {
			if (!isLost || attempt === WORKER_ATTEMPTS) throw asDamagedInput(error, tables)
		}
	}
}
