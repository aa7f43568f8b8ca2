/**
 * The worker threads of the process: one Piscina, shared by all databases and counted, created with the first job.
 *
 * 1. `acquireWorkerPool` gives a handle; nothing is loaded or started yet.
 * 2. The first job starts a thread and sends it a probe. If no answer comes, threads cannot run here (a bundler lost the
 *    worker file, a sandbox forbids them): one warning, and the same handlers run on this thread from then on.
 * 3. The last handle that closes ends the threads.
 *
 * Facts of Piscina 5.3 that shape this file, each seen by running it: it settles nothing for a worker that dies before it
 * is ready; an explicit `undefined` among its options hangs it; it kills the thread of a job whose signal aborts (so it
 * is given no signals); it keeps no thread with `minThreads: 0` unless `idleTimeout` says so; threads inherit flags.
 * An idle pool keeps no process alive; one with a job does.
 *
 * One job a thread at a time: a second one waiting in the thread saves the main thread 3 of 23 µs, and would die of its
 * neighbour's faults. One thread for two processors: with two, threads and the writing main thread take turns (0.70
 * against 1.1 M entries a second).
 */
import { availableParallelism } from 'node:os'
import type { Piscina } from 'piscina'
import type { JobEnvelope, JobName, JobOutputs, JobRequest } from '../../workers/jobs.ts'
import type { Clock } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import { InlineExecutor } from './inline-pool.ts'
import type { JobPool } from './job-pool.ts'
import { type JobExecutor, JobQueue, WorkerDeath } from './job-queue.ts'
import { PoolHandle } from './pool-handle.ts'

export interface WorkerPoolOptions {
	/** Threads at most, 1 to 64; the first to acquire decides. Default: one less than the processors, at least 1. */
	readonly maxThreads?: number | undefined
	/** What the threads run, where a bundler has moved it. Default: `workers/main` of this package. */
	readonly workerUrl?: URL | string | undefined
}

/** A limit of ours: each thread takes about 10 MB. */
const MAX_THREADS = 64
/** Idle threads end after half a minute: to start one takes about 50 ms. */
const IDLE_TIMEOUT_MS = 30_000
/** A loaded machine needs a second or two to start a thread; past this it will not. */
const PROBE_DEADLINE_MS = 15_000
const PROBE_WORD = 'isle'

type Envelope = JobEnvelope<JobOutputs[JobName]>

interface SharedPool {
	readonly queue: JobQueue
	handles: number
}

/** By URL of the worker. */
const sharedPools = new Map<string, SharedPool>()
let hasWarned = false

/** The shared pool of this process. @throws RangeError for options out of range. */
export function acquireWorkerPool(host: Host, options: WorkerPoolOptions = {}): JobPool {
	const maxThreads = options.maxThreads ?? Math.max(1, availableParallelism() - 1)
	if (!Number.isInteger(maxThreads) || maxThreads < 1 || maxThreads > MAX_THREADS) {
		throw new RangeError(`Expected \`maxThreads\` to be an integer from 1 to ${MAX_THREADS}, got ${maxThreads}`)
	}
	const workerUrl = String(options.workerUrl ?? defaultWorkerUrl())
	let shared = sharedPools.get(workerUrl)
	if (shared === undefined) {
		shared = { queue: new JobQueue(new ThreadExecutor(workerUrl, maxThreads, host.clock)), handles: 0 }
		sharedPools.set(workerUrl, shared)
	}
	const { queue } = shared
	shared.handles++
	return new PoolHandle(queue, host.clock, async () => {
		const current = sharedPools.get(workerUrl)
		if (current?.queue !== queue || --current.handles > 0) return
		sharedPools.delete(workerUrl)
		await queue.close()
	})
}

/**
 * `workers/main.ts` beside these sources, `workers/main.js` in `dist`. Not written as one literal `new URL`: bundlers
 * would try to resolve that at build time, and fail.
 */
function defaultWorkerUrl(): URL {
	const here = import.meta.url
	const extension = here.slice(here.lastIndexOf('.'))
	return new URL(`${'../'.repeat(2)}workers/main${extension}`, here)
}

class ThreadExecutor implements JobExecutor {
	readonly #workerUrl: string
	readonly #maxThreads: number
	readonly #clock: Clock
	#PiscinaClass: typeof Piscina | undefined
	#piscina: Piscina | undefined
	/** What to call when the threads are given up: one for each job that runs. */
	readonly #losers = new Set<(reason: unknown) => void>()
	#fallback: InlineExecutor | undefined

	constructor(workerUrl: string, maxThreads: number, clock: Clock) {
		this.#workerUrl = workerUrl
		this.#maxThreads = maxThreads
		this.#clock = clock
	}

	get kind(): 'threads' | 'inline' {
		return this.#fallback?.kind ?? 'threads'
	}

	get width(): number {
		return this.#fallback?.width ?? this.#maxThreads
	}

	get threads(): number {
		return this.#piscina?.threads.length ?? 0
	}

	async prepare(): Promise<void> {
		try {
			this.#PiscinaClass = (await import('piscina')).Piscina
			await this.#probe()
		} catch (error) {
			this.restart()
			this.#fallback = new InlineExecutor(this.#clock)
			warnOnce(error)
		}
	}

	execute(request: JobRequest, transfer: readonly ArrayBuffer[]): Promise<Envelope> {
		if (this.#fallback !== undefined) return this.#fallback.execute(request, transfer)
		return new Promise((resolve, reject) => {
			const lose = (cause: unknown): void => {
				this.#losers.delete(lose)
				// What could not be sent was never received: no worker is to blame.
				const isUnsendable = cause instanceof Error && cause.name === 'DataCloneError'
				reject(isUnsendable ? cause : new WorkerDeath('a worker thread died', { cause }))
			}
			this.#losers.add(lose)
			this.#threads()
				.run(request, { transferList: [...transfer] })
				.then((envelope: Envelope) => {
					this.#losers.delete(lose)
					resolve(envelope)
				}, lose)
		})
	}

	restart(): void {
		this.#giveUp(this.#piscina, new Error('the worker threads were restarted'))
	}

	async close(): Promise<void> {
		const piscina = this.#piscina
		this.#piscina = undefined
		await piscina?.destroy()
	}

	#threads(): Piscina {
		if (this.#piscina !== undefined) return this.#piscina
		if (this.#PiscinaClass === undefined) throw new Error('broken invariant: a job before prepare')
		const { NODE_OPTIONS: _, ...env } = process.env
		const piscina = new this.#PiscinaClass({
			filename: this.#workerUrl,
			minThreads: 0,
			maxThreads: this.#maxThreads,
			idleTimeout: IDLE_TIMEOUT_MS,
			concurrentTasksPerWorker: 1,
			recordTiming: false,
			execArgv: [],
			env,
		})
		// A thread that dies before it is ready takes no job with it: the job would wait for ever.
		piscina.on('error', error => this.#giveUp(piscina, error))
		piscina.on('workerDestroy', () => void this.#checkAlive(piscina))
		this.#piscina = piscina
		return piscina
	}

	/** A thread that left without a word leaves nothing behind either: when none is left, nobody will answer. */
	async #checkAlive(piscina: Piscina): Promise<void> {
		await this.#clock.yieldToIo()
		const isDeserted = piscina === this.#piscina && piscina.threads.length === 0 && this.#losers.size > 0
		if (isDeserted) this.#giveUp(piscina, new Error('a worker thread exited before it was ready'))
	}

	/** Ends the threads of `piscina`, if it is still ours; new ones start with the next job. */
	#giveUp(piscina: Piscina | undefined, reason: unknown): void {
		if (piscina === undefined || piscina !== this.#piscina) return
		this.#piscina = undefined
		for (const lose of this.#losers) lose(reason)
		piscina.destroy().catch(() => undefined)
	}

	async #probe(): Promise<void> {
		const late = new Error(`no worker thread answered within ${PROBE_DEADLINE_MS} ms`)
		const timer = this.#clock.schedule(PROBE_DEADLINE_MS, () => this.#giveUp(this.#piscina, late))
		try {
			const envelope = await this.execute({ name: 'probe', input: { word: PROBE_WORD } }, [])
			const isEcho = 'ok' in envelope && 'word' in envelope.ok && envelope.ok.word === PROBE_WORD
			if (!isEcho) throw new Error('the worker file is not that of this version')
		} finally {
			timer.cancel()
		}
	}
}

function warnOnce(error: unknown): void {
	if (hasWarned) return
	hasWarned = true
	const cause = error instanceof WorkerDeath ? error.cause : error
	const reason = cause instanceof Error ? cause.message : String(cause)
	process.emitWarning(`isledb runs without worker threads, on the main thread: ${reason}`, {
		type: 'IsleWarning',
		code: 'ISLE_INLINE_POOL',
		detail: 'Pass `workerUrl` if a bundler moved the worker file, or mark `isledb` and `piscina` as external.',
	})
}
