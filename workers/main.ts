/**
 * What a worker thread runs: Piscina calls the default export once per job.
 *
 * It imports `piscina` only for `move`, which marks the buffers of a result for transfer; Piscina has loaded it already.
 *
 * Between jobs Piscina lets the thread sleep without leaving its last turn of the event loop, and Node frees what native addons have
 * handed out, such as each block that LZ4 has compressed, in a turn of its own. So a job ends with the next turn (3 µs).
 */
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type JobRequest, runJob } from './jobs.ts'

export default async function main({ name, input }: JobRequest): Promise<unknown> {
	const { envelope, transfer } = await runJob(name, input)
	await new Promise(resolve => setImmediate(resolve))
	return move({ [transferableSymbol]: transfer, [valueSymbol]: envelope } as unknown as ArrayBuffer)
}
