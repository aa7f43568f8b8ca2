/**
 * What worker threads gain, and what they cost: tables encoded and merged on the main thread, in one other thread, and in
 * two.
 */
import { openCompactor } from '../../src/index.ts'
import { loadStore } from '../discover.ts'
import { poolOf } from '../engines/isledb.ts'
import { measureIngestion } from '../ingestion.ts'
import { buildLayout } from '../layout.ts'
import type { Case, Figures, Plan, Scenario, Task } from '../scenario.ts'
import { USAGE_COLUMNS, Usage } from '../usage.ts'
import { Workload } from '../workload.ts'

const INGEST = 'ingest by batches, by threads'
const MERGE = 'one merge of 64 tables, by threads'
const POOLS: readonly ('inline' | number)[] = ['inline', 1, 2]
const TABLES = 64

function cases(plan: Plan): Case[] {
	return plan.codecs.flatMap(codec =>
		[INGEST, MERGE].flatMap(table =>
			POOLS.map(pool => ({
				engine: 'isledb',
				label: `${codec}, ${pool === 'inline' ? 'main thread' : `${pool} thread${pool === 1 ? '' : 's'}`}`,
				table,
				settings: { codec, pool, isMerge: table === MERGE },
			})),
		),
	)
}

async function measure(task: Task): Promise<Figures> {
	const { settings, plan, engine, directory } = task
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const pool = settings['pool'] === 'inline' ? 'inline' : Number(settings['pool'])
	const workload = new Workload(plan.seed, plan.valueBytes, plan.batch)
	if (settings['isMerge'] === true) return await measureMerge(task, codec, pool, workload)
	const session = await engine.open({ directory, store: plan.store, codec, form: 'bytes', pool })
	return await measureIngestion(session, workload, 'batch', task)
}

async function measureMerge(
	{ plan, directory, progress }: Task,
	codec: 'none' | 'lz4',
	pool: 'inline' | number,
	workload: Workload,
): Promise<Figures> {
	const url = (await loadStore(plan.store)).url(directory)
	const layout = { commits: TABLES, isMerged: false }
	await buildLayout(url, workload, codec, plan.records, layout, done => progress(done * 0.6))
	const jobs = poolOf(pool)
	const compaction = { l0Tables: 2, runs: 2 }
	const compactor = await openCompactor(url, { prefix: 'db', background: false, compaction, pool: jobs })
	const usage = await Usage.start({
		requests() {
			const { total, byKind } = compactor.requests()
			return { ...total, byKind }
		},
	})
	const started = performance.now()
	const { works } = await compactor.runOnce()
	const elapsedMs = performance.now() - started
	const used = await usage.stop(plan.records)
	await compactor.close()
	await jobs.close()
	if (works === 0) throw new Error('there was nothing to merge')
	return { ...used, works, recordsPerSecond: (plan.records / elapsedMs) * 1000 }
}

export const scenario: Scenario = {
	name: 'pool',
	summary: 'ingest and merges by the number of worker threads: none, one, two',
	records: 2_000_000,
	repeat: 1,
	engines: ['isledb'],
	cases,
	measure,
	columns: {
		[INGEST]: [
			{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000, better: 'more' },
			{ title: 'M records', figure: 'records', digits: 2, unit: 1e6 },
			...USAGE_COLUMNS,
		],
		[MERGE]: [
			{ title: 'k records/s', figure: 'recordsPerSecond', digits: 0, unit: 1000, better: 'more' },
			{ title: 'works', figure: 'works', digits: 0 },
			...USAGE_COLUMNS,
		],
	},
	targets: () => [],
	notes: [
		'Threads are those of the pool; the default is one less than there are processors, and at least one. In ingest the maintainer',
		'has a thread and a pool of its own beside it, as always; a merge is made by `runOnce` of a compactor in this process.',
	],
}
