/** Each scenario end to end, as the command line runs it, with few records: so that the harness cannot rot. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { namesIn } from '../../bench/discover.ts'

interface Report {
	readonly scenario: string
	readonly results: readonly {
		readonly engine: string
		readonly label: string
		readonly table: string
		readonly medians: Readonly<Record<string, number>>
		readonly runs: readonly unknown[]
	}[]
	readonly targets: readonly { readonly name: string; readonly actual?: number }[]
}

/** Peers that are quick to open. */
const LEVELS = 'isledb,classic-level'
const PEERS = ['slatedb', 'classic-level', 'lmdb']
const ENTRY = join(import.meta.dirname, '../../bench/bench.ts')
const run = promisify(execFile)
let directory = ''

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), 'isledb-bench-test-'))
})

afterAll(() => rmSync(directory, { recursive: true }))

async function bench(...words: readonly string[]): Promise<{ readonly report: Report; readonly output: string }> {
	const json = join(directory, 'report.json')
	const work = join(directory, 'work')
	const { stdout } = await run(process.execPath, [ENTRY, ...words, '--json', json, '--directory', work])
	expect(readdirSync(work)).toEqual([])
	const report: Report = JSON.parse(readFileSync(json, 'utf8'))
	return { report, output: stdout }
}

const casesOf = (report: Report): string[] => report.results.map(({ engine, label }) => `${engine}: ${label}`)

describe('the benchmark', () => {
	test('knows these scenarios; each is run below', () => {
		expect(namesIn('scenarios')).toEqual([
			'compaction',
			'compaction-simulation',
			'durable',
			'ingest',
			'open',
			'reads',
			'scan',
			'tail',
		])
	})

	test('ingest measures puts, batches and durable puts of both engines', async () => {
		const { report, output } = await bench('ingest', '--engine', LEVELS, '--records', '1000', '--batch', '100')
		expect(casesOf(report)).toEqual([
			'isledb: none, await each put',
			'isledb: none, batches of 100',
			'isledb: none, one record',
			'isledb: lz4, await each put',
			'isledb: lz4, batches of 100',
			'classic-level: none, puts, 64 in flight',
			'classic-level: none, batches of 100',
			'classic-level: none, batches of 100, each synced',
			'classic-level: none, one record',
			'classic-level: snappy, batches of 100',
		])
		const [put, , durable] = report.results
		expect(put?.medians).toMatchObject({ putsPerSecond: expect.any(Number), loopDelayMaxMs: expect.any(Number) })
		expect(put?.medians['loopDelaySamples']).toBeGreaterThan(0)
		// One commit and what opening asked for; 1,000 records of 116 bytes, and little more, were sent.
		expect(put?.medians['requests']).toBeLessThan(20)
		expect(put?.medians['sentBytes']).toBeGreaterThan(116_000)
		expect(put?.medians['sentBytes']).toBeLessThan(150_000)
		expect(durable?.medians).toMatchObject({ bareP50Ms: expect.any(Number), per1024: expect.any(Number) })
		// An object holds the record and the frame around it.
		expect(durable?.medians['objectBytes']).toBeGreaterThan(116)
		const answered = report.targets.filter(({ name }) => !/slatedb|lmdb/.test(name))
		expect(answered.every(({ actual }) => Number.isFinite(actual))).toBe(true)
		for (const { label } of report.results) expect(output).toContain(label)
	})

	test('compaction merges to rest what a process of its own has loaded, and measures ingest with and without it', async () => {
		const { report } = await bench('compaction', '--sizes', '20', '--records', '1000', '--codec', 'none')
		expect(casesOf(report)).toEqual([
			'isledb: none, 20 MiB',
			'isledb: none, without maintenance',
			'isledb: none, while compacting',
		])
		const [merge, alone] = report.results
		expect(merge?.medians['works']).toBeGreaterThan(0)
		expect(merge?.medians['recordsPerCpuSecond']).toBeGreaterThan(0)
		// Every byte is written twice at least: as it came, and merged.
		expect(merge?.medians['writeAmplification']).toBeGreaterThanOrEqual(1.9)
		expect(alone?.medians['mergedBytes']).toBe(0)
	})

	test.each(['ingest', 'reads', 'scan'])('%s runs with each peer, and finds what it loaded', async scenario => {
		const words = ['--records', '200', '--batch', '50', '--codec', 'none', '--seconds', '1', '--engine', PEERS.join()]
		const { report } = await bench(scenario, ...words)
		expect(new Set(report.results.map(({ engine }) => engine))).toEqual(new Set(PEERS))
		for (const { medians } of report.results) {
			expect(Math.min(...Object.values(medians).filter(Number.isFinite))).toBeGreaterThanOrEqual(0)
			expect(Object.keys(medians).length).toBeGreaterThan(3)
		}
	})

	test('repetitions are kept, and medians are taken of them', async () => {
		const { report } = await bench(
			'ingest',
			'--records',
			'500',
			'--codec',
			'lz4',
			'--engine',
			'isledb',
			'--repeat',
			'2',
		)
		expect(report.results.map(({ runs }) => runs.length)).toEqual([2, 2, 2])
		const unanswered = report.targets.filter(({ actual }) => actual === undefined).map(({ name }) => name)
		expect(unanswered).toHaveLength(4)
		for (const name of unanswered) expect(name).toMatch(/times (?:slatedb|classic-level|lmdb)/)
	})

	test('scan finds what was loaded, in both engines', async () => {
		const { report } = await bench('scan', '--engine', LEVELS, '--records', '1000', '--codec', 'lz4')
		expect(new Set(report.results.map(({ engine }) => engine))).toEqual(new Set(['isledb', 'classic-level']))
		for (const { medians } of report.results) {
			expect(Object.values(medians).length).toBeGreaterThanOrEqual(3)
			expect(Math.min(...Object.values(medians))).toBeGreaterThan(0)
		}
	})

	test('reads finds what was loaded in both engines, and counts what single reads ask for', async () => {
		const { report, output } = await bench('reads', '--engine', LEVELS, '--records', '1000', '--codec', 'lz4')
		const rates = report.results.filter(({ table }) => table !== 'one read at a time')
		expect(rates.map(({ engine }) => engine)).toEqual(['isledb', 'classic-level'])
		for (const { medians } of rates) expect(Math.min(...Object.values(medians))).toBeGreaterThan(0)
		const single = report.results.filter(({ table }) => table === 'one read at a time')
		expect(single.map(({ label }) => label)).toEqual([
			'merged, of 64 commits',
			'16 unmerged tables',
			'256 unmerged tables',
		])
		const [merged, , unmerged] = single.map(({ medians }) => medians)
		expect(merged?.['tables']).toBe(1)
		expect(unmerged?.['tables']).toBe(256)
		for (const { medians } of single) {
			expect(medians['get, in memory/requests']).toBe(0)
			expect(medians['get, new reader, cacheDir warm/requests']).toBe(0)
		}
		// A file is read at once, so that what was asked for side by side may look like a sequence: only of one is it known.
		expect(merged).toMatchObject({ 'get, nothing in memory/depth': 2, 'scan of 10 rows, tables open/depth': 1 })
		expect(unmerged?.['scan of 10 rows, tables open/requests']).toBeGreaterThan(100)
		expect(merged?.['get, tables open/requests']).toBe(1)
		expect(merged?.['scan of 10 rows, tables open/requests']).toBe(1)
		expect(output).toContain('one read at a time, isledb: 256 unmerged tables')
		expect(report.targets.filter(({ name }) => name.includes('in sequence')).length).toBeGreaterThan(20)
	})

	test('open counts what opening asks for, by the history and by the tables', async () => {
		const { report } = await bench('open', '--records', '1000', '--store', 'memory')
		expect(casesOf(report)).toEqual([
			'isledb: 10 commits',
			'isledb: 10 commits, maintained, then 200',
			'isledb: 1000 commits',
			'isledb: 1000 commits, maintained, then 200',
			'isledb: 1000 tables, simulated',
		])
		const [, , long, maintained] = report.results.map(({ medians }) => medians)
		// A record for each commit; behind a checkpoint only those that followed.
		expect(long?.['reader/requests']).toBeGreaterThan(1000)
		expect(maintained?.['reader/requests']).toBeGreaterThan(200)
		expect(maintained?.['reader/requests']).toBeLessThan(512)
		expect(long?.['writer/ms']).toBeGreaterThan(0)
	})

	test('tail sees every change, on the memory store too', async () => {
		const { report } = await bench('tail', '--records', '1000', '--store', 'memory')
		expect(casesOf(report)).toEqual(['isledb: none', 'isledb: lz4'])
		for (const { medians } of report.results) expect(Math.min(...Object.values(medians))).toBeGreaterThan(0)
	})

	test('durable measures clients and a bulk load beside bare PUTs of as many bytes', async () => {
		const { report } = await bench('durable', '--records', '100', '--clients', '1,20', '--store', 'memory')
		expect(casesOf(report)).toEqual(['isledb: 1 client', 'isledb: 20 clients', 'isledb: batches of 1000'])
		const [one, twenty, bulk] = report.results
		expect(one?.medians).toMatchObject({ ratio: expect.any(Number), putsPerRequest: 1 })
		// A million requests at $5.00, and what the clients share.
		expect(one?.medians['usdPerMillion']).toBeCloseTo(5)
		expect(twenty?.medians['putsPerRequest']).toBeGreaterThan(1)
		expect(twenty?.medians['usdPerMillion']).toBeCloseTo(5 / (twenty?.medians['putsPerRequest'] ?? 0))
		expect(bulk?.medians['share']).toBeGreaterThan(0)
		expect(report.targets).toHaveLength(2)
	})

	test.each([
		[
			'nothing',
			'there is no nothing among the scenarios: compaction, compaction-simulation, durable, ingest, open, reads, scan, tail',
		],
		['scan --engine rocksdb', 'there is no rocksdb among the engines: classic-level, isledb, lmdb, slatedb'],
		['tail --engine classic-level', 'classic-level cannot do what tail asks'],
		['scan --store s3', 'there is no s3 among the stores: ceph, file, memory'],
	])('"%s" ends with what was expected', async (line, message) => {
		await expect(bench(...line.split(' '))).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
	})
})
