/** A thread of the campaign: runs its share of the histories, of the kept ones or of the planted bugs, and tells what came of it. */

import { parentPort, workerData } from 'node:worker_threads'
import { systemHost } from '../../src/host/host.ts'
import { Campaign, type CampaignTotals } from './campaign.ts'
import type { HistoryPlan } from './history-plan.ts'
import { judgeKept, keptHistories } from './kept-histories.ts'
import type { PlantedBug } from './planted-bug.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import type { HistoryKind } from './settings.ts'

/** Workers of a campaign take every `of`-th, from `first` on. */
export interface Share {
	readonly first: number
	readonly of: number
	/** Not 0: somebody has found something, and everybody ends. */
	readonly stop: Int32Array<SharedArrayBuffer>
}

export type WorkerTask = Share &
	(
		| {
				readonly task: 'histories'
				readonly seed: number
				readonly histories: number
				readonly forMs: number
				readonly kind: HistoryKind | undefined
				/** What operations cost is judged at the end of each; undefined: now and then. */
				readonly budgets: boolean | undefined
		  }
		| {
				readonly task: 'bugs'
				readonly names: readonly string[]
				readonly seed: number
				readonly histories: number | undefined
		  }
		| { readonly task: 'kept' }
	)

export type WorkerMessage =
	| { readonly kind: 'line'; readonly text: string; readonly isFine: boolean }
	| { readonly kind: 'ended'; readonly totals: CampaignTotals; readonly failed: HistoryPlan | undefined }

/** 2^31: seeds are 32 bits. */
export const SEEDS = 2_147_483_648

function tell(message: WorkerMessage): void {
	parentPort?.postMessage(message)
}

async function runHistories(task: WorkerTask & { readonly task: 'histories' }): Promise<void> {
	const { seed, histories, forMs, kind, budgets, first, of, stop } = task
	const campaign = new Campaign()
	const { clock } = systemHost
	const endMs = clock.monotonicMs() + forMs
	let failed: HistoryPlan | undefined
	for (let n = first; n < histories && clock.monotonicMs() < endMs && Atomics.load(stop, 0) === 0; n += of) {
		const plan = { seed: (seed + n) % SEEDS, kind, budgets }
		if ((await campaign.run(plan)).faults.length === 0) continue
		failed = plan
		Atomics.store(stop, 0, 1)
	}
	tell({ kind: 'ended', totals: campaign.totals, failed })
}

/** The sound engine is asked as well: what it fails, too, was not found, but something else was. */
async function findBug(bug: PlantedBug, seed: number, histories: number, sound: Campaign): Promise<[boolean, string]> {
	const campaign = new Campaign(bug)
	for (let n = 0; n < histories; n++) {
		const { kind, budgets } = bug
		const { plan, faults } = await campaign.run({ seed: (seed + n) % SEEDS, kind, budgets })
		if (faults.length === 0) continue
		const [wrong] = (await sound.run(plan)).faults
		if (wrong !== undefined)
			return [false, `NOT FOUND ${bug.name}: without it seed ${plan.seed} fails, too: ${lineOf(wrong)}`]
		return [true, `found ${bug.name} in ${n + 1} ${bug.kind} histories from seed ${seed}: ${lineOf(faults[0] ?? '')}`]
	}
	return [false, `NOT FOUND ${bug.name} in ${histories} histories from seed ${seed}: ${bug.what}`]
}

async function run(task: WorkerTask): Promise<void> {
	// Stacks are wanted of failures only, and those are run again.
	Error.stackTraceLimit = 0
	if (task.task === 'histories') return await runHistories(task)
	const sound = new Campaign()
	if (task.task === 'kept') {
		for (const history of keptHistories().filter((_, index) => index % task.of === task.first)) {
			const wrong = await judgeKept(history)
			tell({ kind: 'line', text: wrong ?? `fine: ${history.what}`, isFine: wrong === undefined })
		}
	} else {
		const bugs = PLANTED_BUGS.filter(({ name }) => task.names.includes(name))
		for (const bug of bugs.filter((_, index) => index % task.of === task.first)) {
			const [isFine, text] = await findBug(bug, task.seed, task.histories ?? bug.historiesMax, sound)
			tell({ kind: 'line', text, isFine })
		}
	}
	tell({ kind: 'ended', totals: sound.totals, failed: undefined })
}

function lineOf(text: string): string {
	return text.split('\n')[0] ?? ''
}

// Given by `runWorkers`.
if (parentPort !== null) await run(workerData as WorkerTask)
