/**
 * Engines beside each other: for every case that two engines ran (the same `group` of one table), how many times better
 * isledb was, in each figure that has a better side. Above 1 isledb is ahead.
 */
import type { BenchReport } from './bench-report.ts'
import type { CaseResult } from './harness.ts'
import type { Column } from './scenario.ts'

export interface Ratio {
	readonly table: string
	readonly group: string
	readonly peer: string
	/** By figure. */
	readonly times: Readonly<Record<string, number>>
}

const OWN = 'isledb'

export function groupOf({ group, label }: Pick<CaseResult, 'group' | 'label'>): string {
	return group ?? label
}

export function ratiosOf({ results, columns }: Pick<BenchReport, 'results' | 'columns'>): Ratio[] {
	return results
		.filter(({ engine }) => engine !== OWN)
		.flatMap(peer => {
			const own = results.find(
				({ engine, table, ...rest }) =>
					engine === OWN && table === peer.table && groupOf({ ...rest }) === groupOf(peer),
			)
			const times = own === undefined ? {} : timesBetter(own, peer, columns[peer.table] ?? [])
			if (Object.keys(times).length === 0) return []
			return [{ table: peer.table, group: groupOf(peer), peer: peer.engine, times }]
		})
}

function timesBetter(own: CaseResult, peer: CaseResult, columns: readonly Column[]): Record<string, number> {
	const times: Record<string, number> = {}
	for (const { figure, better } of columns) {
		const [a, b] = [own.medians[figure], peer.medians[figure]]
		if (better === undefined || a === undefined || b === undefined) continue
		const ratio = better === 'more' ? a / b : b / a
		if (Number.isFinite(ratio)) times[figure] = ratio
	}
	return times
}
