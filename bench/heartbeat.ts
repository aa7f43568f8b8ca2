/**
 * How long the event loop of this thread keeps messages waiting, measured from another thread.
 *
 * That thread posts its time every `intervalMs`; the handler here compares it with the time now, on the same monotonic
 * clock. The delay is that of the loop: if the other thread is late in posting, there are fewer samples, not larger
 * ones. Look at the count: a loop that never turns answers no beat at all until it ends.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { percentile } from './statistics.ts'

export interface LoopDelay {
	readonly samples: number
	readonly p50Ms: number
	readonly p99Ms: number
	readonly maxMs: number
}

/** Half an hour of one beat a millisecond: later ones are not kept. */
const MAX_SAMPLES = 1_800_000

export class Heartbeat {
	readonly #worker: Worker
	readonly #stop: Int32Array
	readonly #delaysMs = new Float64Array(MAX_SAMPLES)
	#samples = 0
	#cpuUs = 0

	private constructor(worker: Worker, stop: Int32Array) {
		this.#worker = worker
		this.#stop = stop
		worker.on('message', (message: bigint | number) => {
			if (typeof message === 'number') this.#cpuUs = message
			else if (this.#samples < MAX_SAMPLES)
				this.#delaysMs[this.#samples++] = Number(process.hrtime.bigint() - message) / 1e6
		})
	}

	/** Resolves when the first beat has come. */
	static async start(intervalMs = 1): Promise<Heartbeat> {
		const stop = new Int32Array(new SharedArrayBuffer(4))
		const worker = new Worker(new URL('./heartbeat-thread.ts', import.meta.url), { workerData: { intervalMs, stop } })
		const heartbeat = new Heartbeat(worker, stop)
		await once(worker, 'message')
		heartbeat.#samples = 0
		return heartbeat
	}

	/** Beats that were answered so far. */
	get samples(): number {
		return this.#samples
	}

	/** Processor time that the other thread took for its beats, known once it has stopped. */
	get cpuUs(): number {
		return this.#cpuUs
	}

	/** What was seen since the start: undefined when that was too short for a beat to come. Ends the thread. */
	async stop(): Promise<LoopDelay | undefined> {
		// What is under way comes before the end of the thread.
		Atomics.store(this.#stop, 0, 1)
		Atomics.notify(this.#stop, 0)
		await once(this.#worker, 'exit')
		if (this.#samples === 0) return undefined
		const delays = this.#delaysMs.subarray(0, this.#samples)
		return {
			samples: delays.length,
			p50Ms: percentile(delays, 50),
			p99Ms: percentile(delays, 99),
			maxMs: percentile(delays, 100),
		}
	}
}
