/** Renames of cache files that fail, or at which a process dies, by strace: reads go on, and no row is ever wrong. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Program, startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { RENAMES, straced, whyNoStrace } from '../support/strace.ts'
import { cacheFiles, filesBeneath } from './disk-rig.ts'

const READER = join(import.meta.dirname, 'fixtures', 'cache-reader.ts')
const scratch = scratchDirectories()

interface Counts {
	readonly hits: number
	readonly filesWritten: number
	readonly lastError: string
}

describe.skipIf(whyNoStrace() !== undefined)('a cache whose renames', () => {
	test.concurrent('fail now and then: it keeps what it can, and gives no wrong row', async () => {
		const directory = join(scratch(), 'cache')
		await using reader = startReader(directory, `${RENAMES}:error=EIO:when=2+3`)
		const { lastError } = await countsOf(reader, ['write', 'failure'])
		expect(lastError).toContain('EIO')
		expect(cacheFiles(directory).length).toBeGreaterThan(0)
		expect(leftBeneath(directory)).toEqual([])
	})

	test.concurrent('never work: it keeps nothing, leaves nothing behind, and gives no wrong row', async () => {
		const directory = join(scratch(), 'cache')
		await using reader = startReader(directory, `${RENAMES}:error=ENOSPC:when=1+`)
		const { hits, filesWritten, lastError } = await countsOf(reader, ['failure'])
		expect(lastError).toContain('ENOSPC')
		expect({ hits, filesWritten }).toEqual({ hits: 0, filesWritten: 0 })
		expect(cacheFiles(directory)).toEqual([])
		expect(leftBeneath(directory)).toEqual([])
	})

	test.concurrent('are where a process dies: others read on, and what it left is taken away', async () => {
		const directory = join(scratch(), 'cache')
		await using witness = startReader(directory)
		await using victim = startReader(directory, `${RENAMES}:signal=SIGKILL:when=2`)
		expect(await victim.ended).toMatchObject({ signal: 'SIGKILL' })
		await countsOf(witness, ['hit'])
		// A process sweeps before it writes for the first time.
		await using next = startReader(directory)
		await countsOf(next, ['hit', 'write'])
		expect(leftBeneath(directory)).toEqual([])
	})
})

function startReader(directory: string, injection?: string): Program {
	return startProgram(READER, [directory, '31'], injection === undefined ? {} : { shell: straced(injection) })
}

/** What the cache has counted when all of that has been met, and sixty rounds later every row was right. */
async function countsOf(reader: Program, what: readonly ('hit' | 'write' | 'failure')[]): Promise<Counts> {
	for (const one of what) await reader.line(`met ${one}`)
	reader.tell('enough')
	expect(await reader.ended).toMatchObject({ code: 0, stderr: '' })
	expect(reader.lines.filter(line => line.startsWith('wrong'))).toEqual([])
	// As the reader prints it.
	return JSON.parse((await reader.line('counts')).slice('counts '.length)) as Counts
}

/** Files that are not whole yet, and never will be. */
function leftBeneath(directory: string): string[] {
	return filesBeneath(directory)
		.map(({ path }) => path)
		.filter(path => path.includes('/tmp/t-'))
}
