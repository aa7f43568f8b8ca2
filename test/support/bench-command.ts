/** The benchmark as the command line runs it, in a folder of its own, for tests. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchReport } from '../../bench/bench-report.ts'

const ENTRY = join(import.meta.dirname, '../../bench/bench.ts')

export interface BenchRun {
	readonly report: BenchReport
	/** What the terminal showed. */
	readonly output: string
	readonly page: string
	/** What was left where databases are made. */
	readonly leftOver: readonly string[]
}

/** Rejects as `execFile` does when the command fails. */
export async function runBench(...words: readonly string[]): Promise<BenchRun> {
	const directory = mkdtempSync(join(tmpdir(), 'isledb-bench-test-'))
	const [json, html, work] = ['report.json', 'report.html', 'work'].map(name => join(directory, name))
	try {
		const files = ['--json', json ?? '', '--html', html ?? '', '--directory', work ?? '']
		const { stdout } = await promisify(execFile)(process.execPath, [ENTRY, ...words, ...files])
		return {
			report: JSON.parse(readFileSync(json ?? '', 'utf8')),
			output: stdout,
			page: readFileSync(html ?? '', 'utf8'),
			leftOver: readdirSync(work ?? ''),
		}
	} finally {
		rmSync(directory, { recursive: true })
	}
}

export function casesOf({ results }: BenchReport): string[] {
	return results.map(({ engine, label }) => `${engine}: ${label}`)
}
