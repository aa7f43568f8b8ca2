/**
 * The directory of a disk cache: whose it is, and how it is laid out.
 *
 *     <directory>/isledb-cache            marker: this directory belongs to caches of IsleDB
 *     <directory>/isledb-v1/ab/<name>     files of the cache; ab are the first two digits of the name
 *     <directory>/isledb-v1/tmp/<name>    files that are being written
 *
 * Invariant: nothing is ever written to, and nothing removed from, a directory that holds anything else. One without the
 * marker is taken only when it is empty, or holds nothing but what a cache makes (its marker was deleted first).
 */
import { lstat, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SHARD_NAME, TEMP_DIRECTORY } from '../../workers/sweep-cache.ts'
import { IsleError } from '../errors.ts'
import { errnoOf } from '../object-store/file-errors.ts'

const MARKER_NAME = 'isledb-cache'
const MARKER = `isledb disk cache
What lies beneath isledb-v1 can be fetched again: it may be deleted at any time, also while it is in use.
`
const ROOT_NAME = 'isledb-v1'
/** More is no marker. */
const MARKER_MAX_BYTES = 1_024

/** Where in `directory` the files lie. */
export function cacheRoot(directory: string): string {
	return join(directory, ROOT_NAME)
}

/**
 * Makes `directory` ready, if need be. Safe to call in several processes at once.
 *
 * @throws ISLE_FOREIGN_PREFIX when it holds something else; errors with an errno when the file system refuses.
 */
export async function prepareCacheDirectory(directory: string): Promise<void> {
	try {
		await makeDirectories(directory)
	} catch (error) {
		const errno = errnoOf(error)
		if (errno === 'EEXIST' || errno === 'ENOTDIR') throw foreign(directory, 'it is no directory', error)
		throw error
	}
	const root = cacheRoot(directory)
	if (!(await hasMarker(directory))) {
		await refuseForeign(directory, root)
		await orExists(writeFile(join(directory, MARKER_NAME), MARKER, { flag: 'wx' }))
	}
	await orExists(mkdir(root))
	if (!(await lstat(root)).isDirectory()) throw foreign(directory, `${ROOT_NAME} in it is no directory`)
	await orExists(mkdir(join(root, TEMP_DIRECTORY)))
}

/**
 * Not `mkdir` with `recursive`: that never ends where the parent is there and says ENOENT all the same, as `/proc` does
 * (seen in Node 24).
 */
async function makeDirectories(directory: string): Promise<void> {
	try {
		await mkdir(directory)
	} catch (error) {
		const parent = dirname(directory)
		const errno = errnoOf(error)
		if (errno === 'EEXIST' && (await stat(directory)).isDirectory()) return
		if (errno !== 'ENOENT' || parent === directory) throw error
		await makeDirectories(parent)
		await orExists(mkdir(directory))
	}
}

/** A marker of which a crash has left a part, or zeros in its place, is one too, and so is one that is being written. */
async function hasMarker(directory: string): Promise<boolean> {
	let text: string
	try {
		text = await readFile(join(directory, MARKER_NAME), 'utf8')
	} catch (error) {
		if (errnoOf(error) === 'ENOENT') return false
		throw error
	}
	if (text.length > MARKER_MAX_BYTES || !MARKER.startsWith(text.replace(/\0+$/, ''))) {
		throw foreign(directory, `${MARKER_NAME} in it is not the marker of a cache`)
	}
	return true
}

async function refuseForeign(directory: string, root: string): Promise<void> {
	const others = (await readdir(directory)).filter(name => name !== MARKER_NAME)
	if (others.length === 0) return
	const isOnlyRoot = others.length === 1 && others[0] === ROOT_NAME && (await lstat(root)).isDirectory()
	if (!isOnlyRoot) throw foreign(directory, `it holds \`${others[0]}\``)
	const strange = (await readdir(root)).find(name => name !== TEMP_DIRECTORY && !SHARD_NAME.test(name))
	if (strange !== undefined) throw foreign(directory, `it holds \`${ROOT_NAME}/${strange}\``)
}

async function orExists(making: Promise<unknown>): Promise<void> {
	try {
		await making
	} catch (error) {
		if (errnoOf(error) !== 'EEXIST') throw error
	}
}

function foreign(directory: string, why: string, cause?: unknown): IsleError {
	return new IsleError(
		'ISLE_FOREIGN_PREFIX',
		`\`cacheDir\` is neither empty nor a cache, use a directory of its own: ${why}: cacheDir=\`${directory}\``,
		{ cause, details: { key: directory } },
	)
}
