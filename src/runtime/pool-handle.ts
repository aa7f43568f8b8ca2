/** One user's hold on a job queue: it counts that user's jobs, so that closing waits for them and for no one else's. */
import type { JobName, JobOutputs } from '../../workers/jobs.ts'
import { IsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import type { Job, JobOptions, JobPool, JobPoolStats } from './job-pool.ts'
import type { JobQueue } from './job-queue.ts'

export class PoolHandle implements JobPool {
	readonly #queue: JobQueue
	readonly #clock: Clock
	readonly #release: () => Promise<void>
	readonly #underWay = new Set<Promise<unknown>>()
	#closing: Promise<void> | undefined

	/** @param release called once, when the last job of this handle has ended after `close`. */
	constructor(queue: JobQueue, clock: Clock, release: () => Promise<void>) {
		this.#queue = queue
		this.#clock = clock
		this.#release = release
	}

	run<Name extends JobName>(name: Name, make: () => Job<Name>, options?: JobOptions): Promise<JobOutputs[Name]> {
		if (this.#closing !== undefined) return Promise.reject(new IsleError('ISLE_CLOSED', 'the worker pool is closed'))
		const result = this.#queue.run(name, make, this.#clock, options)
		const ended: Promise<void> = result.then(
			() => undefined,
			() => undefined,
		)
		this.#underWay.add(ended)
		void ended.then(() => this.#underWay.delete(ended))
		return result
	}

	stats(): JobPoolStats {
		const { kind, threads, queued, completed, deaths } = this.#queue
		return { kind, threads, queued, completed, deaths }
	}

	close(): Promise<void> {
		this.#closing ??= Promise.all(this.#underWay).then(() => this.#release())
		return this.#closing
	}
}
