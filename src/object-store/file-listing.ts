/**
 * Listing a directory tree as a bucket lists its keys: in ascending byte order, from a prefix and a start.
 *
 * A directory `d` stands for keys that begin with `d/`, and it sorts as that: `a-` comes before `a/x` although `a`
 * comes before `a-`. With names ordered so, walking the tree depth first meets the keys in order, and the walk can stop
 * at the page's end. A directory is not read when no key beneath it can match; the first one read is the deepest that
 * the prefix names.
 *
 * Symbolic links, and names that no key can have, are not the store's: they are passed over. So is a file that goes
 * away between its directory and its turn.
 */
import type { Dirent } from 'node:fs'
import type { FileCalls } from './file-calls.ts'
import { errnoOf } from './file-errors.ts'
import type { ListQuery } from './list-query.ts'
import { compareKeys, isKeySegment } from './object-key.ts'
import type { ListPage, ObjectInfo } from './object-store.ts'

/** Files that are asked for size and time at once: as many as libuv has threads, twice. */
const STATUS_BATCH = 8

export interface Listing {
	readonly calls: FileCalls
	readonly root: string
	/** Throws when the call is over. */
	readonly throwIfOver: () => void
}

/** Undefined when not even the first directory is there. */
export async function listFiles(listing: Listing, query: ListQuery): Promise<ListPage> {
	const keys: string[] = []
	// One more than the page holds tells whether it is truncated; vanished files are made up for by walking on.
	const objects: ObjectInfo[] = []
	let startAfter = query.startAfter
	for (;;) {
		keys.length = 0
		const wanted = query.limit + 1 - objects.length
		const first = query.prefix.slice(0, query.prefix.lastIndexOf('/') + 1)
		await collectKeys(listing, first, { ...query, startAfter }, wanted, keys)
		await appendInfos(listing, keys, objects)
		const last = keys.at(-1)
		if (objects.length > query.limit) return { objects: objects.slice(0, query.limit), isTruncated: true }
		if (last === undefined || keys.length < wanted) return { objects, isTruncated: false }
		startAfter = last
	}
}

/** Appends the matching keys beneath `directory` ('' or ending in `/`) in order until there are `wanted`. */
async function collectKeys(
	listing: Listing,
	directory: string,
	query: ListQuery,
	wanted: number,
	keys: string[],
): Promise<void> {
	listing.throwIfOver()
	for (const entry of await orderedEntries(listing, directory)) {
		if (keys.length >= wanted) return
		if (entry.endsWith('/')) {
			if (canHoldMatches(entry, query)) await collectKeys(listing, entry, query, wanted, keys)
		} else if (entry.startsWith(query.prefix) && compareKeys(entry, query.startAfter) > 0) {
			keys.push(entry)
		}
	}
}

/** Whether a key that begins with `directory` can match. */
function canHoldMatches(directory: string, query: ListQuery): boolean {
	if (!directory.startsWith(query.prefix) && !query.prefix.startsWith(directory)) return false
	return query.startAfter.startsWith(directory) || compareKeys(directory, query.startAfter) > 0
}

/** The files (as keys) and directories (ending in `/`) of one directory, in the order of the keys beneath them. */
async function orderedEntries(listing: Listing, directory: string): Promise<string[]> {
	let entries: Dirent[]
	try {
		entries = await listing.calls.readDirectory(`${listing.root}/${directory}`)
	} catch (error) {
		const errno = errnoOf(error)
		if (errno === 'ENOENT' || errno === 'ENOTDIR') return []
		throw error
	}
	const names: string[] = []
	for (const entry of entries) {
		if (!isKeySegment(entry.name)) continue
		if (entry.isFile()) names.push(directory + entry.name)
		else if (entry.isDirectory()) names.push(`${directory}${entry.name}/`)
	}
	return names.sort(compareKeys)
}

async function appendInfos(listing: Listing, keys: readonly string[], objects: ObjectInfo[]): Promise<void> {
	for (let i = 0; i < keys.length; i += STATUS_BATCH) {
		listing.throwIfOver()
		const infos = await Promise.all(keys.slice(i, i + STATUS_BATCH).map(key => infoOf(listing, key)))
		for (const info of infos) if (info !== undefined) objects.push(info)
	}
}

async function infoOf(listing: Listing, key: string): Promise<ObjectInfo | undefined> {
	try {
		const status = await listing.calls.status(`${listing.root}/${key}`)
		if (!status.isFile) return undefined
		return { key, bytes: status.bytes, lastModifiedMs: status.modifiedMs }
	} catch (error) {
		const errno = errnoOf(error)
		if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
		throw error
	}
}
