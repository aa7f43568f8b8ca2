/**
 * Runs the cases of a scenario: each run in a fresh child process and an empty directory, the cases in turn (all of them
 * once, then all of them again), so that what disturbs the machine for a while disturbs all of them. Nothing runs
 * side by side.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChildMessage, ChildTask } from './child.ts'
import type { Case, Figures, Plan } from './scenario.ts'
import { medians } from './statistics.ts'

export interface CaseResult extends Case {
	readonly medians: Figures
	/** In the order in which they ran. */
	readonly runs: readonly Figures[]
}

/** What happens, as it happens. */
export interface Progress {
	begin(runIndex: number, runCount: number, item: Case): void
	part(done: number): void
	end(figures: Figures): void
}

/** @throws Error when a child fails: then there is no result to show. */
export async function runCases(plan: Plan, cases: readonly Case[], progress: Progress): Promise<CaseResult[]> {
	const runs = cases.map((): Figures[] => [])
	let index = 0
	for (let repetition = 0; repetition < plan.repeat; repetition++) {
		for (const [i, item] of cases.entries()) {
			progress.begin(index++, cases.length * plan.repeat, item)
			const figures = await runInChild(plan, item, progress)
			runs[i]?.push(figures)
			progress.end(figures)
		}
	}
	return cases.map((item, i) => ({ ...item, medians: medians(runs[i] ?? []), runs: runs[i] ?? [] }))
}

async function runInChild(plan: Plan, item: Case, progress: Progress): Promise<Figures> {
	const directory = mkdtempSync(join(plan.directory ?? tmpdir(), 'isledb-bench-'))
	try {
		return await answerOf({ plan, case: item, directory }, progress)
	} finally {
		rmSync(directory, { recursive: true, force: true })
	}
}

function answerOf(task: ChildTask, progress: Progress): Promise<Figures> {
	return new Promise((resolve, reject) => {
		// What the parent was started with (a debugger, a loader) is not measured.
		const child = fork(join(import.meta.dirname, 'child.ts'), {
			execArgv: [],
			stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
		})
		let figures: Figures | undefined
		child.on('message', (message: ChildMessage) => {
			if (message.kind === 'progress') progress.part(message.done)
			else figures = message.figures
		})
		child.once('error', reject)
		child.once('exit', (code, signal) => {
			if (figures !== undefined && code === 0) resolve(figures)
			else reject(new Error(`the run of ${task.case.engine} (${task.case.label}) ended with ${signal ?? code}`))
		})
		child.send(task)
	})
}
