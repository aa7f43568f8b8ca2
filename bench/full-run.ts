/**
 * The full run: `npm run bench -- all` makes every part below, one after another, and writes `RESULTS.md`, its charts and
 * one page of everything; `npm run bench -- all ingest ycsb` makes only these parts again, and keeps what is known of the
 * others; `all missing` those of which nothing is known. So the run can be made in pieces, when the machine has a quiet
 * moment. A part that fails is told, and the others are made all the same.
 *
 * What a part found is kept in `bench/results/<part>.json`, which is not committed; what is committed is made of all of them.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArguments, UsageError } from './arguments.ts'
import type { BenchReport } from './bench-report.ts'
import { renderHtml } from './html-report.ts'
import { renderText } from './report.ts'
import { renderResults } from './results-page.ts'
import { runScenario } from './run.ts'

/** Name of a part, and the command line that makes it. */
export const PARTS: Readonly<Record<string, string>> = {
	ingest: 'ingest --records 5_000_000 --seconds 10 --case batches',
	puts: 'ingest --records 5_000_000 --seconds 10 --case put',
	durable: 'ingest --codec lz4 --seconds 10 --case record',
	shapes: 'ingest-shapes --records 500_000 --codec lz4 --seconds 2',
	reads: 'reads --records 200_000 --codec none --case none --seconds 2',
	'reads-lz4': 'reads --records 200_000 --codec lz4 --case lz4 --seconds 2',
	'reads-single': 'reads --records 50_000 --codec lz4 --case 64',
	scan: 'scan --records 400_000 --seconds 2 --engine isledb,classic-level,lmdb',
	'scan-slatedb': 'scan --records 50_000 --codec none --seconds 2 --engine isledb,slatedb',
	'ycsb-a': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case A,',
	'ycsb-b': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case B,',
	'ycsb-c': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case C,',
	'ycsb-d': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case D,',
	'ycsb-e': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case E,',
	'ycsb-f': 'ycsb --records 50_000 --codec lz4 --seconds 3 --case F,',
	tail: 'tail --records 1_000_000 --codec lz4 --repeat 3',
	compaction: 'compaction --records 20_000_000 --sizes 256,1024',
	pool: 'pool --records 2_000_000 --codec lz4',
	open: 'open --store memory --records 10_000',
	flatness: 'flatness --records 1_000_000 --codec lz4 --seconds 4',
	'flatness-large': 'flatness --records 100_000_000 --codec lz4 --engine isledb',
	'durable-ceph': 'durable --store ceph --rtt 25 --records 10_000 --clients 1,64,1000',
	'durable-many': 'durable --store ceph --rtt 25 --records 10_000 --clients 4000,8000 --engine isledb',
	'durable-azurite': 'durable --store azurite --rtt 25 --records 10_000 --clients 1,64,1000',
	'reads-ceph': 'reads --store ceph --rtt 25 --records 20_000 --codec lz4 --case 64',
	'reads-azurite': 'reads --store azurite --rtt 25 --records 20_000 --codec lz4 --case 64',
	'ycsb-ceph': 'ycsb --store ceph --rtt 25 --records 10_000 --codec lz4 --seconds 2 --case B,',
	'tail-ceph': 'tail --store ceph --rtt 25 --records 30_000 --codec lz4',
}

/** Names all parts that have no result. */
const MISSING = 'missing'

const RESULTS = join(import.meta.dirname, 'results')
const PAGE = join(import.meta.dirname, 'RESULTS.md')
const CHARTS = join(import.meta.dirname, 'charts')

/** @throws UsageError for a name that no part has. */
export async function fullRun(names: readonly string[]): Promise<void> {
	const unknown = names.find(name => PARTS[name] === undefined && name !== MISSING)
	if (unknown !== undefined) {
		throw new UsageError(`there is no ${unknown} among the parts of the full run: ${Object.keys(PARTS).join(', ')}`)
	}
	mkdirSync(RESULTS, { recursive: true })
	const failed: string[] = []
	for (const [name, words] of Object.entries(PARTS)) {
		const isAsked = names.includes(name) || (names.includes(MISSING) && !existsSync(fileOf(name)))
		if (names.length > 0 && !isAsked) continue
		console.log(`\n== ${name}: ${words}`)
		const started = performance.now()
		try {
			const report = await runScenario(parseArguments(words.split(' ')), line => console.log(line))
			console.log(`\n${renderText(report)}`)
			writeFileSync(fileOf(name), `${JSON.stringify(report, null, '\t')}\n`)
		} catch (error) {
			console.error(error)
			failed.push(name)
		}
		console.log(`== ${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`)
	}
	writeResults()
	if (failed.length > 0) throw new Error(`these parts failed, and their last results stand: ${failed.join(', ')}`)
}

function fileOf(name: string): string {
	return join(RESULTS, `${name}.json`)
}

/** Makes the page out of what is known by now. */
export function writeResults(): void {
	const parts = Object.entries(PARTS).flatMap(([name, words]) => {
		if (!existsSync(fileOf(name))) return []
		const report: BenchReport = JSON.parse(readFileSync(fileOf(name), 'utf8'))
		return [{ name, command: `npm run bench -- ${words}`, report }]
	})
	const absent = Object.keys(PARTS).filter(name => !parts.some(part => part.name === name))
	const { page, charts } = renderResults(parts, absent)
	rmSync(CHARTS, { recursive: true, force: true })
	mkdirSync(CHARTS)
	for (const [file, svg] of Object.entries(charts)) writeFileSync(join(CHARTS, file), `${svg}\n`)
	writeFileSync(PAGE, page)
	writeFileSync(join(RESULTS, 'report.html'), renderHtml(parts.map(({ report }) => report)))
	console.log(`wrote ${PAGE}, its charts, and ${join(RESULTS, 'report.html')}`)
}
