/**
 * How what an operation costs depends on the size of the database: each put, get and scanned row, opening, and memory, from
 * 100,000 entries up to `--records`, tenfold each time; and beyond that what merging makes of a put, simulated.
 *
 * Each size is loaded (and merged) by a process of its own. Costs are processor time of all threads: a machine that does
 * other things too disturbs it less than the clock.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { seededRandom } from '../../src/host/random.ts'
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { closedLoops } from '../closed-loops.ts'
import { CompactionSimulation } from '../compaction-simulation.ts'
import type { Engine, EngineOptions, Session } from '../engine.ts'
import type { Case, Figures, LineChart, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const REAL = 'costs by size of the database'
const SIMULATED = 'what maintenance makes of a put, simulated'
const SMALLEST = 100_000
const LARGEST_SIMULATED = 1_000_000_000
const PUTS = 200_000
const GETS = 20_000
const SCANS = 10
const SCAN_ROWS = 20_000
/** As stored with LZ4: key, value and what goes with them; a full memtable. */
const ENTRY_BYTES = 60
const FLUSH_BYTES = 8e6
const FLUSH_EVERY_MS = 1_000

function sizesTo(largest: number): number[] {
	const sizes: number[] = []
	for (let size = Math.min(SMALLEST, largest); size <= largest; size *= 10) sizes.push(size)
	return sizes
}

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	const codec = plan.codecs.includes('lz4') ? 'lz4' : 'none'
	const real = engines.flatMap(engine =>
		sizesTo(plan.records).map(entries => ({
			engine: engine.name,
			label: `${entries.toLocaleString('en')} entries, ${engine.codecName(codec)}`,
			group: `${entries.toLocaleString('en')} entries`,
			table: REAL,
			settings: { entries, codec },
		})),
	)
	const simulated = sizesTo(LARGEST_SIMULATED).map(entries => ({
		engine: 'isledb',
		label: `${entries.toLocaleString('en')} entries, inserted evenly`,
		series: 'simulated',
		table: SIMULATED,
		settings: { entries, isSimulated: true },
	}))
	return [...real, ...(engines.some(({ name }) => name === 'isledb') ? simulated : [])]
}

async function measure(task: Task): Promise<Figures> {
	const entries = Number(task.settings['entries'])
	return task.settings['isSimulated'] === true ? simulate(entries, task) : await measureReal(entries, task)
}

function simulate(entries: number, { progress }: Task): Figures {
	const maintenance = maintenanceSettings({})
	if (maintenance === undefined) throw new Error('maintenance is on by default')
	const workload = {
		ingestBytes: entries * ENTRY_BYTES,
		flushBytes: Math.min(FLUSH_BYTES, entries * ENTRY_BYTES),
		entryBytes: ENTRY_BYTES,
		// As many keys as writes that find a free one: three times as many.
		keyCount: 3 * entries,
		isLoaded: false,
		flushEveryMs: FLUSH_EVERY_MS,
	}
	return { entries, ...new CompactionSimulation(maintenance, workload).run(progress) }
}

async function measureReal(entries: number, { engine, plan, settings, directory, progress }: Task): Promise<Figures> {
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const { valueBytes, seed, store } = plan
	const loader = join(import.meta.dirname, '../load-records.ts')
	const words = [engine.name, directory, store, codec, ...[entries, valueBytes, seed].map(String)]
	await promisify(execFile)(process.execPath, [loader, ...words])
	progress(0.5)
	const workload = new Workload(seed, valueBytes, 1)
	const maxMs = plan.seconds * 1000
	const options: EngineOptions = { directory, store, codec, form: 'text' }
	const started = performance.now()
	const reading = await engine.open({ ...options, cacheBytes: 0 })
	const openMs = performance.now() - started
	const reads = await measureReads(reading, workload, entries, maxMs)
	const rssBytes = process.memoryUsage.rss()
	await reading.close()
	progress(0.8)
	const writing = await engine.open({ ...options, form: 'bytes' })
	const puts = await costOf(writing, Math.min(PUTS, entries), engine.putsInFlight, maxMs, async i => {
		await writing.put(workload.key(entries + i), workload.value(i))
	})
	await writing.close()
	return {
		entries,
		openMs,
		...reads,
		putCpuUs: puts.cpuUs,
		putsPerSecond: puts.perSecond,
		rssBytes,
		peakRssBytes: process.resourceUsage().maxRSS * 1024,
	}
}

async function measureReads(session: Session, workload: Workload, entries: number, maxMs: number): Promise<Figures> {
	const random = seededRandom(entries)
	const draw = (): string => workload.keyText(Math.floor(random.next() * entries))
	const get = async (): Promise<void> => {
		if ((await session.get(draw())) === undefined) throw new Error('a key that was written is missing')
	}
	// Code is compiled, tables are open, and files are in the page cache where they fit.
	await costOf(session, GETS, 1, maxMs, get)
	const gets = await costOf(session, GETS, 1, maxMs, get)
	const before = session.requests?.().requests ?? 0
	await closedLoops({ clients: 1, count: 200, maxMs }, get)
	const requests = (session.requests?.().requests ?? 0) - before
	let rows = 0
	const scans = await costOf(session, SCANS, 1, maxMs, async () => {
		rows += await session.firstRows(draw(), Math.min(SCAN_ROWS, entries / 2))
	})
	return {
		getCpuUs: gets.cpuUs,
		getsPerSecond: gets.perSecond,
		...(session.requests === undefined ? {} : { requestsPerGet: requests / 200 }),
		rowCpuUs: (scans.cpuUs * scans.done) / rows,
		rowsPerSecond: (scans.perSecond * rows) / scans.done,
	}
}

interface Cost {
	readonly done: number
	readonly cpuUs: number
	readonly perSecond: number
}

/** Of one operation; the commit in the end counts. */
async function costOf(
	session: Session,
	count: number,
	clients: number,
	maxMs: number,
	each: (i: number) => Promise<void>,
): Promise<Cost> {
	const cpu = process.cpuUsage()
	const started = performance.now()
	const { done } = await closedLoops({ clients, count, maxMs }, each)
	await session.commit()
	const { user, system } = process.cpuUsage(cpu)
	return { done, cpuUs: (user + system) / done, perSecond: (done / (performance.now() - started)) * 1000 }
}

const ENTRIES = { title: 'entries in the database', figure: 'entries' }
const LINES: readonly LineChart[] = [
	{ title: 'a put, awaited, committed', table: REAL, x: ENTRIES, y: { title: 'µs of processor', figure: 'putCpuUs' } },
	{ title: 'a get, no block cache', table: REAL, x: ENTRIES, y: { title: 'µs of processor', figure: 'getCpuUs' } },
	{ title: 'a scanned row', table: REAL, x: ENTRIES, y: { title: 'µs of processor', figure: 'rowCpuUs' } },
	{
		title: 'memory of the process, after reading',
		table: REAL,
		x: ENTRIES,
		y: { title: 'MiB', figure: 'rssBytes', unit: 1_048_576 },
	},
	{
		title: 'write amplification, simulated',
		table: SIMULATED,
		x: ENTRIES,
		y: { title: 'bytes written for each byte put', figure: 'writeAmplification' },
	},
	{
		title: 'runs that a get may have to ask, simulated',
		table: SIMULATED,
		x: ENTRIES,
		y: { title: 'mean', figure: 'runsMean' },
	},
]

/** What the largest size may cost, times the smallest. */
const GROWTH_MAX = { getCpuUs: 2, putCpuUs: 2, rowCpuUs: 1.5, rssBytes: 2 } as const

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	const sizes = sizesTo(plan.records)
	const codec = plan.codecs.includes('lz4') ? 'lz4' : 'none'
	const figuresOf = (entries: number | undefined): Figures | undefined =>
		entries === undefined ? undefined : of('isledb', `${entries.toLocaleString('en')} entries, ${codec}`)
	const [first, last] = [figuresOf(sizes[0]), figuresOf(sizes.at(-1))]
	return Object.entries(GROWTH_MAX).map(([figure, required]) => {
		const [from, to] = [first?.[figure], last?.[figure]]
		return {
			name: `${figure} of the largest, times the smallest`,
			isAtLeast: false,
			required,
			actual: from === undefined || to === undefined ? undefined : to / from,
			digits: 2,
		}
	})
}

export const scenario: Scenario = {
	name: 'flatness',
	summary: 'what a put, a get, a row and memory cost, by the size of the database',
	records: 10_000_000,
	repeat: 1,
	engines: ['isledb', 'classic-level', 'lmdb'],
	cases,
	measure,
	columns: {
		[REAL]: [
			{ title: 'put µs CPU', figure: 'putCpuUs', digits: 2, better: 'less' },
			{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000 },
			{ title: 'get µs CPU', figure: 'getCpuUs', digits: 2, better: 'less' },
			{ title: 'k gets/s', figure: 'getsPerSecond', digits: 1, unit: 1000 },
			{ title: 'requests/get', figure: 'requestsPerGet', digits: 2 },
			{ title: 'row µs CPU', figure: 'rowCpuUs', digits: 3, better: 'less' },
			{ title: 'k rows/s', figure: 'rowsPerSecond', digits: 0, unit: 1000 },
			{ title: 'open ms', figure: 'openMs', digits: 1, better: 'less' },
			{ title: 'MiB after reading', figure: 'rssBytes', digits: 0, unit: 1_048_576, better: 'less' },
			{ title: 'peak MiB', figure: 'peakRssBytes', digits: 0, unit: 1_048_576 },
		],
		[SIMULATED]: [
			{ title: 'write amp', figure: 'writeAmplification', digits: 2 },
			{ title: 'runs mean', figure: 'runsMean', digits: 1 },
			{ title: 'max', figure: 'runsMax', digits: 0 },
			{ title: 'tables', figure: 'tablesMax', digits: 0 },
			{ title: 'PUTs/GB', figure: 'putsPerGb', digits: 0 },
			{ title: 'GETs/GB', figure: 'getsPerGb', digits: 0 },
		],
	},
	lines: LINES,
	targets,
	notes: [
		'µs are of processor time of all threads, user and system. Gets are at random, one by one, without a block cache, files in',
		'the page cache; scans of 20,000 rows from random keys. Puts are new keys at random, awaited, with their commit; merges',
		'that they lead to beyond the end are not in it: the simulation says what those come to.',
	],
}
