/**
 * Job: finds out how much a disk cache holds, and removes what was used least recently until it is within its bound.
 *
 * Steps: files that were used are marked; temporary files of dead processes go; every file of the cache is counted; when
 * there is too much, the oldest go first. Names that the cache does not make are neither counted nor touched, and links
 * are not followed. Other processes may remove the same files at the same time: what has vanished is as good as removed.
 */
import fs from 'node:fs'
import { diskBytesOf, errnoOf, markUsed } from './fill-cache.ts'
import type { JobResult } from './jobs.ts'

export interface SweepCacheInput {
	readonly root: string
	/** Paths beneath `root` of files that were read since the last job. */
	readonly used: readonly string[]
	readonly nowMs: number
	readonly maxBytes: number
	/** What is to be written next, and must have room. */
	readonly needBytes: number
	/** Names the machine whose process ids mean something here, as in the names of temporary files. */
	readonly machine: string
}

export interface SweepCacheOutput {
	/** What is left, in whole pages. */
	readonly bytes: number
	readonly files: number
	readonly filesEvicted: number
	readonly bytesEvicted: number
	readonly tempsRemoved: number
}

export const SHARD_NAME: RegExp = /^[0-9a-f]{2}$/
export const TEMP_DIRECTORY = 'tmp'
const FILE_NAME = /^[0-9a-f]{32}-\d{1,10}$/
const TEMP_NAME = /^t-([0-9a-f]{8}|any)-([1-9]\d{0,9})-[0-9a-f]{24}-\d+$/
/** 24 hours: longer than a process is ever stopped and goes on. */
const STALE_TEMP_MS = 86_400_000
/** 2^20 files, 4 GiB of the smallest: what is found beyond is removed, so that a sweep has an end. */
const MAX_FILES = 1_048_576
/** Removing begins when less than a 16th of the bound is free, and ends when an 8th is. */
const FULL_DIVISOR = 16
const ROOMY_DIVISOR = 8

interface SweptFile {
	readonly path: string
	readonly bytes: number
	readonly usedMs: number
}

export function sweepCacheJob(input: SweepCacheInput): JobResult<SweepCacheOutput> {
	const { root, maxBytes, needBytes } = input
	markUsed(root, input.used, input.nowMs, fs)
	const tempsRemoved = removeTemps(input)
	const files: SweptFile[] = []
	let bytes = 0
	let filesEvicted = 0
	let bytesEvicted = 0
	for (const shard of directoryOf(root)) {
		if (!SHARD_NAME.test(shard.name) || !shard.isDirectory()) continue
		for (const entry of directoryOf(`${root}/${shard.name}`)) {
			if (!FILE_NAME.test(entry.name) || !entry.isFile()) continue
			const path = `${root}/${shard.name}/${entry.name}`
			if (files.length >= MAX_FILES) {
				if (remove(path)) filesEvicted++
				continue
			}
			const file = statusOf(path)
			if (file === undefined) continue
			files.push(file)
			bytes += file.bytes
		}
	}
	let count = files.length
	if (bytes + needBytes > maxBytes - maxBytes / FULL_DIVISOR) {
		files.sort((a, b) => a.usedMs - b.usedMs)
		for (const file of files) {
			if (bytes + needBytes <= maxBytes - maxBytes / ROOMY_DIVISOR) break
			if (!remove(file.path)) continue
			bytes -= file.bytes
			count--
			filesEvicted++
			bytesEvicted += file.bytes
		}
	}
	return { output: { bytes, files: count, filesEvicted, bytesEvicted, tempsRemoved }, transfer: [] }
}

function directoryOf(path: string): fs.Dirent[] {
	try {
		return fs.readdirSync(path, { withFileTypes: true })
	} catch (error) {
		if (errnoOf(error) === 'ENOENT') return []
		throw error
	}
}

function statusOf(path: string): SweptFile | undefined {
	const status = fs.lstatSync(path, { throwIfNoEntry: false })
	if (status === undefined) return undefined
	return { path, bytes: diskBytesOf(status.size), usedMs: status.mtimeMs }
}

/** False when it is still there. */
function remove(path: string): boolean {
	try {
		fs.unlinkSync(path)
		return true
	} catch (error) {
		return errnoOf(error) === 'ENOENT'
	}
}

function removeTemps({ root, machine, nowMs }: SweepCacheInput): number {
	let removed = 0
	for (const { name } of directoryOf(`${root}/${TEMP_DIRECTORY}`)) {
		const [, madeBy, pid] = TEMP_NAME.exec(name) ?? []
		if (madeBy === undefined || Number(pid) === process.pid) continue
		const path = `${root}/${TEMP_DIRECTORY}/${name}`
		const isOrphan = madeBy === machine && machine !== 'any' && !isAlive(Number(pid))
		const file = isOrphan ? undefined : statusOf(path)
		if (file !== undefined && file.usedMs > nowMs - STALE_TEMP_MS) continue
		if (remove(path)) removed++
	}
	return removed
}

/** Signal 0 asks whether the process is there; EPERM says that it is, and another user's. */
function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
		return true
	} catch (error) {
		return errnoOf(error) !== 'ESRCH'
	}
}
