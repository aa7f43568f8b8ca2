/**
 * How fast records become durable: put by put and by batches, from the first put until the commit stands and the
 * database is closed; and what one durable put takes, alone, among 64 clients and among 1,024.
 */
import { measureDurable } from '../durable-put.ts'
import type { Engine } from '../engine.ts'
import { type IngestMode, measureIngestion } from '../ingestion.ts'
import type { Case, Column, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { USAGE_COLUMNS } from '../usage.ts'
import { Workload } from '../workload.ts'

const INGEST = 'ingest, through to the committed state'
const DURABLE = 'durable put of one record'

type Mode = IngestMode | 'durable'

/** What a record takes to be ingested is told apart from what it takes to be merged afterwards. */
const UNMAINTAINED = ', nobody merges'

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.flatMap(codec => {
			const of = (mode: Mode, table = INGEST, isUnmaintained = false): Case => ({
				engine: engine.name,
				label: labelOf(engine, mode, engine.codecName(codec), plan.batch) + (isUnmaintained ? UNMAINTAINED : ''),
				// What is compared: the same records in the same way, each engine as it is fastest.
				group: isUnmaintained ? undefined : `${codec === 'none' ? 'uncompressed' : 'compressed'}, ${GROUPS[mode]}`,
				table,
				settings: { mode, codec, isUnmaintained },
			})
			const isFirst = codec === plan.codecs[0]
			// What waits for threads or for the disk takes a minute, and as long with any codec: once is enough.
			const isPeer = engine.putsInFlight > 1
			const puts = isFirst || !isPeer ? [of('put')] : []
			const synced = isFirst && isPeer ? [of('batch-sync')] : []
			const batches = engine.hasBatches ? (['batch'] as const) : []
			const alone = isPeer ? [] : (['put', ...batches] as const).map(mode => of(mode, INGEST, true))
			return [
				...puts,
				...batches.map(mode => of(mode)),
				...alone,
				...synced,
				...(isFirst ? [of('durable', DURABLE)] : []),
			]
		}),
	)
}

const GROUPS: Readonly<Record<Mode, string>> = {
	put: 'put by put',
	batch: 'by batch',
	'batch-sync': 'by batch, each on the disk',
	durable: 'one record, on the disk',
}

export function labelOf(engine: Pick<Engine, 'putsInFlight'>, mode: Mode, codec: string, batch: number): string {
	switch (mode) {
		case 'put':
			return `${codec}, ${engine.putsInFlight === 1 ? 'await each put' : `puts, ${engine.putsInFlight} in flight`}`
		case 'batch':
			return `${codec}, batches of ${batch}`
		case 'batch-sync':
			return `${codec}, batches of ${batch}, each synced`
		case 'durable':
			return `${codec}, one record`
	}
}

async function measure(task: Task): Promise<Figures> {
	const { engine, directory, plan, settings } = task
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const workload = new Workload(plan.seed, plan.valueBytes, plan.batch)
	const isLatencyBound = settings['mode'] === 'durable'
	const isUnmaintained = settings['isUnmaintained'] === true
	const session = await engine.open({
		directory,
		store: plan.store,
		codec,
		form: 'bytes',
		isLatencyBound,
		isUnmaintained,
	})
	return isLatencyBound
		? measureDurable(session, workload, task)
		: measureIngestion(session, workload, settings['mode'] as IngestMode, task)
}

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
	[INGEST]: [
		{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000, better: 'more' },
		{ title: 'M records', figure: 'records', digits: 2, unit: 1e6 },
		{ title: 'seconds', figure: 'elapsedMs', digits: 2, unit: 1000 },
		...USAGE_COLUMNS,
	],
	[DURABLE]: [
		{ title: 'p50 ms', figure: 'p50Ms', digits: 2, better: 'less' },
		{ title: 'p99 ms', figure: 'p99Ms', digits: 2 },
		{ title: 'bare p50', figure: 'bareP50Ms', digits: 2 },
		{ title: 'bare p99', figure: 'bareP99Ms', digits: 2 },
		{ title: 'p50 ÷ bare', figure: 'ratio', digits: 2 },
		{ title: 'bytes', figure: 'objectBytes', digits: 0 },
		{ title: '64 cl. puts/s', figure: 'per64', digits: 0, better: 'more' },
		{ title: '64 cl. p50', figure: 'p50Ms64', digits: 2 },
		{ title: '1024 cl. puts/s', figure: 'per1024', digits: 0, better: 'more' },
		{ title: '1024 cl. p50', figure: 'p50Ms1024', digits: 2 },
		{ title: 'puts/request', figure: 'putsPerRequest1024', digits: 0 },
	],
}

/** docs/performance.md has them, with their reasons. */
const REQUIRED = {
	put: { none: 1_000_000, lz4: 1_000_000 },
	batch: { none: 1_500_000, lz4: 800_000 },
	whileMerging: 800_000,
	timesLevel: { none: 3, lz4: 2 },
	timesSlatePut: 60,
	timesSlateBatch: 15,
	timesLmdb: 5,
	cpuUs: { none: 1.0, lz4: 1.5 },
} as const

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return plan.codecs.flatMap(codec => {
		const peerCodec = codec === 'none' ? 'none' : 'snappy'
		const batch = of('isledb', labelOf({ putsInFlight: 1 }, 'batch', codec, plan.batch))
		const put = of('isledb', labelOf({ putsInFlight: 1 }, 'put', codec, plan.batch))
		const batchAlone = of('isledb', labelOf({ putsInFlight: 1 }, 'batch', codec, plan.batch) + UNMAINTAINED)
		const putAlone = of('isledb', labelOf({ putsInFlight: 1 }, 'put', codec, plan.batch) + UNMAINTAINED)
		const level = of('classic-level', labelOf({ putsInFlight: 64 }, 'batch', peerCodec, plan.batch))
		const slate = of('slatedb', labelOf({ putsInFlight: 64 }, 'batch', codec, plan.batch))
		// Puts wait for threads, as long with any codec: a peer makes them with one.
		const slatePut = of('slatedb', labelOf({ putsInFlight: 64 }, 'put', plan.codecs[0] ?? codec, plan.batch))
		const lmdb = of('lmdb', labelOf({ putsInFlight: 1_000 }, 'batch', codec, plan.batch))
		const durable = of('isledb', labelOf({ putsInFlight: 1 }, 'durable', codec, plan.batch))
		const target = (name: string, isAtLeast: boolean, required: number, actual: number | undefined): Target => ({
			name: `${codec}: ${name}`,
			isAtLeast,
			required,
			actual,
			digits: 2,
		})
		const millions = (figures: Figures | undefined): number | undefined =>
			figures === undefined ? undefined : (figures['putsPerSecond'] ?? 0) / 1e6
		const times = (own: Figures | undefined, peer: Figures | undefined): number | undefined =>
			own === undefined || peer === undefined
				? undefined
				: (own['putsPerSecond'] ?? 0) / (peer['putsPerSecond'] ?? Number.NaN)
		const rows = [
			target('await each put, M/s', true, REQUIRED.put[codec] / 1e6, millions(putAlone)),
			target('by batch, M/s', true, REQUIRED.batch[codec] / 1e6, millions(batchAlone)),
			target('await each put while tables are merged, M/s', true, REQUIRED.whileMerging / 1e6, millions(put)),
			target('by batch while tables are merged, M/s', true, REQUIRED.whileMerging / 1e6, millions(batch)),
			target('await each put, times slatedb', true, REQUIRED.timesSlatePut, times(put, slatePut)),
			target('await each put, times slatedb by batch', true, REQUIRED.timesSlateBatch, times(put, slate)),
			target('by batch, times classic-level by batch', true, REQUIRED.timesLevel[codec], times(batch, level)),
			target('by batch, times lmdb by batch', true, REQUIRED.timesLmdb, times(batch, lmdb)),
			target('await each put, CPU µs per record', false, REQUIRED.cpuUs[codec], putAlone?.['cpuUsPerOperation']),
			target('by batch, CPU µs per record', false, REQUIRED.cpuUs[codec], batchAlone?.['cpuUsPerOperation']),
			target('await each put, loop delay p99 ms', false, 8, putAlone?.['loopDelayP99Ms']),
			target('await each put, loop delay max ms', false, 50, putAlone?.['loopDelayMaxMs']),
			target('by batch, loop delay p99 ms', false, 8, batchAlone?.['loopDelayP99Ms']),
			target('by batch, loop delay max ms', false, 50, batchAlone?.['loopDelayMaxMs']),
		]
		if (durable === undefined) return rows
		return [
			...rows,
			target('durable put p50, ms', false, 3, durable['p50Ms']),
			target('durable put p50, times one store PUT', false, 1.3, durable['ratio']),
		]
	})
}

export const scenario: Scenario = {
	name: 'ingest',
	summary: '16-byte keys in random order, JSON-like values, to the committed state',
	records: 5_000_000,
	repeat: 1,
	engines: ['isledb', 'slatedb', 'classic-level', 'lmdb', 'isledb-go'],
	cases,
	measure,
	columns: COLUMNS,
	targets,
	notes: [
		'The time runs from the first put until the last commit is durable and the database is closed.',
		'CPU is user and system time of all threads but that of the heartbeat. Delay is that of the main thread, by the heartbeat.',
		'Tables are merged meanwhile by isledb as by its peers, and so they are compared. Where "nobody merges" rate, CPU and delay of',
		'ingesting alone are judged; the rate with merges on the same cores has a target of its own.',
		'classic-level does not fsync but at the end, by its last write; lmdb commits each batch, and is on the disk a little later;',
		'slatedb writes a log ten times a second. "Each synced" waits for the disk with every batch. isledb-go never waits for the disk:',
		'its file store does not fsync. Durable puts of its clients are put one after another, and flushed together.',
		'A bare PUT is one create-if-absent of as many bytes on the same store, after each durable put. US$ as on S3.',
	],
}
