/** Scenarios that compare engines, end to end with few records and each engine that is here. */
import { describe, expect, test } from 'vitest'
import { casesOf, runBench } from '../support/bench-command.ts'

const PEERS = ['slatedb', 'classic-level', 'lmdb']

describe('the benchmark of several engines', () => {
	test('ingest measures puts, batches and durable puts of both engines', async () => {
		const { report, output, page, leftOver } = await runBench(
			'ingest',
			'--engine',
			'isledb,classic-level',
			'--records',
			'1000',
			'--batch',
			'100',
		)
		expect(leftOver).toEqual([])
		expect(page).toContain('<svg')
		for (const { label } of report.results) expect(page).toContain(label)
		expect(output).toContain('how many times better isledb is')
		expect(casesOf(report)).toEqual([
			'isledb: none, await each put',
			'isledb: none, batches of 100',
			'isledb: none, await each put, nobody merges',
			'isledb: none, batches of 100, nobody merges',
			'isledb: none, one record',
			'isledb: lz4, await each put',
			'isledb: lz4, batches of 100',
			'isledb: lz4, await each put, nobody merges',
			'isledb: lz4, batches of 100, nobody merges',
			'classic-level: none, puts, 64 in flight',
			'classic-level: none, batches of 100',
			'classic-level: none, batches of 100, each synced',
			'classic-level: none, one record',
			'classic-level: snappy, batches of 100',
		])
		const [put, , , , durable] = report.results
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

	test.each([
		['ingest', '', 'slatedb,lmdb'],
		['ingest-shapes', 'strings', ''],
		['reads', '', 'slatedb,lmdb'],
		['scan', '', ''],
		['ycsb', 'F,', ''],
	])('%s runs with each peer, and finds what it loaded', async (scenario, label, engines) => {
		const peers = engines === '' ? PEERS : engines.split(',')
		const words = ['--records', '200', '--batch', '50', '--codec', 'none', '--seconds', '1', '--engine', peers.join()]
		const { report } = await runBench(scenario, ...words, ...(label === '' ? [] : ['--case', label]))
		expect(new Set(report.results.map(({ engine }) => engine))).toEqual(new Set(peers))
		for (const { medians } of report.results) {
			expect(Math.min(...Object.values(medians).filter(Number.isFinite))).toBeGreaterThanOrEqual(0)
			expect(Object.keys(medians).length).toBeGreaterThan(3)
		}
	})

	test('scan goes both ways over one table and over four', async () => {
		const words = ['--records', '1000', '--codec', 'lz4', '--engine', 'isledb']
		const { report } = await runBench('scan', ...words)
		expect(casesOf(report)).toEqual(['isledb: lz4', 'isledb: lz4, 4 overlapping tables'])
		for (const { medians } of report.results) {
			const rates = Object.keys(medians).filter(name => !name.endsWith('CpuUs'))
			expect(rates.sort()).toEqual(['batches', 'cold', 'reverseBatches', 'reverseRows', 'rows', 'short'].sort())
			expect(Math.min(...Object.values(medians))).toBeGreaterThan(0)
		}
	})

	test('ycsb makes the operations of each workload', async () => {
		const { report } = await runBench('ycsb', '--records', '60', '--codec', 'none', '--engine', 'isledb')
		const operations = report.results.map(({ label, medians }) => {
			const names = ['read', 'update', 'insert', 'scan', 'read-modify-write']
			return `${label.split(',')[0]}: ${names.filter(name => medians[`${name}P50Us`] !== undefined).join(' ')}`
		})
		expect(operations).toEqual([
			'A: read update',
			'B: read update',
			'C: read',
			'C uniform: read',
			'D: read insert',
			'E: insert scan',
			'F: read read-modify-write',
		])
		for (const { medians } of report.results) expect(medians['operations']).toBeGreaterThan(0)
	})
})
