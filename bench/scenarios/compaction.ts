/**
 * How fast a deep L0 becomes sorted runs, what it costs, and what the application's thread notices of it; and ingest while that
 * goes on, beside ingest that nobody maintains.
 *
 * `merge`: a process of its own has flushed the input, keys in random order, into L0. Then the database is opened as an
 * application opens it, with a maintainer in a thread of its own, and watched until nothing is due.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sleep, systemClock } from '../../src/host/clock.ts'
import { type Database, open } from '../../src/index.ts'
import { loadStore } from '../discover.ts'
import type { Engine } from '../engine.ts'
import { Heartbeat } from '../heartbeat.ts'
import type { Case, Column, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { delayFigures } from '../usage.ts'
import { KEY_BYTES, Workload } from '../workload.ts'

const MERGE = 'merging a deep L0, to rest'
const INGEST = 'ingest, awaiting each put, to the committed state'
const MIB = 1_048_576
const SIZES_MIB = [256, 1024] as const
const INGEST_RECORDS = 5_000_000
/** `compaction.mergeMemoryBytes`, as it is by default. */
const MERGE_MEMORY_BYTES = 256 * MIB
const LOOK_MS = 20
/** Looks in a row at which nothing is due. */
const QUIET_LOOKS = 10

const mergeLabel = (codec: string, mib: number): string => `${codec}, ${mib} MiB`
const ingestLabel = (codec: string, isMaintained: boolean): string =>
	`${codec}, ${isMaintained ? 'while compacting' : 'without maintenance'}`

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	const sizes = plan.sizes ?? SIZES_MIB
	// Whoever asks for sizes alone wants merges alone: the large ones take minutes each.
	const ingests = plan.sizes === undefined || plan.records !== INGEST_RECORDS ? [false, true] : []
	return engines.flatMap(({ name: engine }) =>
		plan.codecs.flatMap(codec => [
			...sizes.map(mib => ({
				engine,
				label: mergeLabel(codec, mib),
				table: MERGE,
				settings: { mode: 'merge', codec, mib },
			})),
			...ingests.map(isMaintained => ({
				engine,
				label: ingestLabel(codec, isMaintained),
				table: INGEST,
				settings: { mode: 'ingest', codec, isMaintained },
			})),
		]),
	)
}

async function measure(task: Task): Promise<Figures> {
	return task.settings['mode'] === 'merge' ? await measureMerge(task) : await measureIngest(task)
}

async function measureMerge({ plan, directory, settings, progress }: Task): Promise<Figures> {
	const { valueBytes, seed } = plan
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const inputBytes = Number(settings['mib']) * MIB
	const records = Math.ceil(inputBytes / (KEY_BYTES + valueBytes))
	const url = (await loadStore(plan.store)).url(directory)
	const loader = join(import.meta.dirname, '../load-compaction.ts')
	await promisify(execFile)(process.execPath, [loader, url, ...[records, valueBytes, codec, seed].map(String)])
	progress(0.3)
	await using db = await open(url, { codec })
	const { storedBytes, l0Tables } = db.stats()
	const rssBefore = process.memoryUsage.rss()
	const heartbeat = await Heartbeat.start()
	const cpuBefore = process.cpuUsage()
	const started = performance.now()
	const watched = await watchUntilRest(db, done => progress(0.3 + 0.7 * done))
	const elapsedMs = watched.restedAt - started
	const cpu = process.cpuUsage(cpuBefore)
	const delay = await heartbeat.stop()
	const { bytesRead, bytesWritten, works } = watched
	const cpuSeconds = (cpu.user + cpu.system) / 1e6
	// What was merged more than once counts as often.
	const recordsMerged = (records * bytesRead) / storedBytes
	return {
		inputBytes,
		storedBytes,
		l0Tables,
		works,
		runs: db.stats().runs.length,
		elapsedMs,
		bytesRead,
		bytesWritten,
		recordsPerSecond: (recordsMerged / elapsedMs) * 1000,
		bytesPerSecond: (bytesRead / elapsedMs) * 1000,
		recordsPerCpuSecond: recordsMerged / cpuSeconds,
		bytesPerCpuSecond: bytesRead / cpuSeconds,
		writeAmplification: 1 + bytesWritten / storedBytes,
		rssBeforeBytes: rssBefore,
		peakRssBytes: process.resourceUsage().maxRSS * 1024,
		...delayFigures(delay),
	}
}

/** Looks at `db` until nothing runs and nothing is due. */
async function watchUntilRest(
	db: Database,
	progress: (done: number) => void,
): Promise<{ restedAt: number; bytesRead: number; bytesWritten: number; works: number }> {
	let restedAt = performance.now()
	let most = 1
	for (let quiet = 0; quiet < QUIET_LOOKS; ) {
		await sleep(systemClock, LOOK_MS)
		const { maintenance, compactionDebtBytes } = db.stats()
		if (maintenance?.lastError !== undefined) throw new Error(maintenance.lastError.message)
		most = Math.max(most, compactionDebtBytes)
		progress(1 - compactionDebtBytes / most)
		const isQuiet = compactionDebtBytes === 0 && maintenance?.running.length === 0
		if (!isQuiet) restedAt = performance.now()
		quiet = isQuiet ? quiet + 1 : 0
	}
	const totals = db.stats().maintenance?.totals
	if (totals === undefined) throw new Error('nobody maintains the database')
	return { restedAt, ...totals }
}

async function measureIngest({ plan, directory, settings, progress }: Task): Promise<Figures> {
	const { records, valueBytes, seed } = plan
	const isMaintained = settings['isMaintained'] === true
	const url = (await loadStore(plan.store)).url(directory)
	const db = await open(url, {
		keyEncoding: 'buffer',
		valueEncoding: 'buffer',
		codec: settings['codec'] === 'none' ? 'none' : 'lz4',
		// Alone it is measured without anything that would slow it down.
		...(isMaintained ? {} : { maintenance: false, l0SlowdownTables: 1_000_000 }),
	})
	const workload = new Workload(seed, valueBytes, 1)
	const step = Math.max(1, Math.floor(records / 20))
	const heartbeat = await Heartbeat.start()
	const cpuBefore = process.cpuUsage()
	const started = performance.now()
	for (let i = 0; i < records; i++) {
		if (i % step === 0) progress(i / records)
		await db.put(workload.key(i), workload.value(i))
	}
	await db.flush()
	const elapsedMs = performance.now() - started
	const cpu = process.cpuUsage(cpuBefore)
	const delay = await heartbeat.stop()
	const { l0Tables, runs, maintenance, writeAmplification } = db.stats()
	await db.close()
	return {
		putsPerSecond: (records / elapsedMs) * 1000,
		elapsedMs,
		cpuSeconds: (cpu.user + cpu.system) / 1e6,
		l0Tables,
		runs: runs.length,
		mergedBytes: maintenance?.totals.bytesRead ?? 0,
		writeAmplification,
		peakRssBytes: process.resourceUsage().maxRSS * 1024,
		...delayFigures(delay),
	}
}

const DELAYS: readonly Column[] = [
	{ title: 'peak MiB', figure: 'peakRssBytes', digits: 0, unit: MIB },
	{ title: 'delay p50', figure: 'loopDelayP50Ms', digits: 1 },
	{ title: 'delay p99', figure: 'loopDelayP99Ms', digits: 1, better: 'less' },
	{ title: 'max ms', figure: 'loopDelayMaxMs', digits: 1 },
]

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
	[MERGE]: [
		{ title: 'k rec/s', figure: 'recordsPerSecond', digits: 0, unit: 1000 },
		{ title: 'MB/s', figure: 'bytesPerSecond', digits: 0, unit: 1e6 },
		{ title: 'k rec/CPU s', figure: 'recordsPerCpuSecond', digits: 0, unit: 1000, better: 'more' },
		{ title: 'MB/CPU s', figure: 'bytesPerCpuSecond', digits: 0, unit: 1e6 },
		{ title: 'seconds', figure: 'elapsedMs', digits: 1, unit: 1000 },
		{ title: 'L0', figure: 'l0Tables', digits: 0 },
		{ title: 'works', figure: 'works', digits: 0 },
		{ title: 'runs', figure: 'runs', digits: 0 },
		{ title: 'write amp', figure: 'writeAmplification', digits: 2 },
		{ title: 'before MiB', figure: 'rssBeforeBytes', digits: 0, unit: MIB },
		...DELAYS,
	],
	[INGEST]: [
		{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000, better: 'more' },
		{ title: 'seconds', figure: 'elapsedMs', digits: 2, unit: 1000 },
		{ title: 'CPU s', figure: 'cpuSeconds', digits: 2 },
		{ title: 'L0', figure: 'l0Tables', digits: 0 },
		{ title: 'runs', figure: 'runs', digits: 0 },
		{ title: 'MB merged', figure: 'mergedBytes', digits: 0, unit: 1e6 },
		{ title: 'write amp', figure: 'writeAmplification', digits: 2 },
		...DELAYS,
	],
}

/** Records a second of one core; puts a second beside merges; what the application's thread may notice, in milliseconds. */
const REQUIRED = {
	mergePerCore: { none: 1.5, lz4: 1 },
	ingest: 0.8,
	delayP99: 8,
	delayMax: 50,
	growth: 1.25,
	memory: 1.5,
} as const

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	const sizes = plan.sizes ?? SIZES_MIB
	return plan.codecs.flatMap(codec => {
		const merges = sizes.map(mib => of('isledb', mergeLabel(codec, mib)))
		const ingest = of('isledb', ingestLabel(codec, true))
		const target = (name: string, isAtLeast: boolean, required: number, actual: number | undefined): Target => ({
			name: `${codec}: ${name}`,
			isAtLeast,
			required,
			actual,
			digits: 2,
		})
		const [before, last] = [merges.at(-2), merges.at(-1)]
		const peak = last?.['peakRssBytes'] ?? Number.NaN
		const growth =
			before === undefined || last === undefined ? undefined : peak / (before['peakRssBytes'] ?? Number.NaN)
		const memory = last === undefined ? undefined : (peak - (last['rssBeforeBytes'] ?? 0)) / MERGE_MEMORY_BYTES
		const millions = (figures: Figures | undefined, name: string): number | undefined =>
			figures === undefined ? undefined : (figures[name] ?? 0) / 1e6
		return [
			target(
				'merge, M records per CPU second',
				true,
				REQUIRED.mergePerCore[codec],
				millions(last, 'recordsPerCpuSecond'),
			),
			target('merge, loop delay p99 ms', false, REQUIRED.delayP99, last?.['loopDelayP99Ms']),
			target('merge, loop delay max ms', false, REQUIRED.delayMax, last?.['loopDelayMaxMs']),
			target('merge, peak memory, times that of the next smaller input', false, REQUIRED.growth, growth),
			target('merge, memory above what it was before, times mergeMemoryBytes', false, REQUIRED.memory, memory),
			target('ingest while compacting, M/s', true, REQUIRED.ingest, millions(ingest, 'putsPerSecond')),
		]
	})
}

export const scenario: Scenario = {
	name: 'compaction',
	summary: 'a deep L0 merged to rest in a thread of its own, and ingest beside it',
	records: INGEST_RECORDS,
	repeat: 1,
	engines: ['isledb'],
	cases,
	measure,
	columns: COLUMNS,
	targets,
	notes: [
		'Sizes are of keys and values as the application gave them (--sizes 256,1024,4096, which leaves ingest out). Bytes a second are of tables as stored.',
		'What is merged several times counts as often. CPU is that of all threads of the process, of the disk and V8 too.',
		'Memory is that of the process, "before" when the database was open and nothing merged yet. Loading was another process.',
		'Delay is that of the main thread, by a heartbeat from another thread.',
	],
}
