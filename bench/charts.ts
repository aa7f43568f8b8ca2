/** What of a report is drawn: bars for each figure that has a better side, lines where the scenario says so. */
import type { BenchReport } from './bench-report.ts'
import type { CaseResult } from './harness.ts'
import { groupOf } from './ratios.ts'
import type { Column, LineChart } from './scenario.ts'

export interface BarChartData {
	readonly kind: 'bars'
	readonly title: string
	readonly note: string
	/** From above to below. */
	readonly groups: readonly { readonly label: string; readonly bars: readonly Bar[] }[]
}

export interface Bar {
	readonly series: string
	readonly value: number
	readonly text: string
}

export interface LineChartData {
	readonly kind: 'lines'
	readonly title: string
	readonly xTitle: string
	readonly yTitle: string
	readonly lines: readonly { readonly series: string; readonly points: readonly Point[] }[]
}

export interface Point {
	readonly x: number
	readonly y: number
}

export type ChartData = BarChartData | LineChartData

/** Figures of one table that are drawn; the rest stands in the table. */
const DRAWN_COLUMNS_MAX = 6
/** Bars in one chart say nothing beyond so many groups. */
const GROUPS_MAX = 24

export function chartsOf(report: BenchReport): ChartData[] {
	const lines = report.lines.map(chart => lineChart(chart, report.results)).filter(({ lines: all }) => all.length > 0)
	const drawnAsLines = new Set(report.lines.map(({ table }) => table))
	const bars = Object.entries(report.columns)
		.filter(([table]) => !drawnAsLines.has(table) && report.parts[table] === undefined)
		.flatMap(([table, columns]) =>
			columns
				.filter(({ better }) => better !== undefined)
				.slice(0, DRAWN_COLUMNS_MAX)
				.map(column => barChart(table, column, report.results)),
		)
		.filter(({ groups }) => groups.length > 0)
	return [...lines, ...bars]
}

function barChart(table: string, column: Column, results: readonly CaseResult[]): BarChartData {
	const { figure, digits, unit = 1 } = column
	const groups = new Map<string, Bar[]>()
	for (const result of results) {
		const value = result.medians[figure]
		if (result.table !== table || value === undefined || !Number.isFinite(value)) continue
		const bars = groups.get(groupOf(result)) ?? []
		bars.push({ series: result.engine, value: value / unit, text: (value / unit).toFixed(digits) })
		groups.set(groupOf(result), bars)
	}
	return {
		kind: 'bars',
		title: `${table}: ${column.title}`,
		note: column.better === 'more' ? 'longer is better' : 'shorter is better',
		groups: [...groups].slice(0, GROUPS_MAX).map(([label, bars]) => ({ label, bars })),
	}
}

function lineChart({ title, table, x, y }: LineChart, results: readonly CaseResult[]): LineChartData {
	const lines = new Map<string, Point[]>()
	for (const { engine, series = engine, medians, table: of } of results) {
		const [at, value] = [medians[x.figure], medians[y.figure]]
		if (of !== table || at === undefined || value === undefined) continue
		const points = lines.get(series) ?? []
		points.push({ x: at / (x.unit ?? 1), y: value / (y.unit ?? 1) })
		lines.set(series, points)
	}
	return {
		kind: 'lines',
		title,
		xTitle: x.title,
		yTitle: y.title,
		lines: [...lines].map(([series, points]) => ({ series, points: points.sort((a, b) => a.x - b.x) })),
	}
}
