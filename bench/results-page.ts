/** `RESULTS.md`: the last full run, with its charts in files beside it. */
import { type BenchReport, machineLine, planLine } from './bench-report.ts'
import { type ChartData, chartsOf } from './charts.ts'
import { median } from './statistics.ts'
import { renderSvg } from './svg.ts'
import { isFigureColumn, type TextTable, tablesOf } from './text-tables.ts'

export interface FullRunPart {
	readonly name: string
	/** What makes it. */
	readonly command: string
	readonly report: BenchReport
}

export interface ResultsPage {
	readonly page: string
	/** SVG by name of file. */
	readonly charts: Readonly<Record<string, string>>
}

/** Of one part; the rest of what could be drawn is in the page that the run makes. */
const CHARTS_MAX = 3
/** What was asked by kind is long, and in the page that the run makes. */
const LEFT_OUT = 'requests by kind'

/** `absent` are the names of parts that were not run. */
export function renderResults(parts: readonly FullRunPart[], absent: readonly string[] = []): ResultsPage {
	const charts: Record<string, string> = {}
	const sections = parts.map(part => {
		const drawn = chartsOf(part.report).slice(0, CHARTS_MAX)
		const images = drawn.map((chart, i) => {
			const file = `${part.name}-${i + 1}.svg`
			charts[file] = renderSvg(chart)
			return imageOf(chart, file)
		})
		return sectionOf(part, images)
	})
	return { page: `${[introduction(parts, absent), ...sections].join('\n\n')}\n`, charts }
}

function introduction(parts: readonly FullRunPart[], absent: readonly string[]): string {
	const machines = [...new Set(parts.map(({ report }) => machineLine(report.machine)))]
	const versions = new Map(parts.flatMap(({ report }) => report.engines.map(({ name, version }) => [name, version])))
	const dates = parts.map(({ report }) => report.machine.date).sort()
	const loads = parts.flatMap(({ report: { machine } }) => [machine.loadBefore, machine.loadAfter])
	const cores = Math.min(...parts.map(({ report }) => report.machine.cores))
	return [
		'# Results',
		'The last full run: `npm run bench -- all` makes it and writes this file. What figures mean, and how those of the engine stand to ' +
			'what was asked of it, is in [docs/performance.md](../docs/performance.md).',
		[
			`* **Machine**: ${machines.join('; ')}.`,
			`* **Versions**: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
			`* **When**: ${dates[0] ?? '–'} to ${dates.at(-1) ?? '–'} UTC, in pieces.`,
			`* **Not run**: ${absent.length === 0 ? 'nothing was left out' : absent.join(', ')}.`,
			`* **How quiet**: load averages of ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} when parts began and ended, said with each part. The benchmark's own load is one to three of these. What is beyond is other work, which takes processor, caches and disk from whatever runs just then: **compare within a table, never between tables**, and take absolute figures as lower bounds.`,
		].join('\n'),
		...crowdWarning(loads, cores),
		[
			'What the figures do not show:',
			'',
			'* Other machines: more cores, other disks, other kernels. Databases larger than memory: all files were in the page cache.',
			'* Networks: `ceph` and `azurite` are servers on the same two cores, behind a link that delays each byte; a real one has loss, ' +
				'handshakes and windows that grow first, and does not share its processor.',
			'* Long runs: minutes at the most, so that compaction of large databases, fragmentation of LMDB and caches that age are not in them.',
			'* Durability is not alike everywhere: see the notes of `ingest`. Peers that are local files have no object store to pay for.',
		].join('\n'),
	].join('\n\n')
}

/** Waiting processes for each core, from which on a run says more of its neighbours than of engines. */
const CROWDED = 2

function crowdWarning(loads: readonly number[], cores: number): string[] {
	const waiting = median(loads) / cores
	if (!(waiting > CROWDED)) return []
	return [
		`**This run is not a measurement of how fast anything is.** At the median ${waiting.toFixed(0)} processes wanted each core, so that an engine got about ` +
			'that part of one, in turns of milliseconds, and a disk that others fsynced to. Rates and delays are those of such a machine. ' +
			'It weighs most on engines that hand work from thread to thread, as isledb does with its workers, and slatedb with its own: each handover waits for a turn. ' +
			'The half second of processor that a process of isledb spends once, on starting threads and compiling, is a large part of measurements that are cut short. ' +
			'What can be used: processor time of an operation, counts of requests and bytes, and that everything ran. Earlier runs on quieter machines are in ' +
			'[docs/performance.md](../docs/performance.md).',
	]
}

function sectionOf({ name, command, report }: FullRunPart, images: readonly string[]): string {
	const { summary, machine, engines, missing, notes } = report
	const settings = engines.flatMap(({ name: engine, settings: all }) => all.map(line => `* ${engine}: ${line}`))
	return [
		`## ${name}`,
		`\`${command}\`: ${summary}. ${planLine(report.plan)}. Load ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after.`,
		[...settings, ...missing.map(line => `* ${line}`)].join('\n'),
		...images,
		...tablesOf(report)
			.filter(({ title }) => title !== LEFT_OUT)
			.map(tableMarkdown),
		notes.join('\n'),
	].join('\n\n')
}

function imageOf({ title }: ChartData, file: string): string {
	return `![${title}](charts/${file})`
}

function tableMarkdown(table: TextTable): string {
	const line = (cells: readonly string[]): string => `| ${cells.map(text => text.replaceAll('|', '\\|')).join(' | ')} |`
	const rule = table.header.map((_, i) => (isFigureColumn(table, i) ? '---:' : '---'))
	return [`**${table.title}**`, '', line(table.header), line(rule), ...table.rows.map(line)].join('\n')
}
