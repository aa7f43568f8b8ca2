/**
 * What a directory holds after system calls of a real writer failed, or it died at one of them: strace makes them fail in the kernel's
 * place, so that nothing of ours, and nothing of Node.js, is passed by.
 *
 * Whatever fails when: what was acknowledged is there, batches are whole, and nothing is there that was not begun; the writer went on to
 * its end, or ended with an error that has a code; and the next one opens, writes and is read.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import { open, openReader } from '../../src/index.ts'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { testSeed } from '../support/seed.ts'
import { RENAMES, straced, whyNoStrace } from '../support/strace.ts'
import { judgeKilled, killedRun, readKilledLog } from './killed-writes.ts'

const WRITER = join(import.meta.dirname, 'fixtures/killed-writer.ts')
const seed = testSeed()
const scratch = scratchDirectories()
const noStrace = whyNoStrace()

interface Injection {
	/** With `N` in the place of the number of the call. */
	readonly what: string
	/** N is at least this: 3 where nothing else is said. */
	readonly atLeast?: number
	/** N is less than this: a run makes about 220 of fsync, 50 to 80 of the others, 15 to 50 of rename. */
	readonly below: number
	/** How it may end. */
	readonly ends: RegExp
}

const INJECTIONS: readonly Injection[] = [
	// Once: it is tried again; but for a stream, which only its caller has again, and for the fsync of a directory: what the kernel says
	// of the next one means nothing. The writer asks for its whole budget, half a minute, before it says so.
	{ what: 'fsync:error=EIO:when=N', below: 60, ends: /^(done|ISLE_INDETERMINATE|ISLE_UNAVAILABLE)$/ },
	{ what: 'link:error=EIO:when=N', below: 30, ends: /^(done|a stream that could not be stored)$/ },
	{ what: 'writev:error=EIO:when=N', below: 30, ends: /^(done|a stream that could not be stored)$/ },
	// What cannot be helped by trying again.
	{ what: 'writev:error=ENOSPC:when=N', below: 30, ends: /^ISLE_FULL$/ },
	{ what: 'fsync:error=ENOSPC:when=N+', below: 60, ends: /^ISLE_FULL$/ },
	{ what: 'link:error=ENOSPC:when=N+', below: 30, ends: /^ISLE_FULL$/ },
	// Names of files that are no objects any more. The third is that of the probe of the store, which must go: it is behind that.
	{ what: 'unlink:error=EIO:when=N+', atLeast: 4, below: 20, ends: /^done$/ },
	// Deaths.
	{ what: 'fsync:signal=SIGKILL:when=N', below: 100, ends: /^SIGKILL$/ },
	{ what: 'link:signal=SIGKILL:when=N', below: 40, ends: /^SIGKILL$/ },
	{ what: 'unlink:signal=SIGKILL:when=N', below: 40, ends: /^SIGKILL$/ },
	// What is written over, or uploaded before its commit.
	{ what: `${RENAMES}:error=EIO:when=N`, below: 10, ends: /^done$/ },
	{ what: `${RENAMES}:error=ENOSPC:when=N+`, below: 10, ends: /^ISLE_FULL$/ },
	{ what: `${RENAMES}:signal=SIGKILL:when=N`, below: 10, ends: /^SIGKILL$/ },
]

describe.skipIf(noStrace !== undefined)(`a writer whose system calls fail (TEST_SEED=${seed})`, () => {
	// Side by side: one of them may wait.
	// Renames are many where tables and large values lie apart: in every third run.
	const runOf = (what: string, i: number): number => (what.startsWith(RENAMES) ? 3 * i : i)
	test.concurrent.each(INJECTIONS.map((injection, i) => ({ ...injection, i: runOf(injection.what, i) })))(
		'$what',
		async ({ what, atLeast = 3, below, ends, i }) => {
			const random = seededRandom(seed + 7919 * i)
			random.next()
			const number = atLeast + Math.floor(random.next() * (below - atLeast))
			const url = pathToFileURL(scratch()).href
			await using program = startProgram(WRITER, [url, String(seed), String(i)], {
				shell: straced(what.replace('when=N', `when=${number}`)),
			})
			program.tell('go')
			const { stderr, signal } = await program.ended
			const log = readKilledLog(program.lines)
			const end = program.lines.includes('done') ? 'done' : (signal ?? errorIn(stderr))
			expect(end, `N=${number}: ${stderr.slice(0, 3000)}`).toMatch(ends)
			const found = await stateOf(url)
			const faults = judgeKilled(killedRun(seed, i), log, new Map(), found.lastSeq, found.rows)
			expect(faults, `N=${number}`).toEqual([])
			await using db = await open(url, { maintenance: false })
			await db.put('next', 'one', { durable: true })
			expect((await stateOf(url)).rows.get('next')).toBe('one')
		},
	)
})

/** Which one it was that nobody caught. */
function errorIn(stderr: string): string {
	if (/ISLE_UNAVAILABLE/.test(stderr) && /^IsleError: a stream could not be stored:/m.test(stderr)) {
		return 'a stream that could not be stored'
	}
	return /code: '(ISLE_[A-Z_]+)'/.exec(stderr)?.[1] ?? 'an end without a code'
}

async function stateOf(url: string): Promise<{ readonly lastSeq: number; readonly rows: Map<string, string> }> {
	await using reader = await openReader(url, { refreshIntervalMs: 0 })
	const rows = new Map<string, string>()
	for await (const [key, value] of reader.entries()) rows.set(key, value)
	return { lastSeq: reader.stats().lastSeq, rows }
}
