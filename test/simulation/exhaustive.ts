/**
 * What is not left to chance: a crash at every request of some short histories, and every order, within a bound, in which two claimers,
 * the owner that they take over from and a collector can meet.
 *
 * Orders are enumerated depth first. Whoever has waited longest runs next, and a schedule may depart from that so many times in all:
 * to run the k-th of those who wait counts k (delay-bounded scheduling: Emmi, Qadeer and Rakamarić, 2011). Within that bound each
 * schedule is run exactly once.
 */
import type { Campaign } from './campaign.ts'
import { CRASH_HISTORIES, MEETING } from './exhaustive-histories.ts'
import type { HistoryPlan, HistoryScript } from './history-plan.ts'

export interface ExhaustiveResult {
	/** Crashes that were possible, or schedules: as many as were run. */
	readonly runs: number
	/** What was wrong, with what repeats it. */
	readonly wrong: readonly string[]
}

/** Each request of each history, before and after its effect. */
export async function crashEverywhere(campaign: Campaign): Promise<ExhaustiveResult> {
	const wrong: string[] = []
	let runs = 0
	for (const [name, script] of Object.entries(CRASH_HISTORIES)) {
		const plan = planOf(script)
		const { crashes, faults } = await campaign.run({ ...plan, faults: [] }, undefined, { notesCrashes: true })
		if (faults[0] !== undefined) wrong.push(`${name}, without a crash: ${faults[0]}`)
		for (const crash of crashes) {
			const report = await campaign.run({ ...plan, faults: [crash] })
			runs++
			// Up to the crash everything is as it was without.
			if (report.happened().length !== 1) wrong.push(`${name}: ${crash} did not happen`)
			if (report.faults[0] !== undefined) wrong.push(`${name}, ${crash}: ${report.faults[0]}`)
		}
	}
	return { runs, wrong }
}

/** Each schedule with at most so many delays. */
export async function meetInEveryOrder(campaign: Campaign, delays: number): Promise<ExhaustiveResult> {
	const plan = planOf(MEETING)
	const wrong: string[] = []
	let runs = 0
	let prefix: readonly number[] | undefined = []
	while (prefix !== undefined) {
		const walk = new Walk(prefix)
		const { faults } = await campaign.run({ ...plan, faults: [] }, undefined, { choose: count => walk.choose(count) })
		runs++
		if (faults[0] !== undefined) wrong.push(`choices ${walk.departures}: ${faults[0]}`)
		prefix = walk.next(delays)
	}
	return { runs, wrong }
}

/** One way through the tree of choices: as given, and then always the first. */
class Walk {
	readonly #prefix: readonly number[]
	readonly #taken: { readonly choice: number; readonly count: number }[] = []

	constructor(prefix: readonly number[]) {
		this.#prefix = prefix
	}

	/** `step:choice` of those that were not the first. */
	get departures(): string {
		return this.#taken.flatMap(({ choice }, step) => (choice === 0 ? [] : [`${step}:${choice}`])).join(' ')
	}

	choose(count: number): number {
		const choice = Math.min(this.#prefix[this.#taken.length] ?? 0, count - 1)
		this.#taken.push({ choice, count })
		return choice
	}

	/** The next way in depth-first order, if there is one with at most so many delays. */
	next(delays: number): readonly number[] | undefined {
		const choices = this.#taken.map(({ choice }) => choice)
		let spent = choices.reduce((sum, choice) => sum + choice, 0)
		for (let step = choices.length - 1; step >= 0; step--) {
			const { choice, count } = this.#taken[step] ?? { choice: 0, count: 0 }
			if (choice + 1 < count && spent + 1 <= delays) return [...choices.slice(0, step), choice + 1]
			spent -= choice
		}
		return undefined
	}
}

function planOf(script: HistoryScript): HistoryPlan {
	return { seed: 1, script }
}
