/** What the terminal shows: progress on one line, then tables, ratios and targets. Plain text, as wide as it needs. */
import { cpus } from 'node:os'
import type { CaseResult, Progress } from './harness.ts'
import type { Column, Figures, Scenario, Target } from './scenario.ts'

/** A table for each title of the scenario: a line for each case, medians in its columns. */
export function renderTables(scenario: Scenario, results: readonly CaseResult[]): string {
	return Object.entries(scenario.columns)
		.map(([title, columns]) => ({ title, columns, rows: results.filter(result => result.table === title) }))
		.filter(({ rows }) => rows.length > 0)
		.map(({ title, columns, rows }) => {
			const header = ['engine', 'case', ...columns.map(column => column.title)]
			const parts = scenario.parts?.[title]
			if (parts !== undefined) return renderParts(title, columns, parts, rows)
			const lines = rows.map(row => [row.engine, row.label, ...columns.map(column => cell(column, row.medians))])
			return `${title}\n${grid([header, ...lines])}`
		})
		.join('\n\n')
}

/** A table for each case, with a line for each part of it. */
function renderParts(
	title: string,
	columns: readonly Column[],
	parts: readonly string[],
	rows: readonly CaseResult[],
): string {
	const header = ['', ...columns.map(column => column.title)]
	return rows
		.map(({ engine, label, medians }) => {
			const lines = parts.map(part => [
				part,
				...columns.map(column => cell({ ...column, figure: `${part}/${column.figure}` }, medians)),
			])
			return `${title}, ${engine}: ${label}\n${grid([header, ...lines])}`
		})
		.join('\n\n')
}

export function renderTargets(targets: readonly Target[]): string {
	if (targets.length === 0) return ''
	const lines = targets.map(({ name, isAtLeast, required, actual, digits }) => {
		const verdict =
			actual === undefined ? 'not run' : (isAtLeast ? actual >= required : actual <= required) ? 'met' : 'MISSED'
		return [name, `${isAtLeast ? '≥' : '≤'} ${required}`, actual === undefined ? '–' : actual.toFixed(digits), verdict]
	})
	return `targets\n${grid([['', 'required', 'here', ''], ...lines])}`
}

/** The machine, as far as it explains figures. */
export function machine(): string {
	return `${cpus().length} cores, Node ${process.versions.node}, ${process.platform} ${process.arch}`
}

/** Columns side by side, text to the left and figures to the right. Every character is taken to be one cell wide. */
export function grid(rows: readonly (readonly string[])[]): string {
	const widths: number[] = []
	for (const row of rows) for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length)
	const isText = (i: number): boolean => rows.slice(1).every(row => !/^[\d.–-]*$/.test(row[i] ?? ''))
	return rows
		.map(row =>
			row
				.map((text, i) => {
					const padding = ' '.repeat((widths[i] ?? 0) - text.length)
					return isText(i) ? text + padding : padding + text
				})
				.join('  ')
				.trimEnd(),
		)
		.join('\n')
}

function cell({ figure, digits, unit = 1 }: Column, figures: Figures): string {
	const value = figures[figure]
	return value === undefined ? '–' : (value / unit).toFixed(digits)
}

/** On a terminal one line that is written over; elsewhere a line for each run that ended. */
export class TextProgress implements Progress {
	readonly #stream: NodeJS.WriteStream
	readonly #scenario: Scenario
	#label = ''

	constructor(stream: NodeJS.WriteStream, scenario: Scenario) {
		this.#stream = stream
		this.#scenario = scenario
	}

	begin(
		runIndex: number,
		runCount: number,
		{ engine, label }: { readonly engine: string; readonly label: string },
	): void {
		this.#label = `[${runIndex + 1}/${runCount}] ${engine}: ${label}`
		this.part(0)
	}

	part(done: number): void {
		if (this.#stream.isTTY) this.#stream.write(`\r\x1b[K${this.#label} … ${Math.floor(done * 100)} %`)
	}

	end(figures: Figures): void {
		const shown = Object.values(this.#scenario.columns)
			.map(columns => columns.find(column => figures[column.figure] !== undefined))
			.find(column => column !== undefined)
		const text = shown === undefined ? 'done' : `${cell(shown, figures)} ${shown.title}`
		this.#stream.write(`${this.#stream.isTTY ? '\r\x1b[K' : ''}${this.#label}: ${text}\n`)
	}
}
