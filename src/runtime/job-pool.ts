/**
 * Where CPU work goes: the contract that the worker pool (threads) and the inline pool (this thread) both keep.
 *
 * A job is plain data. `make` builds it, together with the ArrayBuffers that it owns whole and that travel by transfer;
 * it is called once per attempt, because the buffers of an attempt whose worker died are gone with it.
 */
import type { JobInputs, JobName, JobOutputs } from '../../workers/jobs.ts'

export interface Job<Name extends JobName> {
	readonly input: JobInputs[Name]
	/** Every ArrayBuffer of `input`; the sender must not touch them again. */
	readonly transfer: readonly ArrayBuffer[]
}

export interface JobOptions {
	/** Checked before the job is queued; a job that runs is not interrupted, its result is dropped. */
	readonly signal?: AbortSignal | undefined
	/** Longest time from queueing to the result; `ISLE_UNAVAILABLE` past it. Default 120,000 ms. */
	readonly deadlineMs?: number | undefined
}

export interface JobPoolStats {
	readonly kind: 'threads' | 'inline'
	readonly threads: number
	readonly queued: number
	readonly completed: number
	/** Worker threads that died while a job ran. */
	readonly deaths: number
}

export interface JobPool {
	/** @internal */
	run<Name extends JobName>(name: Name, make: () => Job<Name>, options?: JobOptions): Promise<JobOutputs[Name]>
	stats(): JobPoolStats
	/** Gives the pool back; jobs under way finish first. Idempotent. */
	close(): Promise<void>
}
