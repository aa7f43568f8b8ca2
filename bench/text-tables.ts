/** The tables of a report as cells of text: the terminal, HTML and Markdown lay them out each in its own way. */
import type { BenchReport } from './bench-report.ts'
import type { CaseResult } from './harness.ts'
import { ratiosOf } from './ratios.ts'
import type { Column, Figures, Target } from './scenario.ts'

export interface TextTable {
	readonly title: string
	readonly header: readonly string[]
	readonly rows: readonly (readonly string[])[]
}

/** Of figures, ratios, requests by kind and targets: those that have something to say. */
export function tablesOf(report: BenchReport): TextTable[] {
	const tables = [
		...figureTables(report),
		...ratioTables(report),
		...requestTables(report),
		targetTable(report.targets),
	]
	return tables.filter(({ rows }) => rows.length > 0)
}

/** One for each title of the scenario: a line for each case; or one for each case, with a line for each part of it. */
export function figureTables({ columns, parts, results }: BenchReport): TextTable[] {
	return Object.entries(columns).flatMap(([title, all]) => {
		const rows = results.filter(result => result.table === title)
		const lines = parts[title]
		if (lines !== undefined) return rows.map(row => partTable(title, all, lines, row))
		const shown = all.filter(({ figure }) => rows.some(({ medians }) => medians[figure] !== undefined))
		return {
			title,
			header: ['engine', 'case', ...shown.map(column => column.title)],
			rows: rows.map(({ engine, label, medians }) => [engine, label, ...shown.map(column => cell(column, medians))]),
		}
	})
}

function partTable(title: string, columns: readonly Column[], parts: readonly string[], row: CaseResult): TextTable {
	return {
		title: `${title}, ${row.engine}: ${row.label}`,
		header: ['', ...columns.map(column => column.title)],
		rows: parts.map(part => [
			part,
			...columns.map(column => cell({ ...column, figure: `${part}/${column.figure}` }, row.medians)),
		]),
	}
}

function ratioTables(report: BenchReport): TextTable[] {
	const ratios = ratiosOf(report)
	return Object.entries(report.columns).map(([table, columns]) => {
		const rows = ratios.filter(ratio => ratio.table === table)
		const shown = columns.filter(({ figure }) => rows.some(({ times }) => figure in times))
		return {
			title: `${table}: how many times better isledb is`,
			header: ['beside', 'case', ...shown.map(({ title }) => title)],
			rows: rows.map(({ peer, group, times }) => [peer, group, ...shown.map(({ figure }) => ratioText(times[figure]))]),
		}
	})
}

function ratioText(ratio: number | undefined): string {
	if (ratio === undefined) return '–'
	return ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)
}

/** What was asked of the store, by kind, where an engine tells. */
function requestTables({ results }: BenchReport): TextTable[] {
	const rows = results.flatMap(({ engine, label, medians }) => {
		const kinds = new Set(Object.keys(medians).map(name => /^requests\/(\w+)\/requests$/.exec(name)?.[1]))
		return [...kinds].flatMap(kind => {
			if (kind === undefined) return []
			const of = (name: string): number => medians[`requests/${kind}/${name}`] ?? 0
			const megabytes = [of('sentBytes'), of('receivedBytes')].map(bytes => (bytes / 1e6).toFixed(2))
			return [[engine, label, kind, of('requests').toFixed(0), ...megabytes, of('estimatedUsd').toFixed(6)]]
		})
	})
	const header = ['engine', 'case', 'kind', 'requests', 'MB sent', 'MB received', 'US$ as on S3']
	return [{ title: 'requests by kind', header, rows }]
}

function targetTable(targets: readonly Target[]): TextTable {
	const rows = targets.map(({ name, isAtLeast, required, actual, digits }) => [
		name,
		`${isAtLeast ? '≥' : '≤'} ${required}`,
		actual === undefined ? '–' : actual.toFixed(digits),
		verdictOf({ isAtLeast, required, actual }),
	])
	return { title: 'targets', header: ['', 'required', 'here', ''], rows }
}

export function verdictOf({ isAtLeast, required, actual }: Pick<Target, 'isAtLeast' | 'required' | 'actual'>): string {
	if (actual === undefined) return 'not run'
	return (isAtLeast ? actual >= required : actual <= required) ? 'met' : 'MISSED'
}

export function cell({ figure, digits, unit = 1 }: Column, figures: Figures): string {
	const value = figures[figure]
	return value === undefined ? '–' : (value / unit).toFixed(digits)
}

/** Whether all of a column but its header are figures, which stand to the right. */
export function isFigureColumn({ rows }: TextTable, column: number): boolean {
	return column > 0 && rows.every(row => /^[≥≤ \d.–-]*$/.test(row[column] ?? ''))
}
