/**
 * A pool without threads: the same handlers on this thread, one job at a time, each in a macrotask of its own.
 *
 * For tests, the simulator, hosts without threads, and as the baseline of benchmarks. Buffers change hands by
 * `structuredClone` with a transfer list, exactly as between threads: whoever uses a buffer that it has given away finds
 * it detached here too. Errors take their wire form.
 */
import { type JobEnvelope, type JobName, type JobOutputs, type JobRequest, runJob } from '../../workers/jobs.ts'
import type { Clock } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import type { JobPool } from './job-pool.ts'
import { type JobExecutor, JobQueue } from './job-queue.ts'
import { PoolHandle } from './pool-handle.ts'

export class InlineExecutor implements JobExecutor {
	readonly kind = 'inline'
	readonly width = 1
	readonly threads = 0
	readonly #clock: Clock

	constructor(clock: Clock) {
		this.#clock = clock
	}

	prepare(): Promise<void> {
		return Promise.resolve()
	}

	async execute(request: JobRequest, transfer: readonly ArrayBuffer[]): Promise<JobEnvelope<JobOutputs[JobName]>> {
		const owned = structuredClone(request, { transfer: [...transfer] })
		await this.#clock.yieldToIo()
		const result = await runJob(owned.name, owned.input)
		return structuredClone(result.envelope, { transfer: [...result.transfer] })
	}

	/** Nothing that runs on this thread can be given up: it ends before anyone could ask. */
	restart(): void {}

	close(): Promise<void> {
		return Promise.resolve()
	}
}

/** A new pool on this thread. Time (deadlines, yields) is that of `host`. */
export function createInlinePool(host: Host): JobPool {
	const queue = new JobQueue(new InlineExecutor(host.clock))
	return new PoolHandle(queue, host.clock, () => queue.close())
}
