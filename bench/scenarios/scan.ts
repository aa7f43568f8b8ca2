/** Scans of everything, row by row and by batches, over one table and over four that overlap everywhere. */
import type { Engine, Session } from '../engine.ts'
import { load } from '../loading.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const SCAN = 'scan of all rows, keys and values as text'
const LARGE_CACHE_BYTES = 2_147_483_648

function labelOf(codec: string, parts: number): string {
	return parts === 1 ? codec : `${codec}, ${parts} overlapping tables`
}

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.flatMap(codec =>
			// Tables are not LevelDB's caller's to lay out: one case shows it as it comes.
			(engine.name === 'isledb' ? [1, 4] : [1]).map(parts => ({
				engine: engine.name,
				label: labelOf(engine.codecName(codec), parts),
				table: SCAN,
				settings: { codec, parts },
			})),
		),
	)
}

async function measure({ engine, plan, settings, directory, progress }: Task): Promise<Figures> {
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const workload = new Workload(plan.seed, plan.valueBytes, 1)
	const options = { directory, store: plan.store, codec, form: 'text' } as const
	const loading = await engine.open({ ...options, isBulkLoad: true })
	await load(loading, workload, plan.records, Number(settings['parts']), done => progress(done * 0.5))
	await loading.close()
	const session = await engine.open({ ...options, cacheBytes: LARGE_CACHE_BYTES })
	const cold = await byBatch(session, plan.records)
	// Once more of each: the code is compiled, and the blocks are in the cache.
	await byRow(session, plan.records)
	const rows = await byRow(session, plan.records)
	progress(0.9)
	const batches = await byBatch(session, plan.records)
	await session.close()
	return { rows, batches, cold }
}

async function byRow(session: Session, expected: number): Promise<number> {
	let count = 0
	const started = performance.now()
	for await (const _ of session.rows()) count++
	return rate(started, count, expected)
}

async function byBatch(session: Session, expected: number): Promise<number> {
	let count = 0
	const started = performance.now()
	for await (const batch of session.batches()) count += batch.length
	return rate(started, count, expected)
}

function rate(startedMs: number, count: number, expected: number): number {
	const perSecond = (count / (performance.now() - startedMs)) * 1000
	if (count !== expected) throw new Error(`a scan gave ${count} rows, not ${expected}`)
	return perSecond
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return plan.codecs.flatMap(codec => {
		const one = of('isledb', labelOf(codec, 1))
		const four = of('isledb', labelOf(codec, 4))
		const level = of('classic-level', labelOf(codec === 'none' ? 'none' : 'snappy', 1))
		const target = (name: string, required: number, actual: number | undefined): Target => ({
			name: `${codec}: ${name}`,
			isAtLeast: true,
			required,
			actual,
			digits: 2,
		})
		const millions = (value: number | undefined): number | undefined => (value === undefined ? undefined : value / 1e6)
		const times = one?.['batches'] && level?.['batches'] ? one['batches'] / level['batches'] : undefined
		return [
			target('for-await, M rows/s', 1.5, millions(one?.['rows'])),
			target('batches, M rows/s', 4, millions(one?.['batches'])),
			target('batches, times classic-level', 7, times),
			target('batches of 4 overlapping tables, M rows/s', 1.5, millions(four?.['batches'])),
		]
	})
}

export const scenario: Scenario = {
	name: 'scan',
	summary: 'all rows in the order of keys',
	records: 400_000,
	repeat: 1,
	engines: ['isledb', 'classic-level'],
	cases,
	measure,
	columns: {
		[SCAN]: [
			{ title: 'for-await k rows/s', figure: 'rows', digits: 0, unit: 1000 },
			{ title: 'batches', figure: 'batches', digits: 0, unit: 1000 },
			{ title: 'first scan, batches', figure: 'cold', digits: 0, unit: 1000 },
		],
	},
	targets,
	notes: [
		'Thousands of rows a second, each made into a key and a value of text. Batches are those of the engine: 512 rows.',
	],
}
