/** A consumer's cursor in a file. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { fileCheckpoint } from '../../src/tail/file-checkpoint.ts'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { RENAMES, straced, whyNoStrace } from '../support/strace.ts'

const SAVER = join(import.meta.dirname, 'fixtures', 'cursor-saver.ts')
const scratch = scratchDirectories()
const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

describe('a checkpoint in a file', () => {
	test('keeps the cursor that was saved last, leaves nothing else behind, and refuses what is no cursor', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'isledb-checkpoint-'))
		try {
			const path = join(folder, 'consumer')
			const checkpoint = fileCheckpoint(path, seededRandom(1))
			expect(await checkpoint.load()).toBeUndefined()
			const later = encodeCursor({ kind: 'change', seq: 7, position: { epoch: 1, slot: 3 } })
			for (const cursor of [BEGINNING, later]) {
				await checkpoint.save(cursor)
				expect(await fileCheckpoint(path).load()).toBe(cursor)
			}
			expect(await readdir(folder)).toEqual(['consumer'])
			expect(await readFile(path, 'utf8')).toBe(`${later}\n`)
			await writeFile(path, later.slice(0, 10))
			expect(isIsleError(await checkpoint.load().catch((error: unknown) => error), 'ISLE_CORRUPT')).toBe(true)
			await expect(fileCheckpoint(join(folder, 'absent', 'consumer')).save(later)).rejects.toThrow('ENOENT')
			expect(() => fileCheckpoint('')).toThrow(TypeError)
		} finally {
			await rm(folder, { recursive: true })
		}
	})
})

describe.skipIf(whyNoStrace() !== undefined)('a checkpoint in a file whose renames, by strace,', () => {
	test('fail is refused, keeps the cursor before, and leaves nothing else behind', async () => {
		const folder = await mkdtemp(scratch())
		await using program = startProgram(SAVER, [join(folder, 'consumer')], {
			shell: straced(`${RENAMES}:error=EIO:when=8+`),
		})
		expect(await program.ended).toMatchObject({ code: 0, stderr: '' })
		const answers = Array.from({ length: 20 }, (_, i) => (i < 7 ? `saved ${i + 1}` : `refused EIO ${i + 1}`))
		expect(program.lines).toEqual(answers)
		expect(await seqIn(folder)).toBe(7)
		expect(await readdir(folder)).toEqual(['consumer'])
	})

	test('are where the consumer dies holds the cursor before, and the next one saves over it', async () => {
		const folder = await mkdtemp(scratch())
		await using program = startProgram(SAVER, [join(folder, 'consumer')], {
			shell: straced(`${RENAMES}:signal=SIGKILL:when=8`),
		})
		expect(await program.ended).toMatchObject({ signal: 'SIGKILL' })
		expect(program.lines.at(-1)).toBe('saved 7')
		// The call that kills is not made, or it is: both cursors are whole.
		expect([7, 8]).toContain(await seqIn(folder))
		await using next = startProgram(SAVER, [join(folder, 'consumer')])
		expect(await next.ended).toMatchObject({ code: 0, stderr: '' })
		expect(await seqIn(folder)).toBe(20)
	})
})

async function seqIn(folder: string): Promise<number | undefined> {
	const cursor = await fileCheckpoint(join(folder, 'consumer')).load()
	return cursor === undefined ? undefined : decodeCursor(cursor).seq
}
