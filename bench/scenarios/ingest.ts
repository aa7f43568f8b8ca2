/**
 * How fast records become durable: put by put and by batches, from the first put until the commit stands and the
 * database is closed; and what one durable put takes, alone, among 64 clients and among 1,024.
 */
import { measureDurable } from '../durable-put.ts'
import type { Engine, Session } from '../engine.ts'
import { Heartbeat } from '../heartbeat.ts'
import type { Case, Column, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const INGEST = 'ingest, through to the committed state'
const DURABLE = 'durable put of one record'

const PROGRESS_STEPS = 20

type Mode = 'put' | 'batch' | 'batch-sync' | 'durable'

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.flatMap(codec => {
			const of = (mode: Mode, table = INGEST): Case => ({
				engine: engine.name,
				label: labelOf(engine, mode, engine.codecName(codec), plan.batch),
				table,
				settings: { mode, codec },
			})
			const isFirst = codec === plan.codecs[0]
			// What waits for threads or for the disk takes a minute, and as long with any codec: once is enough.
			const isPeer = engine.putsInFlight > 1
			const puts = isFirst || !isPeer ? [of('put')] : []
			const synced = isFirst && isPeer ? [of('batch-sync')] : []
			return [...puts, of('batch'), ...synced, ...(isFirst ? [of('durable', DURABLE)] : [])]
		}),
	)
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
	const session = await engine.open({ directory, store: plan.store, codec, form: 'bytes' })
	return settings['mode'] === 'durable'
		? measureDurable(session, workload, task)
		: measureIngest(session, workload, task)
}

async function measureIngest(session: Session, workload: Workload, task: Task): Promise<Figures> {
	const { engine, plan, settings, progress } = task
	const { records } = plan
	const sourceNs = sourceCostNs(workload, Math.min(records, 500_000))
	const heartbeat = await Heartbeat.start()
	const cpuBefore = process.cpuUsage()
	const started = performance.now()
	if (settings['mode'] === 'put') await putAll(session, workload, records, engine.putsInFlight, progress)
	else await writeAll(session, workload, records, plan.batch, settings['mode'] === 'batch-sync', progress)
	const acceptedMs = performance.now() - started
	await session.commit()
	const requests = session.requests?.()
	await session.close()
	const elapsedMs = performance.now() - started
	const cpu = process.cpuUsage(cpuBefore)
	const delay = await heartbeat.stop()
	const cpuUs = cpu.user + cpu.system
	return {
		putsPerSecond: (records / elapsedMs) * 1000,
		elapsedMs,
		acceptedMs,
		cpuSeconds: cpuUs / 1e6,
		cpuUsPerRecord: cpuUs / records,
		sourceNs,
		peakRssBytes: process.resourceUsage().maxRSS * 1024,
		loopDelaySamples: delay.samples,
		loopDelayP50Ms: delay.p50Ms,
		loopDelayP99Ms: delay.p99Ms,
		loopDelayMaxMs: delay.maxMs,
		...(requests === undefined
			? {}
			: { requests: requests.requests, sentBytes: requests.sentBytes, estimatedUsd: requests.estimatedUsd }),
	}
}

/** What making the records takes, without storing them. */
function sourceCostNs(workload: Workload, records: number): number {
	let sum = 0
	const started = performance.now()
	for (let i = 0; i < records; i++) sum += (workload.key(i)[0] as number) + (workload.value(i)[0] as number)
	const ns = ((performance.now() - started) * 1e6) / records
	return sum > 0 ? ns : 0
}

async function putAll(
	session: Session,
	workload: Workload,
	records: number,
	inFlight: number,
	progress: (done: number) => void,
): Promise<void> {
	const step = Math.max(1, Math.floor(records / PROGRESS_STEPS))
	let next = 0
	const client = async (): Promise<void> => {
		while (next < records) {
			const i = next++
			if (i % step === 0) progress(i / records)
			await session.put(workload.key(i), workload.value(i))
		}
	}
	await Promise.all(Array.from({ length: inFlight }, client))
}

async function writeAll(
	session: Session,
	workload: Workload,
	records: number,
	batch: number,
	isDurable: boolean,
	progress: (done: number) => void,
): Promise<void> {
	const step = Math.max(1, Math.ceil(records / PROGRESS_STEPS / batch)) * batch
	for (let i = 0; i < records; i += batch) {
		if (i % step === 0) progress(i / records)
		const keys: Uint8Array[] = []
		const values: Uint8Array[] = []
		const end = Math.min(records, i + batch)
		for (let j = i; j < end; j++) {
			keys.push(workload.key(j))
			values.push(workload.value(j))
		}
		await session.writeBatch(keys, values, isDurable)
	}
}

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
	[INGEST]: [
		{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000 },
		{ title: 'seconds', figure: 'elapsedMs', digits: 2, unit: 1000 },
		{ title: 'CPU s', figure: 'cpuSeconds', digits: 2 },
		{ title: 'µs CPU/rec', figure: 'cpuUsPerRecord', digits: 2 },
		{ title: 'peak MiB', figure: 'peakRssBytes', digits: 0, unit: 1_048_576 },
		{ title: 'delay p50', figure: 'loopDelayP50Ms', digits: 2 },
		{ title: 'p99', figure: 'loopDelayP99Ms', digits: 1 },
		{ title: 'max ms', figure: 'loopDelayMaxMs', digits: 1 },
		{ title: 'beats', figure: 'loopDelaySamples', digits: 0 },
		{ title: 'requests', figure: 'requests', digits: 0 },
		{ title: 'MB sent', figure: 'sentBytes', digits: 0, unit: 1e6 },
		{ title: 'US$', figure: 'estimatedUsd', digits: 5 },
	],
	[DURABLE]: [
		{ title: 'p50 ms', figure: 'p50Ms', digits: 2 },
		{ title: 'p99 ms', figure: 'p99Ms', digits: 2 },
		{ title: 'bare p50', figure: 'bareP50Ms', digits: 2 },
		{ title: 'bare p99', figure: 'bareP99Ms', digits: 2 },
		{ title: 'p50 ÷ bare', figure: 'ratio', digits: 2 },
		{ title: 'bytes', figure: 'objectBytes', digits: 0 },
		{ title: '64 cl. puts/s', figure: 'per64', digits: 0 },
		{ title: 'p50 ms', figure: 'p50Ms64', digits: 2 },
		{ title: '1024 cl. puts/s', figure: 'per1024', digits: 0 },
		{ title: 'p50 ms', figure: 'p50Ms1024', digits: 2 },
		{ title: 'puts/request', figure: 'putsPerRequest1024', digits: 0 },
	],
}

/** docs/performance.md has them, with their reasons. */
const REQUIRED = {
	put: { none: 1_000_000, lz4: 1_000_000 },
	batch: { none: 1_500_000, lz4: 800_000 },
	timesLevel: { none: 3, lz4: 2 },
	cpuUs: { none: 1.0, lz4: 1.5 },
} as const

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return plan.codecs.flatMap(codec => {
		const peerCodec = codec === 'none' ? 'none' : 'snappy'
		const batch = of('isledb', labelOf({ putsInFlight: 1 }, 'batch', codec, plan.batch))
		const put = of('isledb', labelOf({ putsInFlight: 1 }, 'put', codec, plan.batch))
		const level = of('classic-level', labelOf({ putsInFlight: 64 }, 'batch', peerCodec, plan.batch))
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
		const times =
			batch === undefined || level === undefined
				? undefined
				: (batch['putsPerSecond'] ?? 0) / (level['putsPerSecond'] ?? Number.NaN)
		const rows = [
			target('await each put, M/s', true, REQUIRED.put[codec] / 1e6, millions(put)),
			target('by batch, M/s', true, REQUIRED.batch[codec] / 1e6, millions(batch)),
			target('by batch, times classic-level by batch', true, REQUIRED.timesLevel[codec], times),
			target('await each put, CPU µs per record', false, REQUIRED.cpuUs[codec], put?.['cpuUsPerRecord']),
			target('by batch, CPU µs per record', false, REQUIRED.cpuUs[codec], batch?.['cpuUsPerRecord']),
			target('await each put, loop delay p99 ms', false, 8, put?.['loopDelayP99Ms']),
			target('await each put, loop delay max ms', false, 50, put?.['loopDelayMaxMs']),
			target('by batch, loop delay p99 ms', false, 8, batch?.['loopDelayP99Ms']),
			target('by batch, loop delay max ms', false, 50, batch?.['loopDelayMaxMs']),
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
	engines: ['isledb', 'classic-level'],
	cases,
	measure,
	columns: COLUMNS,
	targets,
	notes: [
		'The time runs from the first put until the last commit is durable and the database is closed.',
		'CPU is user and system time of all threads. Delay is that of the main thread, by a heartbeat from another thread.',
		'classic-level does not fsync but at the end, by its last write; "each synced" fsyncs every batch.',
		'A bare PUT is one create-if-absent of as many bytes on the same store, after each durable put. US$ as on S3.',
	],
}
