/** What the terminal shows: progress on one line, then tables and notes. Plain text, as wide as it needs. */
import { type BenchReport, machineLine } from './bench-report.ts'
import type { Progress } from './harness.ts'
import type { Figures, Scenario } from './scenario.ts'
import { cell, isFigureColumn, type TextTable, tablesOf } from './text-tables.ts'

export function renderText(report: BenchReport): string {
	const tables = tablesOf(report).map(table => `${table.title}\n${grid(table)}`)
	const { loadBefore, loadAfter } = report.machine
	const load = `${machineLine(report.machine)}; load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after`
	return [...tables, [...report.notes, load].join('\n')].join('\n\n')
}

/** Columns side by side, text to the left and figures to the right. Every character is taken to be one cell wide. */
export function grid(table: TextTable): string {
	const lines = [table.header, ...table.rows]
	const widths = table.header.map((_, i) => Math.max(...lines.map(line => line[i]?.length ?? 0)))
	return lines
		.map(line =>
			line
				.map((text, i) => (isFigureColumn(table, i) ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
				.join('  ')
				.trimEnd(),
		)
		.join('\n')
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
