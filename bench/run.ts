/** One scenario, run as its arguments say. */
import { type BenchArguments, UsageError } from './arguments.ts'
import { type BenchReport, loadNow, planLine, thisMachine } from './bench-report.ts'
import { type AnyEngine, loadEngines, loadScenario, loadStore, versionOf } from './discover.ts'
import { type CaseResult, runCases } from './harness.ts'
import { TextProgress } from './report.ts'
import type { Case, Plan, Scenario } from './scenario.ts'
import type { BenchStore } from './store.ts'
import { beatWarnings } from './usage.ts'

const VALUE_BYTES = 100

/** `say` is told, a line at a time, what is about to run. @throws UsageError when the arguments do not fit together. */
export async function runScenario(args: BenchArguments, say: (line: string) => void): Promise<BenchReport> {
	const scenario = await loadScenario(args.scenario)
	const store = await loadStore(args.store)
	const plan: Plan = {
		...args,
		records: args.records ?? scenario.records,
		repeat: args.repeat ?? scenario.repeat,
		valueBytes: args.valueBytes ?? scenario.valueBytes ?? VALUE_BYTES,
	}
	say(`${scenario.name}: ${scenario.summary}`)
	say(planLine(plan))
	const { engines, missing } = await enginesOf(plan, scenario, say)
	const settings = engines.map(engine => ({
		name: engine.name,
		version: versionOf(engine),
		settings: [...new Set(plan.codecs.map(codec => engine.settings(codec)))],
	}))
	for (const { name, version, settings: lines } of settings)
		for (const line of lines) say(`  ${name} ${version}: ${line}`)
	for (const line of missing) say(`  ${line}`)
	const loadBefore = loadNow()
	const cases = scenario.cases(plan, engines).filter(({ label }) => label.includes(plan.case ?? ''))
	if (cases.length === 0) throw new UsageError(`no case of ${scenario.name} has ${plan.case} in its label`)
	const results = await runOver(store, plan, scenario, cases)
	const find = (engine: string, label: string) =>
		results.find(result => result.engine === engine && result.label === label)?.medians
	return {
		scenario: scenario.name,
		summary: scenario.summary,
		machine: thisMachine(new Date(), loadBefore),
		plan,
		engines: settings,
		missing,
		results,
		columns: scenario.columns,
		parts: scenario.parts ?? {},
		lines: scenario.lines ?? [],
		// Of some of the cases only, what the others would have met says nothing.
		targets: scenario.targets(find, plan).filter(({ actual }) => actual !== undefined || plan.case === undefined),
		notes: [...scenario.notes, ...beatWarnings(results)],
	}
}

async function enginesOf(
	plan: Plan,
	scenario: Scenario,
	say: (line: string) => void,
): Promise<{ readonly engines: readonly AnyEngine[]; readonly missing: readonly string[] }> {
	const { engines, missing } = await loadEngines(plan.engines ?? scenario.engines, say)
	const foreign = engines.find(engine => !scenario.engines.includes(engine.name))
	if (foreign !== undefined) throw new UsageError(`${foreign.name} cannot do what ${scenario.name} asks`)
	const able = engines.filter(({ stores }) => stores.includes(plan.store))
	const unable = engines.filter(engine => !able.includes(engine))
	const lines = [
		...missing,
		...unable.map(({ name }) => `${name} does not run: it cannot write to the store ${plan.store}`),
	]
	if (able.length === 0) throw new UsageError(`no engine can run: ${lines.join('; ')}`)
	return { engines: able, missing: lines }
}

async function runOver(
	store: BenchStore,
	plan: Plan,
	scenario: Scenario,
	cases: readonly Case[],
): Promise<readonly CaseResult[]> {
	const stop = await store.start?.(plan)
	try {
		return await runCases(plan, cases, new TextProgress(process.stderr, scenario))
	} finally {
		await stop?.()
	}
}
