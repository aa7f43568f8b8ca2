/** A consumer's cursor in a file. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { fileCheckpoint } from '../../src/tail/file-checkpoint.ts'

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
