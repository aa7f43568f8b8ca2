/** Many histories, one after another, and what they covered. */

import { type EngineOf, enginesWith } from './engine.ts'
import { FAULT_KINDS, type FaultKind } from './faults.ts'
import type { HistoryPlan } from './history-plan.ts'
import type { PlantedBug } from './planted-bug.ts'
import type { HistoryKind } from './settings.ts'
import { type HistoryOptions, type HistoryReport, runHistory } from './simulation.ts'

export interface CampaignTotals {
	readonly histories: Record<HistoryKind, number>
	/** Processor time of the threads that ran them, without those of V8 that compile and collect. */
	readonly threadMs: Record<HistoryKind, number>
	readonly counts: Record<(typeof COUNTS)[number], number>
	readonly faults: Record<FaultKind, number>
	/** Errors that clients met, by code. */
	readonly errors: Record<string, number>
}

const COUNTS = [
	'steps',
	'operations',
	'commits',
	'takeovers',
	'readings',
	'past',
	'pins',
	'changes',
	'disk failures',
	/** Histories that were brought to rest and searched for what is left over. */
	'rested',
] as const

/** Rejections of this thread that nobody handled, once somebody listens. */
let unhandled: string[] | undefined

export class Campaign {
	readonly totals: CampaignTotals = noTotals()
	readonly #engineOf: EngineOf
	/** Processor time of this thread up to the history before: asking twice for each would be 1 % of it. */
	#threadUs: number

	/** With a planted bug, or without. */
	constructor(bug?: PlantedBug) {
		this.#engineOf = enginesWith(bug)
		const { user, system } = process.threadCpuUsage()
		this.#threadUs = user + system
		if (unhandled === undefined) {
			const errors: string[] = []
			unhandled = errors
			process.on('unhandledRejection', error => {
				errors.push(error instanceof Error ? String(error.stack) : String(error))
			})
		}
	}

	async run(
		plan: HistoryPlan,
		trace?: (line: string) => void,
		more: Pick<HistoryOptions, 'choose' | 'notesCrashes'> = {},
	): Promise<HistoryReport> {
		const report = await runHistory({ ...plan, ...more, engineOf: this.#engineOf, trace })
		// Rejections that nobody handles are told when the event loop turns.
		await new Promise(resolve => setImmediate(resolve))
		const nobodys = unhandled?.splice(0).map(error => `nobody handles: ${error}`) ?? []
		this.#count(report)
		const { user, system } = process.threadCpuUsage()
		this.totals.threadMs[report.settings.kind] += (user + system - this.#threadUs) / 1000
		this.#threadUs = user + system
		return nobodys.length === 0 ? report : { ...report, faults: [...report.faults, ...nobodys] }
	}

	#count({ steps, operations, commits, record, settings, happenedKinds, diskFailures }: HistoryReport): void {
		const { histories, counts, faults, errors } = this.totals
		histories[settings.kind]++
		counts.steps += steps
		counts.operations += operations.length
		counts.commits += commits
		counts.takeovers += Math.max(0, record.lives.length - 1)
		for (const { what } of record.readings) {
			counts.readings++
			if (what === 'past') counts.past++
			else if (what === 'pin') counts.pins++
		}
		counts.changes += record.tails.reduce((sum, tail) => sum + tail.changes.length, 0)
		counts['disk failures'] += diskFailures
		counts.rested += settings.comesToRest ? 1 : 0
		for (const kind of happenedKinds) faults[kind]++
		add(errors, record.errors)
	}
}

export function noTotals(): CampaignTotals {
	return {
		histories: { short: 0, long: 0 },
		threadMs: { short: 0, long: 0 },
		// Each is named by its list.
		counts: Object.fromEntries(COUNTS.map(name => [name, 0])) as CampaignTotals['counts'],
		faults: Object.fromEntries(FAULT_KINDS.map(kind => [kind, 0])) as CampaignTotals['faults'],
		errors: {},
	}
}

export function addTotals(sum: CampaignTotals, more: CampaignTotals): void {
	add(sum.histories, more.histories)
	add(sum.threadMs, more.threadMs)
	add(sum.counts, more.counts)
	add(sum.faults, more.faults)
	add(sum.errors, more.errors)
}

function add(sum: Record<string, number>, more: Readonly<Record<string, number | undefined>>): void {
	for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + (count ?? 0)
}
