/**
 * Job: writes files of the disk cache, and notes which ones were used.
 *
 * Steps, for each file: read what is there already; join its sound parts with the new ones; write a temporary file beside
 * it and rename that over it. A file whose parts are all there is left alone. Whatever another process does to the same
 * file meanwhile, one of the two wins whole; what the other one knew is fetched again some day.
 *
 * Nothing is fsynced: after a power cut a file may be empty or garbage, which its checksums show. What fails ends the
 * job: the rest would most likely fail alike. The time of last change of a file says when it was last used.
 */
import fs from 'node:fs'
import {
	type CacheFileName,
	type CachePart,
	cacheFileOverheadBytes,
	decodeCacheFile,
	encodeCacheFile,
	isSoundPart,
} from './cache-file.ts'
import type { JobResult } from './jobs.ts'

/** A part that lies in one of the buffers of the job. */
export interface FillPart {
	readonly index: number
	/** In the table. */
	readonly offset: number
	/** Which of `buffers`, and where in it. */
	readonly buffer: number
	readonly start: number
	readonly bytes: number
}

export interface FillFile extends CacheFileName {
	/** Beneath `root`: `ab/abcd…-0`. */
	readonly path: string
	readonly parts: readonly FillPart[]
}

export interface FillCacheInput {
	/** Directory of the files; made by the caller, never here. */
	readonly root: string
	/** A name that no other temporary file has, beneath `root`; a number is added to it. */
	readonly tempPath: string
	/** Paths beneath `root` of files that were read since the last job. */
	readonly used: readonly string[]
	readonly nowMs: number
	readonly files: readonly FillFile[]
	/** Owned by the job. */
	readonly buffers: readonly ArrayBuffer[]
}

export interface FillCacheOutput {
	/** By which the files on disk grew, in whole pages. */
	readonly grownBytes: number
	readonly filesWritten: number
	/** Files that were there and not whole; replaced. */
	readonly filesDamaged: number
	/** What ended the job early. */
	readonly failure: { readonly errno: string; readonly message: string } | undefined
}

/** The calls that the job makes, so that a test can put any errno behind any of them. */
export type CacheFileCalls = Pick<
	typeof fs,
	| 'readFileSync'
	| 'openSync'
	| 'writevSync'
	| 'futimesSync'
	| 'closeSync'
	| 'renameSync'
	| 'unlinkSync'
	| 'mkdirSync'
	| 'utimesSync'
>

/** A page: what a file takes on disk is a multiple of it. */
const PAGE_BYTES = 4_096

/** What a file of `bytes` takes on disk. */
export function diskBytesOf(bytes: number): number {
	return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

/** Most that writing a file of `parts` can add to the disk. */
export function fillCostBytes(partCount: number, partBytes: number): number {
	return diskBytesOf(cacheFileOverheadBytes(partCount) + partBytes) + PAGE_BYTES
}

export function fillCacheJob(input: FillCacheInput, calls: CacheFileCalls = fs): JobResult<FillCacheOutput> {
	const { root, used, nowMs, files } = input
	markUsed(root, used, nowMs, calls)
	let grownBytes = 0
	let filesWritten = 0
	let filesDamaged = 0
	let failure: FillCacheOutput['failure']
	try {
		for (const [i, file] of files.entries()) {
			const parts = file.parts.map(({ index, offset, buffer, start, bytes }) => ({
				index,
				offset,
				bytes: new Uint8Array(input.buffers[buffer] as ArrayBuffer, start, bytes),
			}))
			const path = `${root}/${file.path}`
			const present = readPresent(path, file, calls)
			if (present === undefined) continue
			if (present.isDamaged) filesDamaged++
			const joined = joinParts(present.parts, parts)
			if (joined === undefined) continue
			const written = writeWhole(path, `${root}/${input.tempPath}${i}`, encodeCacheFile(file, joined), nowMs, calls)
			grownBytes += diskBytesOf(written) - diskBytesOf(present.bytes)
			filesWritten++
		}
	} catch (error) {
		failure = { errno: errnoOf(error) ?? 'EUNKNOWN', message: String(error) }
	}
	return { output: { grownBytes, filesWritten, filesDamaged, failure }, transfer: [] }
}

/** Says of files that they were used just now. One that is gone, or cannot be marked, is only evicted the sooner. */
export function markUsed(
	root: string,
	used: readonly string[],
	nowMs: number,
	calls: Pick<typeof fs, 'utimesSync'>,
): void {
	for (const path of used) {
		try {
			calls.utimesSync(`${root}/${path}`, nowMs / 1000, nowMs / 1000)
		} catch (error) {
			if (errnoOf(error) === undefined) throw error
		}
	}
}

interface PresentFile {
	readonly parts: readonly CachePart[]
	readonly bytes: number
	readonly isDamaged: boolean
}

const NO_FILE: PresentFile = { parts: [], bytes: 0, isDamaged: false }
const READ = fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0)

/** Undefined where somebody has put a directory: nothing can be kept there. */
function readPresent(path: string, name: CacheFileName, calls: CacheFileCalls): PresentFile | undefined {
	let file: Uint8Array
	try {
		const fd = calls.openSync(path, READ)
		try {
			file = calls.readFileSync(fd)
		} finally {
			calls.closeSync(fd)
		}
	} catch (error) {
		const errno = errnoOf(error)
		// ELOOP: a link, which is replaced and not followed.
		if (errno === 'ENOENT' || errno === 'ELOOP') return NO_FILE
		if (errno === 'EISDIR') return undefined
		throw error
	}
	const parts = decodeCacheFile(file, name)
	const sound = parts?.filter(isSoundPart) ?? []
	return { parts: sound, bytes: file.length, isDamaged: sound.length !== (parts?.length ?? -1) }
}

/** All parts by index, or undefined when `present` has those of `added` already. */
function joinParts(present: readonly CachePart[], added: readonly CachePart[]): CachePart[] | undefined {
	const byIndex = new Map(present.map(part => [part.index, part]))
	const isNews = added.some(part => !byIndex.has(part.index))
	if (!isNews) return undefined
	for (const part of added) byIndex.set(part.index, part)
	return [...byIndex.values()].sort((a, b) => a.index - b.index)
}

/** Answers the bytes written. */
function writeWhole(
	path: string,
	tempPath: string,
	pieces: readonly Uint8Array[],
	nowMs: number,
	calls: CacheFileCalls,
): number {
	const fd = calls.openSync(tempPath, 'wx', 0o666)
	try {
		let total: number
		try {
			total = writeAll(fd, pieces, calls)
			calls.futimesSync(fd, nowMs / 1000, nowMs / 1000)
		} finally {
			calls.closeSync(fd)
		}
		renameInto(tempPath, path, calls)
		return total
	} catch (error) {
		try {
			calls.unlinkSync(tempPath)
		} catch {
			// The sweep takes it once this process is gone.
		}
		throw error
	}
}

function writeAll(fd: number, pieces: readonly Uint8Array[], calls: CacheFileCalls): number {
	let left = pieces
	let total = 0
	while (left.length > 0) {
		let written = calls.writevSync(fd, left)
		total += written
		const rest: Uint8Array[] = []
		for (const piece of left) {
			if (written < piece.length) rest.push(piece.subarray(written))
			written = Math.max(0, written - piece.length)
		}
		left = rest
	}
	return total
}

/** The directory of the file is made when it is missing; the one above it is not: then the cache has gone. */
function renameInto(tempPath: string, path: string, calls: CacheFileCalls): void {
	try {
		calls.renameSync(tempPath, path)
	} catch (error) {
		if (errnoOf(error) !== 'ENOENT') throw error
		try {
			calls.mkdirSync(path.slice(0, path.lastIndexOf('/')))
		} catch (cause) {
			if (errnoOf(cause) !== 'EEXIST') throw cause
		}
		calls.renameSync(tempPath, path)
	}
}

export function errnoOf(error: unknown): string | undefined {
	return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
