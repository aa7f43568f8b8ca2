/**
 * Histories that once found something, kept as what they are: settings, operations, faults and an order, made as short as they could
 * be. A seed would mean another history as soon as anything else is drawn from seeds; these mean the same for ever. What is left to
 * chance is who runs when, which moves with each request that the engine makes more or less: so each is run in many orders.
 *
 * Where the mistake that was found can be planted again, it is: the history must still find it, or it has lost its meaning.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Campaign } from './campaign.ts'
import type { HistoryPlan, HistoryScript } from './history-plan.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { PLAIN_SETTINGS } from './settings.ts'
import type { HistoryReport } from './simulation.ts'

export interface KeptHistory extends HistoryPlan {
	/** What broke. */
	readonly what: string
	/** Name of the planted bug that breaks it again. */
	readonly bug?: string | undefined
	readonly script: HistoryScript
	readonly operations?: undefined
}

const FILE = new URL('found-histories.json', import.meta.url)
/** Its own and others. */
const ORDERS = 40

export function keptHistories(): KeptHistory[] {
	// The file holds a list of these.
	return JSON.parse(readFileSync(FILE, 'utf8')) as KeptHistory[]
}

/** Adds what was found, made short, to those that are kept. */
export function keepHistory({ plan, settings, operations, happened }: HistoryReport, what: string, bug?: string): void {
	const { seed, schedule, budgets } = plan
	const told = Object.entries(settings).filter(
		([name, value]) => JSON.stringify(value) !== JSON.stringify(PLAIN_SETTINGS[name as keyof typeof PLAIN_SETTINGS]),
	)
	const script = { settings: Object.fromEntries(told), operations }
	const kept: KeptHistory = { what, bug, seed, schedule, faults: happened(), budgets, script }
	const lines = [...keptHistories(), kept].map(history => `\t${JSON.stringify(history)}`)
	writeFileSync(FILE, `[\n${lines.join(',\n')}\n]\n`)
}

/** What is wrong with a kept history now; nothing: undefined. */
export async function judgeKept({ what, bug: name, ...plan }: KeptHistory): Promise<string | undefined> {
	const failure = await failureOf(new Campaign(), plan)
	if (failure !== undefined) return `${what}: fails again: ${failure}`
	if (name === undefined) return undefined
	const bug = PLANTED_BUGS.find(one => one.name === name)
	if (bug === undefined) return `${what}: there is no planted bug ${name}`
	const found = await failureOf(new Campaign(bug), plan)
	return found === undefined ? `${what}: does not find ${name} any more, in ${ORDERS} orders` : undefined
}

async function failureOf(campaign: Campaign, plan: HistoryPlan): Promise<string | undefined> {
	const { seed, schedule = seed } = plan
	for (let other = 0; other < ORDERS; other++) {
		const { faults } = await campaign.run({ ...plan, schedule: schedule + other })
		if (faults[0] !== undefined) return `in order ${schedule + other}: ${faults[0]}`
	}
	return undefined
}
