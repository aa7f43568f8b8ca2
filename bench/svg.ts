/**
 * Charts as SVG: self-contained, readable on a white ground, with the figures written beside what is drawn. Bars are in
 * proportion, from zero; lines have a logarithmic x axis and a y axis from zero.
 */
import type { BarChartData, ChartData, LineChartData } from './charts.ts'

const WIDTH = 760
const TEXT = 'font-family="system-ui, sans-serif"'
const INK = '#1f2937'
const FAINT = '#6b7280'
const COLOURS: Readonly<Record<string, string>> = {
	isledb: '#2563eb',
	slatedb: '#ea580c',
	'classic-level': '#059669',
	lmdb: '#7c3aed',
	'isledb-go': '#0891b2',
}
/** For series that are no engine. */
const OTHER_COLOURS = ['#2563eb', '#db2777', '#0891b2', '#ca8a04', '#4b5563']

const BAR_HEIGHT = 14
const GROUP_GAP = 10
/** Of a letter of a label, about. */
const LETTER_WIDTH = 6.8
const VALUE_WIDTH = 80
const HEAD_HEIGHT = 56

export function renderSvg(chart: ChartData): string {
	return chart.kind === 'bars' ? renderBars(chart) : renderLines(chart)
}

export function escapeXml(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function renderBars({ title, note, groups }: BarChartData): string {
	const series = [...new Set(groups.flatMap(({ bars }) => bars.map(bar => bar.series)))]
	const most = Math.max(...groups.flatMap(({ bars }) => bars.map(bar => bar.value)), Number.MIN_VALUE)
	const left = 20 + LETTER_WIDTH * Math.max(...groups.map(({ label }) => label.length), 0)
	const drawn: string[] = []
	let y = HEAD_HEIGHT
	for (const { label, bars } of groups) {
		const middle = y + (bars.length * BAR_HEIGHT) / 2
		drawn.push(text(left - 8, middle + 4, label, { anchor: 'end' }))
		for (const { series: name, value, text: shown } of bars) {
			const width = Math.max(1, (value / most) * (WIDTH - left - VALUE_WIDTH))
			drawn.push(
				`<rect x="${left}" y="${y + 1}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" fill="${colourOf(name, series)}"/>`,
				text(left + width + 5, y + 11, shown, { size: 11, fill: FAINT }),
			)
			y += BAR_HEIGHT
		}
		y += GROUP_GAP
	}
	return framed(y, title, note, series, drawn)
}

const PLOT = { left: 70, right: 20, height: 220 } as const
const Y_STEPS = 4

function renderLines({ title, xTitle, yTitle, lines }: LineChartData): string {
	const series = lines.map(line => line.series)
	const points = lines.flatMap(line => line.points)
	const xs = [...new Set(points.map(point => point.x))].sort((a, b) => a - b)
	const [first, last] = [Math.log10(xs[0] ?? 1), Math.log10(xs.at(-1) ?? 10)]
	const top = ceiling(Math.max(...points.map(point => point.y)))
	const bottom = HEAD_HEIGHT + PLOT.height
	const xOf = (x: number): number =>
		PLOT.left + ((Math.log10(x) - first) / (last - first || 1)) * (WIDTH - PLOT.left - PLOT.right - 40)
	const yOf = (y: number): number => bottom - (y / top) * PLOT.height
	const drawn: string[] = []
	for (let step = 0; step <= Y_STEPS; step++) {
		const y = yOf((top * step) / Y_STEPS)
		drawn.push(
			`<line x1="${PLOT.left}" y1="${y}" x2="${WIDTH - PLOT.right}" y2="${y}" stroke="#e5e7eb"/>`,
			text(PLOT.left - 6, y + 4, short((top * step) / Y_STEPS), { anchor: 'end', size: 11, fill: FAINT }),
		)
	}
	for (const x of xs) {
		drawn.push(text(xOf(x), bottom + 16, short(x), { anchor: 'middle', size: 11, fill: FAINT }))
	}
	for (const { series: name, points: own } of lines) {
		const colour = colourOf(name, series)
		const path = own.map(({ x, y }) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`).join(' ')
		drawn.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
		for (const { x, y } of own) {
			drawn.push(
				`<circle cx="${xOf(x).toFixed(1)}" cy="${yOf(y).toFixed(1)}" r="3.5" fill="${colour}"/>`,
				text(xOf(x) + 6, yOf(y) - 6, short(y), { size: 10, fill: FAINT }),
			)
		}
	}
	drawn.push(text((WIDTH + PLOT.left) / 2, bottom + 34, xTitle, { anchor: 'middle', size: 11, fill: FAINT }))
	return framed(bottom + 44, title, yTitle, series, drawn)
}

/** The least of 1, 2, 2.5, 5 and 10 times a power of ten that is no less. */
function ceiling(value: number): number {
	if (!(value > 0)) return 1
	const power = 10 ** Math.floor(Math.log10(value))
	return ([1, 2, 2.5, 5, 10].find(factor => factor * power >= value) ?? 10) * power
}

/** 1,200,000 as 1.2 M. */
function short(value: number): string {
	for (const [unit, name] of [
		[1e9, ' G'],
		[1e6, ' M'],
		[1e3, ' k'],
	] as const) {
		if (Math.abs(value) >= unit) return `${+(value / unit).toPrecision(3)}${name}`
	}
	return String(+value.toPrecision(3))
}

function colourOf(name: string, series: readonly string[]): string {
	const others = series.filter(one => COLOURS[one] === undefined)
	return COLOURS[name] ?? OTHER_COLOURS[others.indexOf(name) % OTHER_COLOURS.length] ?? INK
}

interface TextStyle {
	readonly anchor?: 'start' | 'middle' | 'end'
	readonly size?: number
	readonly fill?: string
}

function text(x: number, y: number, content: string, { anchor = 'start', size = 12, fill = INK }: TextStyle): string {
	return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${TEXT} font-size="${size}" fill="${fill}" text-anchor="${anchor}">${escapeXml(content)}</text>`
}

function framed(
	height: number,
	title: string,
	note: string,
	series: readonly string[],
	drawn: readonly string[],
): string {
	let x = 12
	const legend = series.flatMap(name => {
		const at = x
		x += 26 + name.length * 7
		return [
			`<rect x="${at}" y="34" width="10" height="10" fill="${colourOf(name, series)}"/>`,
			text(at + 14, 43, name, { size: 11 }),
		]
	})
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" width="${WIDTH}" height="${Math.ceil(height)}" role="img" aria-label="${escapeXml(title)}">`,
		`<rect width="100%" height="100%" fill="#ffffff"/>`,
		text(12, 22, title, { size: 14 }),
		...legend,
		text(WIDTH - 12, 43, note, { anchor: 'end', size: 11, fill: FAINT }),
		...drawn,
		'</svg>',
	].join('\n')
}
