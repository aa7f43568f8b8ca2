/** What .ci/run counts: a test that did not run, or a file that did not load, never looks like success. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { type RunResult, run } from './markdown-blocks.ts'

const COUNTER = join(import.meta.dirname, '../../.ci/count-tests.mjs')

interface ReportedFile {
	readonly status: string
	readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
}

/** Counts a report about `reported` in a tree in which the files of `present` exist. */
async function count(present: readonly string[], reported: Readonly<Record<string, ReportedFile>>): Promise<RunResult> {
	const root = mkdtempSync(join(tmpdir(), 'isledb-count-'))
	try {
		for (const path of present) {
			mkdirSync(dirname(join(root, path)), { recursive: true })
			writeFileSync(join(root, path), '')
		}
		const testResults = Object.entries(reported).map(([path, file]) => ({ name: join(root, path), ...file }))
		writeFileSync(join(root, 'report.json'), JSON.stringify({ testResults }))
		return await run(process.execPath, [COUNTER, 'report.json'], { cwd: root, maxMs: 20_000 })
	} finally {
		rmSync(root, { recursive: true })
	}
}

const file = (status: string, ...results: string[]): ReportedFile => ({
	status,
	assertionResults: results.map((result, index) => ({ status: result, fullName: `test ${index}` })),
})

test('passed, failed and skipped tests are counted over all files', async () => {
	const { exitCode, stdout, stderr } = await count(['test/a.test.ts', 'test/b/c.test.ts', 'test/b/support.ts'], {
		'test/a.test.ts': file('failed', 'passed', 'failed', 'passed'),
		'test/b/c.test.ts': file('passed', 'passed', 'skipped', 'todo'),
	})
	expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '3 1 2\n' })
	expect(stderr).toContain('skipped: test/b/c.test.ts: test 1')
})

test('a file that failed as a whole is one failure', async () => {
	const { stdout, stderr } = await count(['test/a.test.ts'], { 'test/a.test.ts': file('failed') })
	expect(stdout).toBe('0 1 0\n')
	expect(stderr).toContain('test/a.test.ts failed as a whole')
})

test('a test file without a report, no test files, and no report end it with an error', async () => {
	const unreported = await count(['test/a.test.ts', 'test/b.test.ts'], { 'test/a.test.ts': file('passed', 'passed') })
	expect(unreported).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('test/b.test.ts') })
	expect(await count(['test/support.ts'], {})).toMatchObject({ exitCode: 1, stdout: '' })
	const none = await run(process.execPath, [COUNTER, 'nothing.json'], { cwd: tmpdir(), maxMs: 20_000 })
	expect(none).toMatchObject({ exitCode: 1, stdout: '' })
})
