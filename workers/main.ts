/**
 * What a worker thread runs: Piscina calls the default export once per job.
 *
 * It imports `piscina` only for `move`, which marks the buffers of a result for transfer; Piscina has loaded it already.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type JobRequest, runJob } from './jobs.ts'

export default async function main({ name, input }: JobRequest): Promise<unknown> {
	const { envelope, transfer } = await runJob(name, input)
	return move({ [transferableSymbol]: transfer, [valueSymbol]: envelope } as unknown as ArrayBuffer)
}
