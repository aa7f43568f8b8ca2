/**
 * A consumer's cursor in a file, for consumers on one machine.
 *
 * A save writes a new file beside the old one, syncs it and renames it over: whoever loads sees the old cursor or the new
 * one, whole. A crash may leave a `.tmp` file behind; the next save of the same path starts a fresh one.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { corrupt } from '../errors.ts'
import { type Random, systemRandom } from '../host/random.ts'
import type { CheckpointStore } from './consume.ts'
import { decodeCursor } from './cursor.ts'

/** @throws ISLE_CORRUPT from `load` when the file holds something else than a cursor; what `node:fs` throws. */
export function fileCheckpoint(path: string, random: Random = systemRandom): CheckpointStore {
	if (typeof path !== 'string' || path === '') throw new TypeError('Expected `path` to be the name of a file')
	return {
		async load() {
			const text = await readText(path)
			if (text === undefined) return undefined
			try {
				decodeCursor(text)
			} catch (error) {
				throw corrupt(path, 'not a cursor', error)
			}
			return text
		},
		async save(cursor) {
			const temporary = `${path}.${Buffer.from(random.bytes(6)).toString('hex')}.tmp`
			try {
				await writeDurably(temporary, cursor)
				await rename(temporary, path)
			} catch (error) {
				await rm(temporary, { force: true })
				throw error
			}
			await syncDirectory(dirname(path))
		},
	}
}

async function readText(path: string): Promise<string | undefined> {
	try {
		return (await readFile(path, 'utf8')).trim()
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
		throw error
	}
}

async function writeDurably(path: string, text: string): Promise<void> {
	const file = await open(path, 'wx')
	try {
		await file.writeFile(`${text}\n`)
		await file.sync()
	} finally {
		await file.close()
	}
}

/** The rename itself is durable once the directory is; Windows has no such thing. */
async function syncDirectory(path: string): Promise<void> {
	if (process.platform === 'win32') return
	const directory = await open(path, 'r')
	try {
		await directory.sync()
	} finally {
		await directory.close()
	}
}
