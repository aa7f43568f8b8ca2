/**
 * Scans of everything, forward and in reverse, row by row and by batches, over one table and over four that overlap
 * everywhere; and short scans from random keys.
 */
import { seededRandom } from '../../src/host/random.ts'
import { closedLoops } from '../closed-loops.ts'
import type { Engine, ScanRange, Session } from '../engine.ts'
import { load } from '../loading.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { Workload } from '../workload.ts'

const SCAN = 'scan of all rows, keys and values as text'
const LARGE_CACHE_BYTES = 2_147_483_648
const SHORT_SCANS = 10_000
const SHORT_ROWS = 10
const MEASURE_MS = 1000

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
				group: labelOf(codec === 'none' ? 'uncompressed' : 'compressed', parts),
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
	const reverse = { isReverse: true }
	const figures: Record<string, number> = {}
	const put = (name: string, { perSecond, cpuUs }: Rate): void => {
		figures[name] = perSecond
		figures[`${name}CpuUs`] = cpuUs
	}
	put('cold', await byBatch(session, plan.records, {}, 0))
	// Once more: the code is compiled, and the blocks are in the cache.
	await byRow(session, plan.records, {})
	put('rows', await byRow(session, plan.records, {}))
	progress(0.7)
	put('batches', await byBatch(session, plan.records, {}))
	put('reverseRows', await byRow(session, plan.records, reverse))
	put('reverseBatches', await byBatch(session, plan.records, reverse))
	progress(0.9)
	const random = seededRandom(plan.seed)
	const starts = Array.from({ length: Math.min(SHORT_SCANS, plan.records) }, () =>
		workload.keyText(Math.floor(random.next() * plan.records)),
	)
	put('short', await shortScans(session, starts, plan.seconds * 1000))
	await session.close()
	return figures
}

interface Rate {
	readonly perSecond: number
	/** Processor time of all threads, of one row or scan. */
	readonly cpuUs: number
}

async function byRow(session: Session, expected: number, range: ScanRange): Promise<Rate> {
	return rateOf(expected, async () => {
		let count = 0
		const rows = session.rows(range)
		// An engine that is synchronous is not made to wait for a promise each row.
		if (Symbol.asyncIterator in rows) for await (const _ of rows) count++
		else for (const _ of rows) count++
		return count
	})
}

async function byBatch(session: Session, expected: number, range: ScanRange, atLeastMs?: number): Promise<Rate> {
	const scan = async (): Promise<number> => {
		let count = 0
		for await (const batch of session.batches(range)) count += batch.length
		return count
	}
	return rateOf(expected, scan, atLeastMs)
}

/** Scans a second, one after another. */
async function shortScans(session: Session, starts: readonly string[], maxMs: number): Promise<Rate> {
	let found = 0
	const result = await closedLoops({ clients: 1, count: starts.length, maxMs }, async i => {
		if ((await session.firstRows(starts[i] as string, SHORT_ROWS)) > 0) found++
	})
	if (found !== result.done) throw new Error(`${found} of ${result.done} short scans found something`)
	return result
}

/** Scans until a second has passed: one scan of the quickest takes 40 ms, which the compiler and collections would decide. */
async function rateOf(expected: number, scan: () => Promise<number>, atLeastMs = MEASURE_MS): Promise<Rate> {
	const cpu = process.cpuUsage()
	const started = performance.now()
	let rows = 0
	let tookMs = 0
	do {
		const count = await scan()
		if (count !== expected) throw new Error(`a scan gave ${count} rows, not ${expected}`)
		rows += count
		tookMs = performance.now() - started
	} while (tookMs < atLeastMs)
	const { user, system } = process.cpuUsage(cpu)
	return { perSecond: (rows / tookMs) * 1000, cpuUs: (user + system) / rows }
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
	engines: ['isledb', 'slatedb', 'classic-level', 'lmdb', 'isledb-go'],
	cases,
	measure,
	columns: {
		[SCAN]: [
			{ title: 'by row, k rows/s', figure: 'rows', digits: 0, unit: 1000, better: 'more' },
			{ title: 'batches', figure: 'batches', digits: 0, unit: 1000, better: 'more' },
			{ title: 'reverse, rows', figure: 'reverseRows', digits: 0, unit: 1000, better: 'more' },
			{ title: 'reverse, batches', figure: 'reverseBatches', digits: 0, unit: 1000, better: 'more' },
			{ title: 'first scan, batches', figure: 'cold', digits: 0, unit: 1000, better: 'more' },
			{ title: `k scans of ${SHORT_ROWS} rows/s`, figure: 'short', digits: 1, unit: 1000, better: 'more' },
			{ title: 'µs CPU: row', figure: 'rowsCpuUs', digits: 3, better: 'less' },
			{ title: 'by batch', figure: 'batchesCpuUs', digits: 3, better: 'less' },
			{ title: 'reverse, by batch', figure: 'reverseBatchesCpuUs', digits: 3, better: 'less' },
			{ title: 'short scan', figure: 'shortCpuUs', digits: 1, better: 'less' },
		],
	},
	targets,
	notes: [
		'Thousands of rows a second, each made into a key and a value of text. Batches are those of the engine, or',
		'of 512 rows where it has none. By row: `for await`, and `for` where the engine is synchronous (lmdb).',
		'isledb-go gives bytes, and has one slice of all rows where others have batches.',
		'Scans of all rows are repeated for a second; the first is of blocks that are not in the cache.',
	],
}
