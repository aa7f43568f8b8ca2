/**
 * The peer that is a program in Go, where there is no Go, where it cannot be built, and where it is: by a shell script that is
 * called `go` and that makes another one, since what Go fetches is not to be had in tests.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { digestOf } from '../../bench/program-engine.ts'
import { casesOf, runBench } from '../support/bench-command.ts'

const INGEST = ['ingest', '--records', '200', '--codec', 'lz4', '--case', 'await each put, nobody merges']

describe('the benchmark beside a program in Go', () => {
	let folder = ''
	let cache = ''

	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), 'isledb-go-peer-test-'))
		cache = join(folder, 'cache')
		mkdirSync(join(folder, 'bin'))
		vi.stubEnv('PATH', join(folder, 'bin'))
		vi.stubEnv('GOROOT', '')
		vi.stubEnv('ISLEDB_GO_SOURCE', '')
		vi.stubEnv('XDG_CACHE_HOME', cache)
	})

	afterEach(() => {
		vi.unstubAllEnvs()
		rmSync(folder, { recursive: true })
	})

	/** A Go that does what these lines of shell say. */
	function plantGo(...lines: readonly string[]): void {
		const path = join(folder, 'bin/go')
		writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\n`)
		chmodSync(path, 0o755)
	}

	/** A Go that builds a program of these lines; its output is the word behind `-o`. */
	function plantGoThatBuilds(...lines: readonly string[]): void {
		writeFileSync(join(folder, 'program'), `#!/bin/sh\n${lines.join('\n')}\n`)
		plantGo('while [ "$1" != -o ]; do shift; done', `/bin/cp ${join(folder, 'program')} "$2" && /bin/chmod 755 "$2"`)
	}

	test('names it where there is no Go, and runs the others', async () => {
		const { report, output } = await runBench(...INGEST, '--engine', 'isledb,isledb-go')
		expect(casesOf(report)).toEqual(['isledb: lz4, await each put, nobody merges'])
		expect(report.missing).toEqual(['isledb-go does not run: there is no Go on the PATH, nor in GOROOT'])
		expect(output).toContain('isledb-go does not run')
	})

	test('says what Go says where it cannot be built, without what it says of its progress', async () => {
		plantGo(
			'echo "go: downloading example.org/a v1.2.3" >&2',
			'echo "go: example.org/b@v1.0.0: reading https://localhost:1/b.mod: 403 Forbidden" >&2',
			'echo "	server response: this module is not available" >&2',
			'exit 1',
		)
		await expect(runBench(...INGEST, '--engine', 'isledb-go')).rejects.toMatchObject({
			code: 2,
			stderr: expect.stringContaining(
				'no engine can run: isledb-go does not run: go build failed: go: example.org/b@v1.0.0: 403 Forbidden\n',
			),
		})
	})

	test('gives it the same records to make, and takes its figures', async () => {
		plantGoThatBuilds(
			`/bin/cat >>${join(folder, 'task')}`,
			'echo \'{"done":0.5}\'',
			'echo \'{"figures":{"putsPerSecond":7000,"cpuUsPerOperation":3}}\'',
		)
		const { report, output } = await runBench(...INGEST, '--engine', 'isledb-go', '--seed', '5')
		expect(output).toContain('\nbuilding isledb-go with Go, which takes minutes the first time\n')
		expect(casesOf(report)).toEqual(['isledb-go: snappy, await each put, nobody merges'])
		expect(report.results[0]?.medians).toEqual({ putsPerSecond: 7000, cpuUsPerOperation: 3 })
		expect(report.engines[0]?.version).toMatch(/^v\d/)
		const digest = digestOf({ seed: 5, valueBytes: 100, records: 200 })
		const task: unknown = JSON.parse(readFileSync(join(folder, 'task'), 'utf8'))
		expect(task).toMatchObject({ scenario: 'ingest', mode: 'put', isUnmaintained: true, compression: 'snappy', digest })
		expect(digest).not.toBe(digestOf({ seed: 6, valueBytes: 100, records: 200 }))
	})

	test('fails with the program, whatever that has told before', async () => {
		plantGoThatBuilds('echo \'{"figures":{"putsPerSecond":7000}}\'', 'echo "the rows are others" >&2', 'exit 1')
		await expect(runBench(...INGEST, '--engine', 'isledb-go')).rejects.toMatchObject({
			stderr: expect.stringContaining('the rows are others'),
		})
	})

	test('builds with the module in a folder where one is named', async () => {
		plantGoThatBuilds('echo \'{"figures":{"putsPerSecond":1}}\'')
		vi.stubEnv('ISLEDB_GO_SOURCE', join(folder, 'its source'))
		const { report } = await runBench(...INGEST, '--engine', 'isledb-go')
		expect(report.engines[0]?.version).toContain('ISLEDB_GO_SOURCE')
		const built = readFileSync(join(cache, 'isledb-bench/isledb-go/go.mod'), 'utf8')
		expect(built).toContain(`\nreplace github.com/ankur-anand/isledb => "${join(folder, 'its source')}"\n`)
	})
})
