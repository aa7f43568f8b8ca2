/**
 * `npm run bench -- <scenario> [options]`: engines side by side on one workload, in one run.
 *
 * Steps: read the command line; find the engines (one whose package is missing, or that cannot write to the store, is named
 * and left out); run every case in a process of its own, in turn; show medians, ratios, and how they stand to the targets.
 * Figures are good for ratios within one run: absolute ones belong to the machine and the moment.
 *
 * `npm run bench -- all [names]` makes the full run of `full-run.ts` instead, and writes `RESULTS.md`.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArguments, USAGE, UsageError } from './arguments.ts'
import { namesIn } from './discover.ts'
import { fullRun } from './full-run.ts'
import { renderHtml } from './html-report.ts'
import { renderText } from './report.ts'
import { runScenario } from './run.ts'

async function main(argv: readonly string[]): Promise<void> {
	if (argv[0] === 'all') {
		await fullRun(argv.slice(1))
		return
	}
	const args = parseArguments(argv)
	if (args.directory !== undefined) mkdirSync(args.directory, { recursive: true })
	const report = await runScenario(args, line => console.log(line))
	console.log(`\n${renderText(report)}`)
	if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(report, null, '\t')}\n`)
	if (args.html !== undefined) writeFileSync(args.html, renderHtml([report]))
}

try {
	await main(process.argv.slice(2))
} catch (error) {
	if (!(error instanceof UsageError)) throw error
	console.error(`${error.message}\n\n${USAGE}\nscenarios: ${namesIn('scenarios').join(', ')}`)
	console.error(`engines: ${namesIn('engines').join(', ')}; stores: ${namesIn('stores').join(', ')}`)
	process.exitCode = 2
}
