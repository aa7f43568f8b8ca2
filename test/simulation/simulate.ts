/**
 * Runs histories and prints what they covered; on a failure its seed, a shorter history that fails too, and the command that repeats it.
 *
 *     npm run simulate -- --seed 1 --histories 1000          a thousand histories from seed 1 on
 *     npm run simulate -- --minutes 2                        two minutes of fresh seeds
 *     npm run simulate -- … --kind short                     or long: of that kind alone; --threads N
 *     npm run simulate -- … --budgets                        what requests cost is judged at the end of each, not of one in 64
 *     npm run simulate -- --seed 7 --trace                   what happens in one
 *     npm run simulate -- --found                            every history that ever found something
 *     npm run simulate -- --bugs                             every planted bug must be found; `--only name,name` some
 *     npm run simulate -- --bug grace-ignored                until this one is found, and what it takes
 *     npm run simulate -- --exhaustive                       every crash of short histories, and takeovers in every order; `--delays N`
 *     npm run simulate -- --orders                           every order of requests to a log; `--extent 0` some, 2 all
 *     npm run simulate -- --seed 7 … --operations 1,4 --faults '…' --schedule 3     a shorter history, as a failure prints it
 *     npm run simulate -- --seed 7 … --keep 'what broke'     makes it short, and keeps it among those that found something
 */
import { parseArgs } from 'node:util'
import { systemHost } from '../../src/host/host.ts'
import { Campaign, type CampaignTotals } from './campaign.ts'
import { SEEDS } from './campaign-worker.ts'
import { runWorkers } from './campaign-workers.ts'
import { crashEverywhere, meetInEveryOrder } from './exhaustive.ts'
import type { HistoryPlan } from './history-plan.ts'
import { keepHistory } from './kept-histories.ts'
import { searchLogOrders } from './log-orders.ts'
import type { PlantedBug } from './planted-bug.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import type { HistoryKind } from './settings.ts'
import { replayCommand, shrink } from './shrink.ts'
import type { HistoryReport } from './simulation.ts'

const { values: args } = parseArgs({
	options: {
		seed: { type: 'string' },
		kind: { type: 'string' },
		histories: { type: 'string' },
		minutes: { type: 'string' },
		threads: { type: 'string' },
		schedule: { type: 'string' },
		operations: { type: 'string' },
		faults: { type: 'string' },
		bug: { type: 'string' },
		bugs: { type: 'boolean' },
		only: { type: 'string' },
		found: { type: 'boolean' },
		exhaustive: { type: 'boolean' },
		delays: { type: 'string' },
		orders: { type: 'boolean' },
		extent: { type: 'string' },
		budgets: { type: 'boolean' },
		trace: { type: 'boolean' },
		keep: { type: 'string' },
	},
})
const { clock, random } = systemHost

function numbered(
	name: 'seed' | 'histories' | 'minutes' | 'schedule' | 'threads' | 'delays' | 'extent',
): number | undefined {
	const text = args[name]
	if (text === undefined) return undefined
	const value = Number(text)
	if (text === '' || !(value >= 0)) throw new RangeError(`Expected --${name} to be a number, got '${text}'`)
	return value
}

function listed(text: string): string[] {
	return text === '' ? [] : text.split(',')
}

function kindAsked(): HistoryKind | undefined {
	if (args.kind === undefined || args.kind === 'short' || args.kind === 'long') return args.kind
	throw new RangeError(`Expected --kind to be short or long, got '${args.kind}'`)
}

function bugNamed(name: string | undefined): PlantedBug | undefined {
	const bug = PLANTED_BUGS.find(known => known.name === name)
	if (name === undefined || bug !== undefined) return bug
	throw new RangeError(`Expected a bug among ${PLANTED_BUGS.map(known => known.name).join(', ')}`)
}

function show({ histories, threadMs, counts, faults, errors }: CampaignTotals, cpuMs: number, wallMs: number): void {
	const perSecond = (count: number, ms: number): string => ((1000 * count) / Math.max(1, ms)).toFixed(0)
	const all = histories.short + histories.long
	// With the beginning, in which everything is loaded and compiled.
	const rates = `${perSecond(all, wallMs)} a second, ${perSecond(all, cpuMs)} a second of processor time`
	console.log(`${all} histories (${histories.short} short and ${histories.long} long), ${rates}`)
	for (const kind of ['short', 'long'] as const) {
		if (histories[kind] === 0) continue
		console.log(`${kind} ones: ${perSecond(histories[kind], threadMs[kind])} a second of the threads that run them`)
	}
	const told = (what: object): string =>
		Object.entries(what)
			.map(([name, count]) => `${name} ${count}`)
			.join(', ') || 'none'
	console.log(told(counts))
	console.log(`faults: ${told(faults)}`)
	console.log(`errors met: ${told(errors)}`)
}

async function showFailure(campaign: Campaign, failed: HistoryReport): Promise<void> {
	console.log(`seed ${failed.plan.seed} fails:\n  ${failed.faults.slice(0, 5).join('\n  ')}`)
	const short = await shrink(failed, plan => campaign.run(plan))
	console.log(`${short.operations.length} operations and ${short.happened().length} faults do, too:`)
	for (const { role, slot, client, operation } of short.operations) {
		console.log(`  ${role}${slot}/${client} ${JSON.stringify(operation)}`)
	}
	for (const name of short.happened()) console.log(`  ${name}`)
	console.log(`  → ${short.faults.slice(0, 3).join('\n    ')}`)
	console.log(`again: ${replayCommand(short, args.bug)}`)
	if (args.keep !== undefined) keepHistory(short, args.keep, args.bug)
}

/** One history, in this thread; with a planted bug as many as it takes to find it. False when it finds something. */
async function runOne(plan: HistoryPlan): Promise<boolean> {
	const bug = bugNamed(args.bug)
	const campaign = new Campaign(bug)
	const histories = args.histories === '1' ? 1 : (bug?.historiesMax ?? 1)
	let report: HistoryReport
	let n = 0
	do {
		const next = { ...plan, seed: (plan.seed + n) % SEEDS }
		report = await campaign.run(next, args.trace ? line => console.log(line) : undefined)
	} while (++n < histories && report.faults.length === 0)
	if (report.faults.length === 0) console.log(`seed ${report.plan.seed} finds nothing`)
	else await showFailure(campaign, report)
	return report.faults.length === 0
}

/** False when something was found. */
async function runHistories(seed: number): Promise<boolean> {
	const minutes = numbered('minutes')
	const histories = numbered('histories') ?? (minutes === undefined ? 1000 : Number.POSITIVE_INFINITY)
	const forMs = minutes === undefined ? Number.POSITIVE_INFINITY : minutes * 60_000
	const [startedMs, cpu] = [clock.monotonicMs(), process.cpuUsage()]
	console.log(`seeds from ${seed} on`)
	const task = { task: 'histories', seed, histories, forMs, kind: kindAsked(), budgets: args.budgets } as const
	const { totals, failed } = await runWorkers(task, numbered('threads'))
	const { user, system } = process.cpuUsage(cpu)
	show(totals, (user + system) / 1000, clock.monotonicMs() - startedMs)
	for (const plan of failed) await runOne(plan)
	return failed.length === 0
}

async function findBugs(seed: number): Promise<boolean> {
	const names = args.only === undefined ? PLANTED_BUGS.map(({ name }) => name) : listed(args.only)
	for (const name of names) bugNamed(name)
	const task = { task: 'bugs', names, seed, histories: numbered('histories') } as const
	return (await runWorkers(task, numbered('threads'))).isFine
}

async function runExhaustive(): Promise<boolean> {
	const campaign = new Campaign()
	const crashes = await crashEverywhere(campaign)
	console.log(`${crashes.runs} crashes, each before or after one request of a short history`)
	const delays = numbered('delays') ?? 2
	const orders = await meetInEveryOrder(campaign, delays)
	console.log(`${orders.runs} orders of two claimers, an owner and a collector, with at most ${delays} delays`)
	const wrong = [...crashes.wrong, ...orders.wrong]
	for (const line of wrong.slice(0, 20)) console.log(`WRONG ${line}`)
	return wrong.length === 0
}

async function main(): Promise<boolean> {
	if (args.exhaustive) return await runExhaustive()
	if (args.found) return (await runWorkers({ task: 'kept' }, numbered('threads'))).isFine
	if (args.orders) return await searchLogOrders(numbered('extent') ?? 1, line => console.log(line))
	const seed = numbered('seed') ?? Math.floor(random.next() * SEEDS)
	if (args.bugs) return await findBugs(seed)
	const isOne = args.bug !== undefined || args.trace || args.operations !== undefined || args.faults !== undefined
	if (!isOne && args.histories !== '1') return await runHistories(seed)
	return await runOne({
		seed,
		kind: kindAsked() ?? bugNamed(args.bug)?.kind,
		schedule: numbered('schedule'),
		operations: args.operations === undefined ? undefined : listed(args.operations).map(Number),
		faults: args.faults === undefined ? undefined : listed(args.faults),
		budgets: args.budgets ?? bugNamed(args.bug)?.budgets,
	})
}

if (!(await main())) process.exitCode = 1
