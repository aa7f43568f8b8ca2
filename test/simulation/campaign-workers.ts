/** Runs a task in threads, one for each processor. */

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { addTotals, type CampaignTotals, noTotals } from './campaign.ts'
import type { Share, WorkerMessage, WorkerTask } from './campaign-worker.ts'
import type { HistoryPlan } from './history-plan.ts'

export interface WorkersResult {
	readonly totals: CampaignTotals
	/** The first plans that fail. */
	readonly failed: readonly HistoryPlan[]
	readonly isFine: boolean
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never
export type SharedTask = DistributiveOmit<WorkerTask, keyof Share>

/** A scavenge of the default 16 MiB comes every few histories: larger, and what they leave is garbage by then. */
const YOUNG_GENERATION_MB = 96

export async function runWorkers(task: SharedTask, threads: number = availableParallelism()): Promise<WorkersResult> {
	const totals = noTotals()
	const failed: HistoryPlan[] = []
	const stop = new Int32Array(new SharedArrayBuffer(4))
	let isFine = true
	const runOne = (first: number): Promise<void> =>
		new Promise((resolve, reject) => {
			let hasEnded = false
			const worker = new Worker(new URL('campaign-worker.ts', import.meta.url), {
				workerData: { ...task, first, of: threads, stop } satisfies WorkerTask,
				resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
			})
			worker.on('message', (message: WorkerMessage) => {
				if (message.kind === 'line') {
					console.log(message.text)
					isFine &&= message.isFine
					return
				}
				hasEnded = true
				addTotals(totals, message.totals)
				if (message.failed !== undefined) failed.push(message.failed)
			})
			worker.on('error', reject)
			worker.on('exit', code => (hasEnded ? resolve() : reject(new Error(`a thread has ended with ${code}`))))
		})
	await Promise.all(Array.from({ length: threads }, (_, first) => runOne(first)))
	return { totals, failed, isFine: isFine && failed.length === 0 }
}
