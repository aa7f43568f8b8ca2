/**
 * Makes a failing history shorter: leaves out operations, then faults, in halves, quarters and one by one (Zeller and Hildebrandt,
 * "Simplifying and isolating failure-inducing input", 2002), as long as it still fails, in the order of the seed or in a few others.
 */
import type { HistoryPlan } from './history-plan.ts'
import type { HistoryReport } from './simulation.ts'

/** Histories that are tried at most. */
const RUNS_MAX = 400
/** Other orders in which a shorter history is tried. */
const SCHEDULES = 3

export async function shrink(
	failed: HistoryReport,
	run: (plan: HistoryPlan) => Promise<HistoryReport>,
): Promise<HistoryReport> {
	let [best, runs] = [failed, 0]
	const attempt = async (operations: readonly number[], faults: readonly string[]): Promise<boolean> => {
		const { schedule = best.plan.seed } = best.plan
		for (let other = 0; other <= SCHEDULES && runs < RUNS_MAX; other++, runs++) {
			const report = await run({ ...best.plan, schedule: schedule + other, operations, faults })
			if (report.faults.length === 0) continue
			best = report
			return true
		}
		return false
	}
	const operationsOf = (report: HistoryReport): number[] => report.operations.map(({ index }) => index)
	await attempt(operationsOf(best), [])
	for (let before = -1; before !== sizeOf(best); ) {
		before = sizeOf(best)
		await without(operationsOf(best), rest => attempt(rest, best.happened()))
		await without([...best.happened()], rest => attempt(operationsOf(best), rest))
	}
	return best
}

function sizeOf({ operations, happened }: HistoryReport): number {
	return operations.length + happened().length
}

/** Leaves out pieces of `items` as long as `fails` says so. */
async function without<Item>(items: Item[], fails: (rest: readonly Item[]) => Promise<boolean>): Promise<void> {
	let left = items
	for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
		for (let at = 0; at < left.length; ) {
			const rest = [...left.slice(0, at), ...left.slice(at + size)]
			if (await fails(rest)) left = rest
			else at += size
		}
	}
}

/** What repeats it. */
export function replayCommand({ plan, operations, happened }: HistoryReport, bug: string | undefined): string {
	const parts = [`npm run simulate -- --seed ${plan.seed} --histories 1`]
	if (plan.kind !== undefined) parts.push(`--kind ${plan.kind}`)
	if (bug !== undefined) parts.push(`--bug ${bug}`)
	if (plan.budgets === true) parts.push('--budgets')
	if (plan.schedule !== undefined) parts.push(`--schedule ${plan.schedule}`)
	if (plan.operations !== undefined) parts.push(`--operations ${operations.map(({ index }) => index).join(',')}`)
	if (plan.faults !== undefined) parts.push(`--faults '${happened().join(',')}'`)
	return parts.join(' ')
}
