/**
 * The tail: how many committed changes a second reach a consumer, while they are written and from the log; and how long
 * after its commit a change comes, in the writer's process and in another one.
 */
import type { Engine } from '../engine.ts'
import { load } from '../loading.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { measureLag } from '../tail-lag.ts'
import { timed } from '../timed.ts'
import { Workload } from '../workload.ts'

const LAG = 'from the commit of a change until it comes'
const POLLS_MS = [0, 20, 200]
const TAIL = 'tail, changes with keys and values as text'

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	// Nobody else sees the memory of a process.
	const polls = plan.store === 'memory' ? [0] : POLLS_MS
	return engines.flatMap(engine => [
		...plan.codecs.flatMap(codec =>
			[true, false].map(isUnmaintained => ({
				engine: engine.name,
				label: rateLabel(engine.codecName(codec), isUnmaintained),
				table: TAIL,
				settings: { codec, isUnmaintained },
			})),
		),
		...polls.map(pollIntervalMs => ({
			engine: engine.name,
			label: lagLabel(pollIntervalMs),
			table: LAG,
			settings: { isLag: true, pollIntervalMs },
		})),
	])
}

function rateLabel(codecName: string, isUnmaintained: boolean): string {
	return isUnmaintained ? `${codecName}, nobody merges` : codecName
}

function lagLabel(pollIntervalMs: number): string {
	return pollIntervalMs === 0
		? 'in the process of the writer'
		: `in another process, polling every ${pollIntervalMs} ms`
}

async function measure(task: Task): Promise<Figures> {
	const { isLag, pollIntervalMs } = task.settings
	return isLag === true ? await measureLag(task, Number(pollIntervalMs)) : await measureRates(task)
}

async function measureRates({ engine, plan, settings, directory, progress }: Task): Promise<Figures> {
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const workload = new Workload(plan.seed, plan.valueBytes, 1)
	const isUnmaintained = settings['isUnmaintained'] === true
	const session = await engine.open({ directory, store: plan.store, codec, form: 'text', isUnmaintained })
	if (session.tail === undefined) throw new Error(`${engine.name} has no tail`)
	// The place to resume from is the first change of all.
	await session.put(workload.key(plan.records), workload.value(0))
	const first = session.tail('start')
	await session.commit()
	const cursor = await first.cursorAfter(1)

	const live = session.tail(cursor)
	const started = performance.now()
	const [liveMs] = await Promise.all([
		live.cursorAfter(plan.records).then(() => performance.now() - started),
		load(session, workload, plan.records, 1, done => progress(done * 0.4)),
	])
	progress(0.5)
	const batchesMs = await timed(() => session.tail?.(cursor).cursorAfter(plan.records))
	progress(0.75)
	const observableMs = await timed(() => session.tail?.(cursor).observe(plan.records))
	await session.close()
	const perSecond = (ms: number): number => (plan.records / ms) * 1000
	return { live: perSecond(liveMs), batches: perSecond(batchesMs), observable: perSecond(observableMs) }
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	const lags = POLLS_MS.map(pollIntervalMs => {
		const figures = of('isledb', lagLabel(pollIntervalMs))
		return {
			name: `${lagLabel(pollIntervalMs)}: lag p99, ms`,
			isAtLeast: false,
			// A tick; or the poll interval and one GET.
			required: pollIntervalMs === 0 ? 1 : Math.ceil(pollIntervalMs + (figures?.['bareGetMs'] ?? 0)),
			actual: figures?.['lagP99Ms'],
			digits: 2,
		}
	})
	// From a server they are as fast as the link is.
	const isNear = plan.store === 'file' || plan.store === 'memory'
	const rates = (isNear ? plan.codecs : []).flatMap(codec => {
		const label = rateLabel(codec, true)
		const own = of('isledb', label)
		return (['batches', 'observable'] as const).map(figure => ({
			name: `${label}: ${figure}, M changes/s`,
			isAtLeast: true,
			required: 1.5,
			actual: own === undefined ? undefined : (own[figure] ?? 0) / 1e6,
			digits: 2,
		}))
	})
	return [...rates, ...lags]
}

export const scenario: Scenario = {
	name: 'tail',
	summary: 'committed changes, in the order of commits',
	records: 400_000,
	repeat: 1,
	engines: ['isledb'],
	cases,
	measure,
	columns: {
		[TAIL]: [
			{ title: 'while written, k/s', figure: 'live', digits: 0, unit: 1000, better: 'more' },
			{ title: 'from the log, batches', figure: 'batches', digits: 0, unit: 1000, better: 'more' },
			{ title: 'from the log, Observable', figure: 'observable', digits: 0, unit: 1000, better: 'more' },
		],
		[LAG]: [
			{ title: 'lag p50 ms', figure: 'lagP50Ms', digits: 2, better: 'less' },
			{ title: 'p99 ms', figure: 'lagP99Ms', digits: 2 },
			{ title: 'max ms', figure: 'lagMaxMs', digits: 2 },
			{ title: 'one GET, p50 ms', figure: 'bareGetMs', digits: 2 },
			{ title: 'changes', figure: 'changes', digits: 0 },
		],
	},
	targets,
	notes: [
		'Thousands of changes a second. While written: until the last of them has come, writing included. What was written is being',
		'merged while it is read from the log, on the same cores, but where nobody merges: by that tails are judged.',
		'Lag: from when a durable put of one record resolved until the change is there, 13 ms apart; 0 where it came before.',
	],
}
