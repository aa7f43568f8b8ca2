/**
 * Runs histories and prints what they covered; on a failure its seed, a shorter history that fails too, and the command that repeats it.
 *
 *     npm run simulate -- --seed 1 --histories 1000          a thousand histories from seed 1 on
 *     npm run simulate -- --minutes 2                        two minutes of fresh seeds
 *     npm run simulate -- --found                            every seed that ever found something
 *     npm run simulate -- --seed 7 --histories 1 --trace     what happens in one
 *     npm run simulate -- --bug tombstones-dropped-early     until this planted bug is found
 *     npm run simulate -- --bugs                             all of them; `--only name,name` some
 *     npm run simulate -- … --operations 1,4 --faults '…' --schedule 3     a shorter history, as a failure prints it
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { systemHost } from '../../src/host/host.ts'
import { Campaign } from './campaign.ts'
import { loadEngine } from './engine.ts'
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts'
import { replayCommand, shrink } from './shrink.ts'
import type { HistoryPlan, HistoryReport } from './simulation.ts'

interface FoundSeed extends HistoryPlan {
	readonly what: string
}

const { values: args } = parseArgs({
	options: {
		seed: { type: 'string' },
		histories: { type: 'string' },
		minutes: { type: 'string' },
		schedule: { type: 'string' },
		operations: { type: 'string' },
		faults: { type: 'string' },
		bug: { type: 'string' },
		bugs: { type: 'boolean' },
		only: { type: 'string' },
		found: { type: 'boolean' },
		trace: { type: 'boolean' },
	},
})
const { clock, random } = systemHost
/** 2^31: seeds are 32 bits. */
const SEEDS = 2_147_483_648

function numbered(name: 'seed' | 'histories' | 'minutes' | 'schedule'): number | undefined {
	const text = args[name]
	if (text === undefined) return undefined
	const value = Number(text)
	if (text === '' || !(value >= 0)) throw new RangeError(`Expected --${name} to be a number, got '${text}'`)
	return value
}

function listed(text: string): string[] {
	return text === '' ? [] : text.split(',')
}

function plannedFrom(seed: number): HistoryPlan {
	return {
		seed,
		schedule: numbered('schedule'),
		operations: args.operations === undefined ? undefined : listed(args.operations).map(Number),
		faults: args.faults === undefined ? undefined : listed(args.faults),
	}
}

function show(campaign: Campaign, cpuMs: number, wallMs: number): void {
	const { histories, faults, errors, ...totals } = campaign.totals
	const perSecond = (ms: number): string => ((1000 * histories) / Math.max(1, ms)).toFixed(0)
	console.log(`${histories} histories, ${perSecond(wallMs)} a second, ${perSecond(cpuMs)} a second of processor time`)
	console.log(
		Object.entries(totals)
			.map(([name, count]) => `${name} ${count}`)
			.join(', '),
	)
	console.log(
		`faults: ${Object.entries(faults)
			.map(([kind, count]) => `${kind} ${count}`)
			.join(', ')}`,
	)
	console.log(
		`errors met: ${
			Object.entries(errors)
				.map(([code, count]) => `${code} ${count}`)
				.join(', ') || 'none'
		}`,
	)
}

async function showFailure(campaign: Campaign, failed: HistoryReport, bug: string | undefined): Promise<void> {
	console.log(`seed ${failed.plan.seed} fails:\n  ${failed.faults.slice(0, 5).join('\n  ')}`)
	const short = await shrink(failed, plan => campaign.run(plan))
	console.log(`${short.operations.length} operations and ${short.happened.length} faults do, too:`)
	for (const { role, slot, client, operation } of short.operations) {
		console.log(`  ${role}${slot}/${client} ${JSON.stringify(operation)}`)
	}
	for (const name of short.happened) console.log(`  ${name}`)
	console.log(`  → ${short.faults.slice(0, 3).join('\n    ')}`)
	console.log(`again: ${replayCommand(short, bug)}`)
}

/** False when something was found. */
async function runCampaign(): Promise<boolean> {
	const campaign = new Campaign(await loadEngine())
	const minutes = numbered('minutes')
	const seed = numbered('seed') ?? Math.floor(random.next() * SEEDS)
	const histories = numbered('histories') ?? (minutes === undefined ? 1000 : Number.POSITIVE_INFINITY)
	const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + minutes * 60_000
	const [startedMs, cpu] = [clock.monotonicMs(), process.cpuUsage()]
	console.log(`seeds from ${seed} on`)
	let failed: HistoryReport | undefined
	for (let n = 0; n < histories && clock.monotonicMs() < endMs && failed === undefined; n++) {
		const report = await campaign.run(
			plannedFrom((seed + n) % SEEDS),
			args.trace ? line => console.log(line) : undefined,
		)
		if (report.faults.length > 0) failed = report
	}
	const { user, system } = process.cpuUsage(cpu)
	show(campaign, (user + system) / 1000, clock.monotonicMs() - startedMs)
	if (failed !== undefined) await showFailure(campaign, failed, undefined)
	return failed === undefined
}

/** Every seed that ever found something must find nothing. */
async function runFound(): Promise<boolean> {
	// The file holds a list of these.
	const found = JSON.parse(readFileSync(new URL('found-seeds.json', import.meta.url), 'utf8')) as FoundSeed[]
	const campaign = new Campaign(await loadEngine())
	let isSound = true
	for (const { what, ...plan } of found) {
		const { faults } = await campaign.run(plan)
		if (faults.length === 0) continue
		isSound = false
		console.log(`seed ${plan.seed} fails again (${what}):\n  ${faults.join('\n  ')}`)
	}
	console.log(`${found.length} seeds that once found something`)
	return isSound
}

/** False when it was not found. */
async function findBug(bug: PlantedBug): Promise<boolean> {
	const campaign = new Campaign(await loadEngine(bug.name, bug.patches))
	const seed = numbered('seed') ?? Math.floor(random.next() * SEEDS)
	const histories = numbered('histories') ?? bug.historiesMax
	for (let n = 0; n < histories; n++) {
		const report = await campaign.run(
			plannedFrom((seed + n) % SEEDS),
			args.trace ? line => console.log(line) : undefined,
		)
		if (report.faults.length === 0) continue
		// What the engine without the bug fails as well was not found, but something else was.
		const [wrong] = (await new Campaign(await loadEngine()).run(report.plan)).faults
		if (wrong !== undefined) {
			console.log(`NOT FOUND ${bug.name}: without it seed ${report.plan.seed} fails, too: ${wrong.split('\n')[0]}`)
			return false
		}
		console.log(`found ${bug.name} in ${n + 1} histories from seed ${seed}: ${report.faults[0]?.split('\n')[0]}`)
		if (args.bug !== undefined) await showFailure(campaign, report, bug.name)
		return true
	}
	console.log(`NOT FOUND ${bug.name} in ${histories} histories from seed ${seed}: ${bug.what}`)
	return false
}

async function main(): Promise<boolean> {
	if (args.found) return await runFound()
	if (args.bug === undefined && !args.bugs) return await runCampaign()
	const names = listed(args.bug ?? args.only ?? '')
	const bugs = PLANTED_BUGS.filter(({ name }) => names.length === 0 || names.includes(name))
	if (bugs.length === 0) throw new RangeError(`Expected bugs among ${PLANTED_BUGS.map(({ name }) => name).join(', ')}`)
	let areFound = true
	for (const bug of bugs) areFound = (await findBug(bug)) && areFound
	return areFound
}

if (!(await main())) process.exitCode = 1
