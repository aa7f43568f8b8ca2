/** Many histories, one after another, and what they covered. */

import type { Engine } from './engine.ts'
import { FAULT_KINDS, type FaultKind } from './faults.ts'
import { type HistoryPlan, type HistoryReport, runHistory } from './simulation.ts'

export interface CampaignTotals {
	histories: number
	steps: number
	operations: number
	commits: number
	takeovers: number
	readings: number
	changes: number
	/** Histories that were brought to rest and searched for what is left over. */
	rested: number
	readonly faults: Record<FaultKind, number>
	/** Errors that clients met, by code. */
	readonly errors: Record<string, number>
}

/** Rejections of this process that nobody handled, once somebody listens. */
let unhandled: string[] | undefined

export class Campaign {
	readonly totals: CampaignTotals = {
		histories: 0,
		steps: 0,
		operations: 0,
		commits: 0,
		takeovers: 0,
		readings: 0,
		changes: 0,
		rested: 0,
		// Each kind is named by the list.
		faults: Object.fromEntries(FAULT_KINDS.map(kind => [kind, 0])) as Record<FaultKind, number>,
		errors: {},
	}
	readonly #engine: Engine

	constructor(engine: Engine) {
		this.#engine = engine
		if (unhandled === undefined) {
			const errors: string[] = []
			unhandled = errors
			process.on('unhandledRejection', error => {
				errors.push(error instanceof Error ? String(error.stack) : String(error))
			})
		}
	}

	async run(plan: HistoryPlan, trace?: (line: string) => void): Promise<HistoryReport> {
		const report = await runHistory({ ...plan, engine: this.#engine, trace })
		// Rejections that nobody handles are told when the event loop turns.
		await new Promise(resolve => setImmediate(resolve))
		const nobodys = unhandled?.splice(0).map(error => `nobody handles: ${error}`) ?? []
		this.#count(report)
		return nobodys.length === 0 ? report : { ...report, faults: [...report.faults, ...nobodys] }
	}

	#count({ steps, operations, commits, takeovers, record, isAtRest, happened }: HistoryReport): void {
		const { totals } = this
		totals.histories++
		totals.steps += steps
		totals.operations += operations.length
		totals.commits += commits
		totals.takeovers += Math.max(0, takeovers - 1)
		totals.readings += record.readings.length
		totals.changes += record.tails.reduce((sum, tail) => sum + tail.changes.length, 0)
		totals.rested += isAtRest ? 1 : 0
		for (const name of happened) {
			const kind = FAULT_KINDS.find(known => name.endsWith(`:${known}`))
			if (kind !== undefined) totals.faults[kind]++
		}
		for (const [code, count] of Object.entries(record.errors)) {
			totals.errors[code] = (totals.errors[code] ?? 0) + count
		}
	}
}
