/** Each scenario of the engine end to end, as the command line runs it, with few records: so that the harness cannot rot. */
import { describe, expect, test } from 'vitest'
import { namesIn } from '../../bench/discover.ts'
import { casesOf, runBench } from '../support/bench-command.ts'

describe('the benchmark of the engine', () => {
	test('knows these scenarios; each is run here or with the peers', () => {
		expect(namesIn('scenarios')).toEqual([
			'compaction',
			'compaction-simulation',
			'durable',
			'flatness',
			'ingest',
			'ingest-shapes',
			'open',
			'pool',
			'reads',
			'scan',
			'tail',
			'ycsb',
		])
	})

	test('compaction merges to rest what a process of its own has loaded, and measures ingest with and without it', async () => {
		const { report } = await runBench('compaction', '--sizes', '20', '--records', '1000', '--codec', 'none')
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

	test('repetitions are kept, and medians are taken of them', async () => {
		const { report } = await runBench(
			'ingest',
			'--records',
			'500',
			'--codec',
			'lz4',
			'--engine',
			'isledb',
			'--case',
			'await each put',
			'--repeat',
			'2',
		)
		// Merged meanwhile, and not.
		expect(report.results.map(({ runs }) => runs.length)).toEqual([2, 2])
		const answered = report.targets.filter(({ actual }) => actual !== undefined).map(({ name }) => name)
		expect(answered).toContain('lz4: await each put, M/s')
		expect(answered.some(name => name.includes('batch'))).toBe(false)
	})

	test('reads finds what was loaded in both engines, and counts what single reads ask for', async () => {
		const { report, output } = await runBench(
			'reads',
			'--engine',
			'isledb,classic-level',
			'--records',
			'1000',
			'--codec',
			'lz4',
		)
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
		const { report } = await runBench('open', '--records', '1000', '--store', 'memory')
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
		const { report } = await runBench('tail', '--records', '20', '--store', 'memory')
		expect(casesOf(report)).toEqual([
			'isledb: none, nobody merges',
			'isledb: none',
			'isledb: lz4, nobody merges',
			'isledb: lz4',
			'isledb: in the process of the writer',
		])
		const [none] = report.results
		const lag = report.results.at(-1)
		expect(Math.min(...Object.values(none?.medians ?? {}))).toBeGreaterThan(0)
		expect(lag?.medians).toMatchObject({ changes: 20, lagP50Ms: expect.any(Number) })
	})

	test('tail follows from another process too', async () => {
		const { report } = await runBench('tail', '--records', '5', '--case', 'every 20 ms')
		expect(casesOf(report)).toEqual(['isledb: in another process, polling every 20 ms'])
		expect(report.results[0]?.medians).toMatchObject({ changes: 5, lagMaxMs: expect.any(Number) })
	})

	test('pool merges and ingests on this thread and on others', async () => {
		const { report } = await runBench('pool', '--records', '2000', '--codec', 'none', '--seconds', '1')
		const merges = report.results.filter(({ table }) => table.startsWith('one merge'))
		expect(merges.map(({ label }) => label)).toEqual(['none, main thread', 'none, 1 thread', 'none, 2 threads'])
		for (const { medians } of merges) expect(medians['works']).toBe(1)
		expect(report.results).toHaveLength(6)
	})

	test('flatness measures each size with each engine, and simulates what is larger', async () => {
		const { report } = await runBench('flatness', '--records', '500', '--seconds', '1')
		const real = report.results.filter(({ table }) => table.startsWith('costs'))
		expect(real.map(({ engine, label }) => `${engine}: ${label}`)).toEqual([
			'isledb: 500 entries, lz4',
			'classic-level: 500 entries, snappy',
			'lmdb: 500 entries, lz4',
		])
		for (const { medians } of real) {
			expect(Math.min(medians['getCpuUs'] ?? 0, medians['putCpuUs'] ?? 0, medians['rowCpuUs'] ?? 0)).toBeGreaterThan(0)
		}
		// Merged, and without a cache: one request a get, and a few that time asks for.
		expect(real[0]?.medians['requestsPerGet']).toBeGreaterThanOrEqual(1)
		const simulated = report.results.filter(({ table }) => table.startsWith('what maintenance'))
		expect(simulated.at(-1)).toMatchObject({ label: '1,000,000,000 entries, inserted evenly' })
		const amplification = simulated.map(({ medians }) => medians['writeAmplification'] ?? 0)
		expect(amplification).toEqual(amplification.toSorted((a, b) => a - b))
	})

	test('durable measures clients and a bulk load beside bare PUTs of as many bytes', async () => {
		const { report } = await runBench('durable', '--records', '100', '--clients', '1,20', '--store', 'memory')
		expect(casesOf(report)).toEqual([
			'isledb: 1 client',
			'isledb: 20 clients',
			'isledb: batches of 1000',
			'slatedb: 1 client',
			'slatedb: 20 clients',
			'slatedb: batches of 1000',
		])
		const [one, twenty, bulk, peer] = report.results
		expect(peer?.medians).toMatchObject({ p50Ms: expect.any(Number), putsPerSecond: expect.any(Number) })
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
			'there is no nothing among the scenarios: compaction, compaction-simulation, durable, flatness, ingest, ingest-shapes, open, ',
		],
		['scan --engine rocksdb', 'there is no rocksdb among the engines: classic-level, isledb, isledb-go, lmdb, slatedb'],
		['tail --engine classic-level', 'classic-level cannot do what tail asks'],
		['scan --store s3', 'there is no s3 among the stores: azurite, ceph, file, memory'],
		['scan --engine lmdb --store memory', 'no engine can run: lmdb does not run: it cannot write to the store memory'],
		['scan --engine isledb --case nothing', 'no case of scan has nothing in its label'],
		['all nothing', 'there is no nothing among the parts of the full run: ingest, puts, durable'],
	])('"%s" ends with what was expected', async (line, message) => {
		await expect(runBench(...line.split(' '))).rejects.toMatchObject({
			code: 2,
			stderr: expect.stringContaining(message),
		})
	})
})
