/**
 * `npm run bench -- <scenario> [options]`: engines side by side on one workload, in one run.
 *
 * Steps: read the command line; find the engines (one whose package is missing is named and left out); run every case in
 * a process of its own, in turn; show medians, and how they stand to the targets. Figures are good for ratios within
 * one run: absolute ones belong to the machine and the moment.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArguments, USAGE, UsageError } from './arguments.ts'
import { loadEngines, loadScenario, loadStore, namesIn } from './discover.ts'
import type { Engine } from './engine.ts'
import { type CaseResult, runCases } from './harness.ts'
import { machine, renderTables, renderTargets, TextProgress } from './report.ts'
import type { Plan, Scenario } from './scenario.ts'
import type { BenchStore } from './store.ts'

async function main(argv: readonly string[]): Promise<void> {
	const args = parseArguments(argv)
	const scenario = await loadScenario(args.scenario)
	const store = await loadStore(args.store)
	const plan: Plan = { ...args, records: args.records ?? scenario.records, repeat: args.repeat ?? scenario.repeat }
	const { engines, missing } = await loadEngines(plan.engines ?? scenario.engines)
	const foreign = engines.find(engine => !scenario.engines.includes(engine.name))
	if (foreign !== undefined) throw new UsageError(`${foreign.name} cannot do what ${scenario.name} asks`)
	for (const line of missing) console.log(line)
	if (engines.length === 0) throw new UsageError('no engine can run')
	if (plan.directory !== undefined) mkdirSync(plan.directory, { recursive: true })
	console.log(`${scenario.name}: ${scenario.summary}`)
	console.log(
		`${plan.records} records, values of ${plan.valueBytes} bytes, batches of ${plan.batch}, seed ${plan.seed}, ` +
			`${placeOf(plan)}, ${plan.repeat === 1 ? '1 run' : `medians of ${plan.repeat} runs`}; ${machine()}`,
	)
	for (const engine of engines) {
		for (const codec of plan.codecs) console.log(`  ${engine.name}: ${engine.settings(codec)}`)
	}
	const results = await runOver(store, plan, scenario, engines)
	const find = (engine: string, label: string) =>
		results.find(result => result.engine === engine && result.label === label)?.medians
	const targets = scenario.targets(find, plan)
	console.log(`\n${renderTables(scenario, results)}\n\n${renderTargets(targets)}\n`)
	for (const note of scenario.notes) console.log(note)
	if (plan.json !== undefined) {
		const report = { scenario: scenario.name, machine: machine(), plan, results, targets }
		writeFileSync(plan.json, `${JSON.stringify(report, null, '\t')}\n`)
	}
}

async function runOver(
	store: BenchStore,
	plan: Plan,
	scenario: Scenario,
	engines: readonly Engine[],
): Promise<readonly CaseResult[]> {
	const stop = await store.start?.(plan)
	try {
		return await runCases(plan, scenario.cases(plan, engines), new TextProgress(process.stderr, scenario))
	} finally {
		await stop?.()
	}
}

function placeOf({ store, rttMs, uploadMbit }: Plan): string {
	const bandwidth = uploadMbit === undefined ? '' : ` at ${uploadMbit} Mbit/s`
	return `store ${store}${rttMs > 0 ? ` over +${rttMs} ms` : ''}${bandwidth}`
}

try {
	await main(process.argv.slice(2))
} catch (error) {
	if (!(error instanceof UsageError)) throw error
	console.error(`${error.message}\n\n${USAGE}\nscenarios: ${namesIn('scenarios').join(', ')}`)
	console.error(`engines: ${namesIn('engines').join(', ')}; stores: ${namesIn('stores').join(', ')}`)
	process.exitCode = 2
}
