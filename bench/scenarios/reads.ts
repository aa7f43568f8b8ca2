/**
 * Reads: how many a second there are of what is in the cache, what is not there and what has to be read from files; and what
 * single reads ask of a store, merged and unmerged, near and (`--store ceph --rtt 25`) far.
 */
import { seededRandom } from '../../src/host/random.ts'
import { closedLoop, closedLoops, type LoopResult } from '../closed-loops.ts'
import type { Engine, Session } from '../engine.ts'
import type { Layout } from '../layout.ts'
import { load } from '../loading.ts'
import { READ_PARTS } from '../read-parts.ts'
import { measureRequests } from '../reader-requests.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const READS = 'random reads, keys and values as text'
const REQUESTS = 'one read at a time'
const LAYOUTS: Readonly<Record<string, Layout>> = {
	'merged, of 64 commits': { commits: 64, isMerged: true },
	'16 unmerged tables': { commits: 16, isMerged: false },
	'256 unmerged tables': { commits: 256, isMerged: false },
}
const KEYS_PER_SHORT_SCAN = 10
const SHORT_SCANS = 20_000
/** At the most, and of each record. */
const GETS = 200_000
const GETS_OF_RECORD = 20
const UNCACHED_GETS = 20_000
const KEYS_PER_GET_MANY = 100
const GETS_IN_FLIGHT = 64
/** 2 GiB: all that is loaded. */
const LARGE_CACHE_BYTES = 2_147_483_648

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	// Over a network a read takes as long as the round trip: there is nothing to count a second.
	const isNear = plan.store !== 'ceph'
	const rates = engines.flatMap(engine =>
		plan.codecs.map(codec => ({
			engine: engine.name,
			label: engine.codecName(codec),
			group: codec === 'none' ? 'uncompressed' : 'compressed',
			table: READS,
			settings: { codec },
		})),
	)
	const layouts = engines.some(engine => engine.name === 'isledb') ? Object.keys(LAYOUTS) : []
	const requests = layouts.map(label => ({ engine: 'isledb', label, table: REQUESTS, settings: { layout: label } }))
	return [...(isNear ? rates : []), ...requests]
}

async function measure(task: Task): Promise<Figures> {
	const layout = LAYOUTS[String(task.settings['layout'])]
	return layout === undefined ? await measureRates(task) : await measureRequests(task, layout)
}

async function measureRates({ engine, plan, settings, directory, progress }: Task): Promise<Figures> {
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const workload = new Workload(plan.seed, plan.valueBytes, 1)
	const options = { directory, store: plan.store, codec, form: 'text' } as const
	const loading = await engine.open({ ...options, isBulkLoad: true })
	await load(loading, workload, plan.records, 1, done => progress(done * 0.5))
	// A memory store ends with its process, not with the database: both openings below see the records.
	await loading.close()
	const random = seededRandom(plan.seed)
	const draw = (count: number): string[] =>
		Array.from({ length: count }, () => workload.keyText(Math.floor(random.next() * plan.records)))
	const gets = Math.min(GETS, GETS_OF_RECORD * plan.records)
	const present = draw(gets)
	const absent = Array.from({ length: gets }, (_, i) => workload.keyText(plan.records + i))

	const figures: Record<string, number> = {}
	const put = (name: string, { perSecond, cpuUs }: Rate): void => {
		figures[name] = perSecond
		figures[`${name}CpuUs`] = cpuUs
	}
	const maxMs = plan.seconds * 1000
	const warm = { session: await engine.open({ ...options, cacheBytes: LARGE_CACHE_BYTES }), maxMs }
	for await (const _ of warm.session.batches({}));
	await getAll(warm, present, 1, true)
	put('cached', await getAll(warm, present, 1, true))
	put('many', await getManyAll(warm, present))
	const { getSync, getView } = warm.session
	if (getSync !== undefined) put('sync', getSyncAll(warm, getSync, present))
	if (getView !== undefined) put('view', getSyncAll(warm, getView, present))
	put('absent', await getAll(warm, absent, 1, false))
	put('scan10', await scanAll(warm, present.slice(0, SHORT_SCANS)))
	await warm.session.close()
	progress(0.8)

	const cold = { session: await engine.open({ ...options, cacheBytes: 0 }), maxMs }
	const few = present.slice(0, UNCACHED_GETS)
	await getAll(cold, few.slice(0, 1_000), 1, true)
	put('uncached', await getAll(cold, few, 1, true))
	put('uncached64', await getAll(cold, few, GETS_IN_FLIGHT, true))
	await cold.session.close()
	return figures
}

type Rate = Pick<LoopResult, 'perSecond' | 'cpuUs'>

interface Ground {
	readonly session: Session
	/** Of each figure, at the most. */
	readonly maxMs: number
}

/** Gets a second. @throws when not all of the keys, or any of them where they are absent, are found. */
async function getAll(ground: Ground, keys: readonly string[], inFlight: number, isPresent: boolean): Promise<Rate> {
	let found = 0
	const result = await closedLoops({ clients: inFlight, count: keys.length, maxMs: ground.maxMs }, async i => {
		if ((await ground.session.get(keys[i] as string)) !== undefined) found++
	})
	return checkedRate(result, found, isPresent ? result.done : 0)
}

async function getManyAll({ session, maxMs }: Ground, keys: readonly string[]): Promise<Rate> {
	let found = 0
	const result = await closedLoops({ clients: 1, count: keys.length / KEYS_PER_GET_MANY, maxMs }, async i => {
		const from = i * KEYS_PER_GET_MANY
		for (const value of await session.getMany(keys.slice(from, from + KEYS_PER_GET_MANY)))
			if (value !== undefined) found++
	})
	const { perSecond, cpuUs } = checkedRate(result, found, result.done * KEYS_PER_GET_MANY)
	return { perSecond: perSecond * KEYS_PER_GET_MANY, cpuUs: cpuUs / KEYS_PER_GET_MANY }
}

function getSyncAll({ maxMs }: Ground, get: (key: string) => unknown, keys: readonly string[]): Rate {
	let found = 0
	const result = closedLoop({ count: keys.length, maxMs }, i => {
		if (get(keys[i] as string) !== undefined) found++
	})
	return checkedRate(result, found, result.done)
}

/** Short scans a second, one after another. */
async function scanAll({ session, maxMs }: Ground, starts: readonly string[]): Promise<Rate> {
	let found = 0
	const result = await closedLoops({ clients: 1, count: starts.length, maxMs }, async i => {
		if ((await session.firstRows(starts[i] as string, KEYS_PER_SHORT_SCAN)) > 0) found++
	})
	return checkedRate(result, found, result.done)
}

function checkedRate(result: LoopResult, found: number, expected: number): Rate {
	if (found !== expected) throw new Error(`${found} were found in ${result.done} reads, not ${expected}`)
	return result
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	const rates = plan.codecs.flatMap(codec => {
		const own = of('isledb', codec)
		const level = of('classic-level', codec === 'none' ? 'none' : 'snappy')
		const target = (name: string, required: number, actual: number | undefined): Target => ({
			name: `${codec}: ${name}`,
			isAtLeast: true,
			required,
			actual,
			digits: 1,
		})
		const thousands = (figure: string): number | undefined => {
			const value = own?.[figure]
			return value === undefined ? undefined : value / 1000
		}
		const cached = own?.['cached']
		return [
			target('get cached, k/s', 350, thousands('cached')),
			target('get cached, times classic-level', 2.5, times(cached, level?.['cached'])),
			target('get cached, times slatedb', 20, times(cached, of('slatedb', codec)?.['cached'])),
			target('getMany per key, k/s', 450, thousands('many')),
			target('sync get, k/s', 450, thousands('sync')),
			target('sync get, times the views of lmdb', 1.1, times(own?.['sync'], of('lmdb', codec)?.['view'])),
			target('get missing, k/s', 2500, thousands('absent')),
			target('get uncached, 64 in flight, k/s', 70, thousands('uncached64')),
		]
	})
	const budgets = Object.keys(LAYOUTS).flatMap(label => {
		const figures = of('isledb', label)
		const atMost = (name: string, required: number, actual: number | undefined): Target => ({
			name: `${label}: ${name}`,
			isAtLeast: false,
			required,
			actual,
			digits: 2,
		})
		const inSequence = Object.entries(READ_PARTS).flatMap(([part, budget]) =>
			budget === undefined ? [] : [atMost(`${part}, GETs in sequence`, budget, figures?.[`${part}/depth`])],
		)
		const scan = 'scan of 10 rows, tables open'
		const sources = figures?.['sources'] ?? 1
		return [...inSequence, atMost(`${scan}, GETs for each run`, 1, perSource(figures?.[`${scan}/requests`], sources))]
	})
	return [...rates.filter(({ actual }) => plan.store !== 'ceph' || actual !== undefined), ...budgets]
}

function times(own: number | undefined, peer: number | undefined): number | undefined {
	return own === undefined || peer === undefined ? undefined : own / peer
}

function perSource(requests: number | undefined, sources: number): number | undefined {
	return requests === undefined ? undefined : requests / sources
}

export const scenario: Scenario = {
	name: 'reads',
	summary: 'gets, getMany and scans: in memory, from files or a server, merged and unmerged',
	records: 400_000,
	repeat: 1,
	engines: ['isledb', 'slatedb', 'classic-level', 'lmdb', 'isledb-go'],
	cases,
	measure,
	columns: {
		[READS]: [
			{ title: 'get k/s', figure: 'cached', digits: 0, unit: 1000, better: 'more' },
			{ title: 'getMany keys', figure: 'many', digits: 0, unit: 1000, better: 'more' },
			{ title: 'sync', figure: 'sync', digits: 0, unit: 1000, better: 'more' },
			{ title: 'sync, a view', figure: 'view', digits: 0, unit: 1000, better: 'more' },
			{ title: 'absent', figure: 'absent', digits: 0, unit: 1000, better: 'more' },
			{ title: 'uncached', figure: 'uncached', digits: 1, unit: 1000, better: 'more' },
			{ title: 'uncached, 64 in flight', figure: 'uncached64', digits: 1, unit: 1000, better: 'more' },
			{ title: 'scans of 10', figure: 'scan10', digits: 0, unit: 1000, better: 'more' },
			{ title: 'µs CPU: get', figure: 'cachedCpuUs', digits: 2, better: 'less' },
			{ title: 'getMany key', figure: 'manyCpuUs', digits: 2, better: 'less' },
			{ title: 'sync', figure: 'syncCpuUs', digits: 2, better: 'less' },
			{ title: 'absent', figure: 'absentCpuUs', digits: 2, better: 'less' },
			{ title: 'uncached', figure: 'uncachedCpuUs', digits: 1, better: 'less' },
			{ title: '64 in flight', figure: 'uncached64CpuUs', digits: 1, better: 'less' },
			{ title: 'scan of 10', figure: 'scan10CpuUs', digits: 1, better: 'less' },
		],
		[REQUESTS]: [
			{ title: 'p50 ms', figure: 'p50Ms', digits: 3 },
			{ title: 'p99 ms', figure: 'p99Ms', digits: 2 },
			{ title: '÷ one GET', figure: 'bare', digits: 2 },
			{ title: 'requests', figure: 'requests', digits: 2 },
			{ title: 'in sequence', figure: 'depth', digits: 0 },
			{ title: 'budget', figure: 'budget', digits: 0 },
			{ title: 'KB', figure: 'bytes', digits: 1, unit: 1000 },
			{ title: 'US$/million', figure: 'usdPerMillion', digits: 2 },
			{ title: 'block hits %', figure: 'blockHits', digits: 1 },
			{ title: 'disk hits %', figure: 'diskHits', digits: 1 },
		],
	},
	parts: { [REQUESTS]: Object.keys(READ_PARTS) },
	targets,
	notes: [
		'Thousands a second. Cached: all blocks were read before. Uncached: no block cache; files are in the page cache.',
		`getMany takes ${KEYS_PER_GET_MANY} keys. sync: getCached of isledb, getSync of classic-level,`,
		'get of lmdb, whose getBinaryFast gives a view that is good until the next get. isledb-go gives bytes; what is uncached there is in',
		'files of its own.',
		'One read at a time, by a reader: requests, bytes and money of one; the most requests of one that followed one another, and',
		'how many may. One GET: 4 KiB of a table by the same adapter. US$ as on S3. Tables are compressed with LZ4 if asked for.',
	],
}
