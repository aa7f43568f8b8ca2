/** Point reads at random: what is in the cache, what is not there, and what has to be read from files. */
import { seededRandom } from '../../src/host/random.ts'
import type { Engine, Session } from '../engine.ts'
import { load } from '../loading.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const READS = 'random reads, keys and values as text'
/** As many as are asked for; fewer records are asked for several times. */
const GETS = 200_000
const UNCACHED_GETS = 20_000
const KEYS_PER_GET_MANY = 100
const GETS_IN_FLIGHT = 64
/** 2 GiB: all that is loaded. */
const LARGE_CACHE_BYTES = 2_147_483_648

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.map(codec => ({
			engine: engine.name,
			label: engine.codecName(codec),
			table: READS,
			settings: { codec },
		})),
	)
}

async function measure({ engine, plan, settings, directory, progress }: Task): Promise<Figures> {
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
	const present = draw(GETS)
	const absent = Array.from({ length: GETS }, (_, i) => workload.keyText(plan.records + i))

	const figures: Record<string, number> = {}
	const warm = await engine.open({ ...options, cacheBytes: LARGE_CACHE_BYTES })
	for await (const _ of warm.batches());
	await getAll(warm, present, 1, GETS)
	figures['cached'] = await getAll(warm, present, 1, GETS)
	figures['many'] = await getManyAll(warm, present)
	if (warm.getSync !== undefined) figures['sync'] = getSyncAll(warm.getSync.bind(warm), present)
	figures['absent'] = await getAll(warm, absent, 1, 0)
	await warm.close()
	progress(0.8)

	const cold = await engine.open({ ...options, cacheBytes: 0 })
	const few = present.slice(0, UNCACHED_GETS)
	await getAll(cold, few.slice(0, 1_000), 1, 1_000)
	figures['uncached'] = await getAll(cold, few, 1, few.length)
	figures['uncached64'] = await getAll(cold, few, GETS_IN_FLIGHT, few.length)
	await cold.close()
	return figures
}

/** Gets a second. @throws when not exactly `expected` of the keys are found. */
async function getAll(session: Session, keys: readonly string[], inFlight: number, expected: number): Promise<number> {
	let next = 0
	let found = 0
	const client = async (): Promise<void> => {
		while (next < keys.length) if ((await session.get(keys[next++] as string)) !== undefined) found++
	}
	const started = performance.now()
	await Promise.all(Array.from({ length: inFlight }, client))
	return rate(keys.length, started, found, expected)
}

async function getManyAll(session: Session, keys: readonly string[]): Promise<number> {
	let found = 0
	const started = performance.now()
	for (let i = 0; i < keys.length; i += KEYS_PER_GET_MANY) {
		for (const value of await session.getMany(keys.slice(i, i + KEYS_PER_GET_MANY))) if (value !== undefined) found++
	}
	return rate(keys.length, started, found, keys.length)
}

function getSyncAll(get: (key: string) => unknown, keys: readonly string[]): number {
	let found = 0
	const started = performance.now()
	for (const key of keys) if (get(key) !== undefined) found++
	return rate(keys.length, started, found, keys.length)
}

function rate(count: number, startedMs: number, found: number, expected: number): number {
	const perSecond = (count / (performance.now() - startedMs)) * 1000
	if (found !== expected) throw new Error(`${found} of ${count} keys were found, not ${expected}`)
	return perSecond
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return plan.codecs.flatMap(codec => {
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
		const peer = level?.['cached']
		return [
			target('get cached, k/s', 350, thousands('cached')),
			target('get cached, times classic-level', 2.5, cached && peer ? cached / peer : undefined),
			target('getMany per key, k/s', 450, thousands('many')),
			target('get missing, k/s', 2500, thousands('absent')),
			target('get uncached, 64 in flight, k/s', 70, thousands('uncached64')),
		]
	})
}

export const scenario: Scenario = {
	name: 'reads',
	summary: 'gets at random: cached, absent, from files',
	records: 400_000,
	repeat: 1,
	engines: ['isledb', 'classic-level'],
	cases,
	measure,
	columns: {
		[READS]: [
			{ title: 'get k/s', figure: 'cached', digits: 0, unit: 1000 },
			{ title: 'getMany keys', figure: 'many', digits: 0, unit: 1000 },
			{ title: 'sync', figure: 'sync', digits: 0, unit: 1000 },
			{ title: 'absent', figure: 'absent', digits: 0, unit: 1000 },
			{ title: 'uncached', figure: 'uncached', digits: 1, unit: 1000 },
			{ title: 'uncached, 64 in flight', figure: 'uncached64', digits: 1, unit: 1000 },
		],
	},
	targets,
	notes: [
		'Thousands a second. Cached: all blocks were read before. Uncached: no block cache; files are in the page cache.',
		`getMany takes ${KEYS_PER_GET_MANY} keys. sync: getCached of isledb, getSync of classic-level.`,
	],
}
