/**
 * One measurement in a process of its own: nothing that another one left behind (compiled code, heap, threads) counts.
 *
 * The parent sends what to do, progress and the figures go back. The directory is the parent's to make and remove.
 */
import { loadEngine, loadScenario } from './discover.ts'
import type { ProgramTask } from './program-engine.ts'
import type { Case, Figures, Plan } from './scenario.ts'

export interface ChildTask {
	readonly plan: Plan
	readonly case: Case
	readonly directory: string
}

export type ChildMessage =
	| { readonly kind: 'progress'; readonly done: number }
	| { readonly kind: 'figures'; readonly figures: Figures }

function tell(message: ChildMessage): void {
	process.send?.(message)
}

process.once('message', (message: ChildTask) => {
	void run(message)
})

async function run({ plan, case: { engine, settings }, directory }: ChildTask): Promise<void> {
	try {
		const scenario = await loadScenario(plan.scenario)
		const measured = await loadEngine(engine)
		const task: ProgramTask = { settings, plan, directory, progress: done => tell({ kind: 'progress', done }) }
		const figures = await (measured.kind === 'program'
			? measured.measure(task)
			: scenario.measure({ ...task, engine: measured }))
		tell({ kind: 'figures', figures })
	} catch (error) {
		console.error(error)
		process.exitCode = 1
	}
	process.disconnect?.()
}
