/**
 * What both pools share: jobs wait here, first come first served, until the executor has a place for them.
 *
 * 1. `run` checks signal, state and the bound of the queue, arms the deadline, and queues.
 * 2. `make` is called when the job's turn comes: a job that waits holds no buffers, one that is aborted never makes any.
 * 3. The executor answers with an envelope. If its worker died instead, the job is made and run once more, first in line.
 * 4. The caller is answered exactly once: by result, error, abort or deadline. What comes later is dropped.
 *
 * A job that runs past its deadline is taken for hung: the executor is restarted, which costs the jobs beside it one
 * attempt.
 */
import type { JobEnvelope, JobName, JobOutputs, JobRequest } from '../../workers/jobs.ts'
import { fromWire, IsleError } from '../errors.ts'
import type { Clock, Timer } from '../host/clock.ts'
import type { Job, JobOptions } from './job-pool.ts'

/** Where jobs run. */
export interface JobExecutor {
	readonly kind: 'threads' | 'inline'
	/** Jobs that may run at once. */
	readonly width: number
	/** Threads alive now. */
	readonly threads: number
	/** Called once before the first job; afterwards `kind` and `width` are final. Never rejects. */
	prepare(): Promise<void>
	/** Takes over the buffers. Rejects with `WorkerDeath`, or with what made the request impossible to send. */
	execute(request: JobRequest, transfer: readonly ArrayBuffer[]): Promise<JobEnvelope<JobOutputs[JobName]>>
	/** Gives up everything that runs: it rejects with `WorkerDeath`. */
	restart(): void
	close(): Promise<void>
}

/** The thread that ran a job is gone, and the job with it. */
export class WorkerDeath extends Error {
	override readonly name = 'WorkerDeath'
}

/** 2 minutes: a memtable of a gigabyte is encoded in 10 s. */
export const DEFAULT_DEADLINE_MS = 120_000
/** A limit of ours; the writer keeps a few memtables in rotation and the cache some reads, so more is a mistake. */
export const MAX_QUEUED_JOBS = 4_096

interface QueuedJob {
	readonly name: JobName
	readonly make: () => Job<JobName>
	readonly attempts: number
	readonly answer: Answer
}

/** The caller's side of one job. */
class Answer {
	isSettled = false
	readonly #resolve: (output: JobOutputs[JobName]) => void
	readonly #reject: (reason: unknown) => void
	#release: () => void = () => undefined

	constructor(resolve: (output: JobOutputs[JobName]) => void, reject: (reason: unknown) => void) {
		this.#resolve = resolve
		this.#reject = reject
	}

	/** Drops the job, with this reason, when the signal aborts or the deadline passes; `onGone` is told. */
	guard(signal: AbortSignal | undefined, clock: Clock, deadlineMs: number, onGone: (isLate: boolean) => void): void {
		const onAbort = (): void => {
			this.reject(signal?.reason)
			onGone(false)
		}
		const timer: Timer = clock.schedule(deadlineMs, () => {
			this.reject(new IsleError('ISLE_UNAVAILABLE', `no worker finished the job within ${deadlineMs} ms`))
			onGone(true)
		})
		signal?.addEventListener('abort', onAbort, { once: true })
		// Named before it is assigned: D-098.
		const release = (): void => {
			timer.cancel()
			signal?.removeEventListener('abort', onAbort)
		}
		this.#release = release
	}

	resolve(output: JobOutputs[JobName]): void {
		if (this.#settle()) this.#resolve(output)
	}

	reject(reason: unknown): void {
		if (this.#settle()) this.#reject(reason)
	}

	#settle(): boolean {
		if (this.isSettled) return false
		this.isSettled = true
		this.#release()
		return true
	}
}

export class JobQueue {
	readonly #executor: JobExecutor
	#waiting: QueuedJob[] = []
	readonly #running = new Set<QueuedJob>()
	#isPrepared = false
	#preparing: Promise<void> | undefined
	#isClosed = false
	#completed = 0
	#deaths = 0

	constructor(executor: JobExecutor) {
		this.#executor = executor
	}

	get kind(): 'threads' | 'inline' {
		return this.#executor.kind
	}

	get threads(): number {
		return this.#executor.threads
	}

	get queued(): number {
		return this.#waiting.length
	}

	get completed(): number {
		return this.#completed
	}

	get deaths(): number {
		return this.#deaths
	}

	/** @throws what the handler threw; the signal's reason; ISLE_UNAVAILABLE, ISLE_BACKPRESSURE, ISLE_CLOSED. */
	run<Name extends JobName>(
		name: Name,
		make: () => Job<Name>,
		clock: Clock,
		options: JobOptions = {},
	): Promise<JobOutputs[Name]> {
		const { signal, deadlineMs = DEFAULT_DEADLINE_MS } = options
		return new Promise((resolve, reject) => {
			signal?.throwIfAborted()
			if (this.#isClosed) throw new IsleError('ISLE_CLOSED', 'the worker pool is closed')
			if (this.#waiting.length >= MAX_QUEUED_JOBS) {
				throw new IsleError('ISLE_BACKPRESSURE', `${MAX_QUEUED_JOBS} jobs wait for a worker already`)
			}
			// A job and its output go by one name, so the output is that of `Name`.
			const answer = new Answer(output => resolve(output as JobOutputs[Name]), reject)
			const job: QueuedJob = { name, make: make as () => Job<JobName>, attempts: 0, answer }
			answer.guard(signal, clock, deadlineMs, isLate => this.#drop(answer, isLate))
			this.#waiting.push(job)
			this.#pump()
		})
	}

	/** Rejects what waits, gives up what runs. Idempotent. */
	async close(): Promise<void> {
		if (!this.#isClosed) {
			this.#isClosed = true
			const closed = new IsleError('ISLE_CLOSED', 'the worker pool was closed')
			for (const { answer } of [...this.#waiting, ...this.#running]) answer.reject(closed)
			this.#waiting = []
		}
		await this.#preparing
		await this.#executor.close()
	}

	#pump(): void {
		if (!this.#isPrepared) {
			this.#preparing ??= this.#executor.prepare().then(() => {
				this.#isPrepared = true
				this.#pump()
			})
			return
		}
		while (this.#running.size < this.#executor.width) {
			const job = this.#waiting.shift()
			if (job === undefined) return
			void this.#start(job)
		}
	}

	/** Runs one job; never rejects. */
	async #start(job: QueuedJob): Promise<void> {
		const { name, answer } = job
		this.#running.add(job)
		try {
			const { input, transfer } = job.make()
			const envelope = await this.#executor.execute({ name, input }, transfer)
			this.#completed++
			if ('ok' in envelope) answer.resolve(envelope.ok)
			else answer.reject(fromWire(envelope.error))
		} catch (error) {
			if (error instanceof WorkerDeath) this.#afterDeath(job, error)
			else answer.reject(error)
		}
		this.#running.delete(job)
		this.#pump()
	}

	#afterDeath(job: QueuedJob, death: WorkerDeath): void {
		this.#deaths++
		if (job.answer.isSettled || this.#isClosed) return
		if (job.attempts === 0) {
			this.#waiting.unshift({ ...job, attempts: 1 })
			return
		}
		const message = `the worker died twice while it ran job \`${job.name}\``
		job.answer.reject(new IsleError('ISLE_UNAVAILABLE', message, { cause: death.cause ?? death }))
	}

	/** The caller has been answered: a job that waits goes away; one that runs too long takes the executor with it. */
	#drop(answer: Answer, isLate: boolean): void {
		const isWaiting = this.#waiting.some(job => job.answer === answer)
		if (isWaiting) this.#waiting = this.#waiting.filter(job => job.answer !== answer)
		else if (isLate) this.#executor.restart()
	}
}
