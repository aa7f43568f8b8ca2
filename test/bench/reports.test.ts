/** What is made of a report: ratios, tables, charts, pages. */
import { describe, expect, test } from 'vitest'
import type { BenchReport } from '../../bench/bench-report.ts'
import { chartsOf } from '../../bench/charts.ts'
import type { CaseResult } from '../../bench/harness.ts'
import { renderHtml } from '../../bench/html-report.ts'
import { ratiosOf } from '../../bench/ratios.ts'
import { renderText } from '../../bench/report.ts'
import { renderResults } from '../../bench/results-page.ts'
import { renderSvg } from '../../bench/svg.ts'
import { beatWarnings, requestFigures } from '../../bench/usage.ts'

function caseOf(engine: string, label: string, table: string, medians: Readonly<Record<string, number>>): CaseResult {
	return { engine, label, group: label.slice(-1), table, settings: {}, medians, runs: [medians] }
}

const REPORT: BenchReport = {
	scenario: 'example',
	summary: 'a & b < c',
	machine: {
		cores: 2,
		processor: 'one',
		memoryBytes: 2 ** 34,
		system: 'linux',
		node: '24',
		date: '2026-01-01 00:00',
		loadBefore: 1,
		loadAfter: 2,
	},
	plan: {
		scenario: 'example',
		engines: undefined,
		case: undefined,
		store: 'file',
		rttMs: 0,
		uploadMbit: undefined,
		codecs: ['lz4'],
		records: 10,
		valueBytes: 100,
		batch: 1,
		clients: undefined,
		sizes: undefined,
		seed: 1,
		repeat: 1,
		seconds: 1,
		json: undefined,
		html: undefined,
		directory: undefined,
	},
	engines: [{ name: 'isledb', version: '1', settings: ['<default>'] }],
	missing: ['other does not run'],
	results: [
		caseOf('isledb', 'own X', 'rates', { rate: 3000, ms: 2, other: 1, 'requests/get/requests': 7 }),
		caseOf('slatedb', 'peer X', 'rates', { rate: 1000, ms: 8, other: 1 }),
		caseOf('lmdb', 'alone Y', 'rates', { rate: 1000, ms: 8 }),
		caseOf('isledb', '1 | Z', 'sizes', { entries: 1e5, cost: 4 }),
		caseOf('isledb', '2 | Z', 'sizes', { entries: 1e6, cost: 5 }),
	],
	columns: {
		rates: [
			{ title: 'k/s', figure: 'rate', digits: 1, unit: 1000, better: 'more' },
			{ title: 'ms', figure: 'ms', digits: 1, better: 'less' },
			{ title: 'other', figure: 'other', digits: 0 },
			{ title: 'never measured', figure: 'never', digits: 0 },
		],
		sizes: [{ title: 'cost', figure: 'cost', digits: 1 }],
	},
	parts: {},
	lines: [
		{
			title: 'cost by size',
			table: 'sizes',
			x: { title: 'entries', figure: 'entries' },
			y: { title: 'µs', figure: 'cost' },
		},
	],
	targets: [
		{ name: 'fast', isAtLeast: true, required: 2, actual: 3, digits: 1 },
		{ name: 'slow', isAtLeast: false, required: 2, actual: 3, digits: 1 },
	],
	notes: ['note <1>'],
}

/** The elements that are open where they should not be, or not closed: none in a well-formed page. */
function faultsOf(markup: string): string[] {
	const open: string[] = []
	const faults: string[] = []
	for (const [tag, slash, name = '', selfClosed] of markup.matchAll(
		/<(\/?)([a-z][a-z0-9]*)(?:\s+[a-zA-Z-]+="[^"<]*")*\s*(\/?)>/g,
	)) {
		if (selfClosed === '/') continue
		if (slash === '') open.push(name)
		else if (open.pop() !== name) faults.push(tag)
	}
	const rest = markup.replace(/<!doctype html>/, '').replaceAll(/<\/?[a-z][^<>]*>/g, '')
	if (/[<>]/.test(rest.replaceAll(/<style>.*?<\/style>/gs, ''))) faults.push('a bracket outside of a tag')
	return [...faults, ...open]
}

describe('a report', () => {
	test('compares isledb with each peer that did the same, larger always better', () => {
		const ratios = ratiosOf(REPORT)
		expect(ratios).toEqual([{ table: 'rates', group: 'X', peer: 'slatedb', times: { rate: 3, ms: 4 } }])
	})

	test('in text has figures, ratios, requests and targets, and no column that nothing was measured for', () => {
		const text = renderText(REPORT)
		for (const part of [
			'3.0',
			'rates: how many times better isledb is',
			'4.00',
			'MISSED',
			'met',
			'note <1>',
			'load 1.0',
		])
			expect(text).toContain(part)
		expect(text).not.toContain('never measured')
		expect(text).toMatch(/isledb +own X +get +7/)
	})

	test('draws lines where asked, and bars of what has a better side', () => {
		const charts = chartsOf(REPORT)
		expect(charts.map(({ kind, title }) => `${kind}: ${title}`)).toEqual([
			'lines: cost by size',
			'bars: rates: k/s',
			'bars: rates: ms',
		])
		expect(charts[1]).toMatchObject({
			groups: [
				{ label: 'X', bars: [{ series: 'isledb', value: 3, text: '3.0' }, { series: 'slatedb' }] },
				{ label: 'Y', bars: [{ series: 'lmdb' }] },
			],
		})
		for (const chart of charts) {
			const svg = renderSvg(chart)
			expect(faultsOf(svg)).toEqual([])
			expect(svg).not.toMatch(/NaN|Infinity|undefined/)
		}
	})

	test('as a page is well-formed, loads nothing, and shows text as text', () => {
		const page = renderHtml([REPORT, REPORT])
		expect(faultsOf(page)).toEqual([])
		expect(page.match(/<svg/g)).toHaveLength(6)
		expect(page).toContain('a &amp; b &lt; c')
		expect(page).not.toMatch(/(?:src|href)=/)
	})

	test('what is not well-formed is found', () => {
		expect(faultsOf('<p><b>x</p></b>')).not.toEqual([])
		expect(faultsOf('<p>x')).toEqual(['p'])
		expect(faultsOf('<p>1 < 2</p>')).not.toEqual([])
	})

	test('in Markdown names each of its charts, and keeps cells apart', () => {
		const { page, charts } = renderResults(
			[{ name: 'one', command: 'npm run bench -- example', report: REPORT }],
			['two'],
		)
		expect(page).toContain('**Not run**: two.')
		const named = [...page.matchAll(/\(charts\/([\w-]+\.svg)\)/g)].map(([, file]) => file)
		expect(named).toEqual(Object.keys(charts))
		expect(named).toHaveLength(3)
		expect(page).toContain('| isledb | 1 \\| Z | 4.0 |')
		expect(page).toContain('load averages of 1.0 to 2.0')
		expect(page).not.toContain('is not a measurement')
	})

	test('in Markdown says when the machine was crowded', () => {
		const report = { ...REPORT, machine: { ...REPORT.machine, loadBefore: 20, loadAfter: 30 } }
		const { page } = renderResults([{ name: 'one', command: 'npm run bench -- example', report }])
		expect(page).toContain('is not a measurement')
		expect(page).toContain('13 processes wanted each core')
	})
})

test('requests are those since the beginning, by kind', () => {
	const count = (requests: number) => ({ requests, sentBytes: 10 * requests, receivedBytes: 0, estimatedUsd: 0 })
	const before = { ...count(3), byKind: { get: count(1), put: count(2) } }
	const after = { ...count(9), byKind: { get: count(1), put: count(7), list: count(1) } }
	expect(requestFigures(after, before)).toMatchObject({
		requests: 6,
		sentBytes: 60,
		'requests/put/requests': 5,
		'requests/list/requests': 1,
	})
	expect(requestFigures(after, before)).not.toHaveProperty(['requests/get/requests'])
})

test('a measurement with too few beats for its time is named', () => {
	const of = (loopDelaySamples: number) => caseOf('isledb', 'X', 'rates', { loopDelaySamples, elapsedMs: 1_000 })
	expect(beatWarnings([of(101), caseOf('lmdb', 'Y', 'rates', { elapsedMs: 1_000 })])).toEqual([])
	expect(beatWarnings([of(99)])).toEqual(['Few beats: isledb, X, 99 of 1000: its delays say little.'])
})
