/** Reports as one page: tables and charts, nothing to load from elsewhere. */
import { type BenchReport, machineLine, planLine } from './bench-report.ts'
import { chartsOf } from './charts.ts'
import { escapeXml, renderSvg } from './svg.ts'
import { isFigureColumn, type TextTable, tablesOf } from './text-tables.ts'

const STYLE = `
	body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; background: #f9fafb; margin: 0 auto; max-width: 1180px; padding: 24px }
	h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 48px; border-top: 1px solid #d1d5db; padding-top: 24px }
	h3 { font-size: 15px; margin: 28px 0 8px }
	.table { overflow-x: auto } table { border-collapse: collapse; background: #fff; font-size: 13px }
	th, td { border: 1px solid #e5e7eb; padding: 4px 8px; text-align: left; white-space: nowrap } th { background: #f3f4f6 }
	.figure { text-align: right; font-variant-numeric: tabular-nums }
	.met { color: #047857 } .missed { color: #b91c1c; font-weight: 600 }
	.charts { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)) }
	.charts svg { width: 100%; height: auto; border: 1px solid #e5e7eb; border-radius: 6px }
	.faint { color: #6b7280; font-size: 13px }
`

export function renderHtml(reports: readonly BenchReport[]): string {
	const title = `IsleDB benchmark: ${reports.map(report => report.scenario).join(', ')}`
	return [
		'<!doctype html>',
		'<html lang="en">',
		`<head><meta charset="utf-8"/><meta name="viewport" content="width=device-width"/><title>${escapeXml(title)}</title><style>${STYLE}</style></head>`,
		'<body>',
		`<h1>${escapeXml(title)}</h1>`,
		...reports.map(section),
		'</body>',
		'</html>\n',
	].join('\n')
}

function section(report: BenchReport): string {
	const { scenario, summary, machine, engines, missing, notes } = report
	const settings = engines.flatMap(({ name, version, settings: all }) => all.map(line => `${name} ${version}: ${line}`))
	const load = `load average ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after`
	return [
		`<h2>${escapeXml(scenario)}</h2>`,
		`<p>${escapeXml(`${summary}. ${planLine(report.plan)}.`)}</p>`,
		`<p class="faint">${escapeXml(`${machine.date}; ${machineLine(machine)}; ${load}`)}</p>`,
		`<ul class="faint">${[...settings, ...missing].map(line => `<li>${escapeXml(line)}</li>`).join('')}</ul>`,
		`<div class="charts">${chartsOf(report).map(renderSvg).join('\n')}</div>`,
		...tablesOf(report).map(tableHtml),
		`<ul>${notes.map(note => `<li>${escapeXml(note)}</li>`).join('')}</ul>`,
	].join('\n')
}

function tableHtml(table: TextTable): string {
	const { title, header, rows } = table
	const cell = (tag: 'th' | 'td') => (content: string, i: number) => {
		const kinds = [
			isFigureColumn(table, i) ? 'figure' : '',
			content === 'met' ? 'met' : content === 'MISSED' ? 'missed' : '',
		]
		const names = kinds.filter(name => name !== '').join(' ')
		return `<${tag}${names === '' ? '' : ` class="${names}"`}>${escapeXml(content)}</${tag}>`
	}
	return [
		`<h3>${escapeXml(title)}</h3>`,
		'<div class="table"><table>',
		`<thead><tr>${header.map(cell('th')).join('')}</tr></thead>`,
		`<tbody>${rows.map(row => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n')}</tbody>`,
		'</table></div>',
	].join('\n')
}
