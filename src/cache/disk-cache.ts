/**
 * A cache on disk: bounded in bytes, shared by any number of processes, and never a reason for a read to fail.
 *
 * Steps of a read: the file of what is wanted is read; its header, its name and the checksums of the wanted parts are
 * checked. What is not sound is deleted, and is as good as absent. What was fetched instead is written later, by jobs in
 * the pool (disk-filler.ts).
 *
 * Invariants: no call here rejects; a disk that fails is left alone with growing pauses, for reading and for writing
 * separately. Alone, a process never takes the cache over `maxBytes`; each further one may exceed it by a 32nd until it
 * sweeps next.
 */
import {
	type CachedPart,
	type CacheFileName,
	type CachePart,
	cacheFilePath,
	decodeCacheFile,
	isSoundPart,
} from '../../workers/cache-file.ts'
import type { Host } from '../host/host.ts'
import { type FileCalls, systemFileCalls } from '../object-store/file-calls.ts'
import { errnoOf } from '../object-store/file-errors.ts'
import { QuickReads } from '../object-store/quick-reads.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { DiskBreaker } from './disk-breaker.ts'
import { DiskFiller } from './disk-filler.ts'

export const DEFAULT_CACHE_DIR_MAX_BYTES: number = 1_073_741_824
/** 1 MiB: less would not hold a handful of files. */
export const MIN_CACHE_DIR_MAX_BYTES = 1_048_576

/** For files of blocks: 64 KiB, the rest of the last block, and the header. */
const SCRATCH_BYTES = 131_072
/** Turns of the event loop that a read waits for its share of this thread, before it goes to the thread pool. */
const MAX_TURNS = 8
/** A disk that does not answer a read for so long has failed. */
const READ_DEADLINE_MS = 2_000
export interface DiskCacheOptions {
	/** Made when it is missing. */
	readonly directory: string
	/** Bound of all files in it. Default 1 GiB. */
	readonly maxBytes?: number | undefined
	readonly pool: JobPool
	readonly host: Host
	/** For tests. */
	readonly calls?: FileCalls | undefined
}

/** Counts of this process; other processes have their own. */
export interface DiskCacheStats {
	/** Reads of parts that were found, and their bytes. */
	readonly hits: number
	readonly hitBytes: number
	readonly misses: number
	readonly filesWritten: number
	readonly filesEvicted: number
	/** Files that were not what had been written; they were removed or replaced. */
	readonly filesDamaged: number
	/** What was not written because the disk failed or too much waited. */
	readonly fillsDropped: number
	/** Failures of the disk (full, read-only, gone), and the last of them. None of them failed a read. */
	readonly failures: number
	readonly lastError: unknown
	/** In the directory, by the last count and what was written here since. */
	readonly bytes: number
	readonly maxBytes: number
}

/** @throws ISLE_FOREIGN_PREFIX when `directory` holds something else. A disk that refuses is no error: see `DiskCacheStats`. */
export async function openDiskCache(options: DiskCacheOptions): Promise<DiskCache> {
	const maxBytes = options.maxBytes ?? DEFAULT_CACHE_DIR_MAX_BYTES
	const filler = new DiskFiller(options.directory, maxBytes, options.pool, options.host)
	await filler.prepare()
	const calls = options.calls ?? systemFileCalls
	// One that is not there, or does not say, is read through the thread pool.
	const isLocal = await calls.isLocal(filler.root).catch(() => false)
	return new DiskCache(filler, calls, options.host, isLocal)
}

/** Indexes of parts: `count` from `first`. */
export interface PartRange {
	readonly first: number
	readonly count: number
}

export class DiskCache {
	readonly #filler: DiskFiller
	readonly #calls: FileCalls
	readonly #host: Host
	readonly #breaker: DiskBreaker
	readonly #isLocal: boolean
	readonly #quick: QuickReads
	readonly #scratch = new Uint8Array(SCRATCH_BYTES)
	/** Of damaged files, on their way. */
	readonly #removals = new Set<Promise<void>>()
	#isClosed = false
	#hits = 0
	#hitBytes = 0
	#misses = 0
	#filesDamaged = 0

	/** Use `openDiskCache`. */
	constructor(filler: DiskFiller, calls: FileCalls, host: Host, isLocal: boolean) {
		this.#filler = filler
		this.#calls = calls
		this.#host = host
		this.#breaker = new DiskBreaker(host)
		this.#isLocal = isLocal
		this.#quick = new QuickReads(host.clock)
	}

	/** Whether a file of `bytes` may be kept. */
	admits(bytes: number): boolean {
		return this.#filler.admits(bytes)
	}

	/** Whether what is read at once may be kept, when it is `bytes` in several files. */
	admitsAll(bytes: number): boolean {
		return this.#filler.admitsAll(bytes)
	}

	/** Whether `fill` would take `bytes` now. */
	hasRoom(bytes: number): boolean {
		return this.#filler.hasRoom(bytes)
	}

	/**
	 * Those parts of a file that are there and sound, of the given indexes, by ascending index. The file is taken to be of at
	 * most `maxBytes`. The parts share one buffer, which belongs to the caller.
	 */
	async read(name: CacheFileName, range: PartRange, maxBytes: number): Promise<readonly CachedPart[]> {
		if (this.#isClosed || !this.#breaker.isClosed) return []
		const path = cacheFilePath(name)
		const fullPath = `${this.#filler.root}/${path}`
		let parts = this.#readNow(fullPath, name, range, maxBytes)
		for (let turns = 0; parts === undefined && this.#isLocal && turns < MAX_TURNS; turns++) {
			const turn = maxBytes < SCRATCH_BYTES ? this.#quick.nextTurn : undefined
			if (turn === undefined) break
			await turn
			parts = this.#readNow(fullPath, name, range, maxBytes)
		}
		parts ??= await this.#readLater(fullPath, name, range, maxBytes)
		if (parts.length === 0) this.#misses++
		else this.#filler.use(path)
		this.#hits += parts.length
		for (const { bytes } of parts) this.#hitBytes += bytes.length
		return parts
	}

	/** Writes parts some time later. Their bytes must not change; they are copied before they are written. */
	fill(name: CacheFileName, parts: readonly CachePart[]): void {
		if (!this.#isClosed && parts.length > 0) this.#filler.fill(name, parts)
	}

	/** Removes a file whose content is not what it should be. */
	discard(name: CacheFileName): void {
		this.#filesDamaged++
		const removal: Promise<void> = this.#calls
			.unlink(`${this.#filler.root}/${cacheFilePath(name)}`)
			// One that cannot be removed is found damaged again, and costs what it costs.
			.catch(() => undefined)
			.finally(() => this.#removals.delete(removal))
		this.#removals.add(removal)
	}

	stats(): DiskCacheStats {
		const { bytes, maxBytes, filesWritten, filesEvicted, filesDamaged, fillsDropped, breaker } = this.#filler
		return {
			hits: this.#hits,
			hitBytes: this.#hitBytes,
			misses: this.#misses,
			filesWritten,
			filesEvicted,
			filesDamaged: filesDamaged + this.#filesDamaged,
			fillsDropped,
			failures: breaker.failures + this.#breaker.failures,
			lastError: breaker.lastError ?? this.#breaker.lastError,
			bytes,
			maxBytes,
		}
	}

	/** Resolves when nothing waits to be written or removed. */
	async idle(): Promise<void> {
		await Promise.all([this.#filler.idle(), ...this.#removals])
	}

	/** Writes what waits, then ends. Idempotent. */
	close(): Promise<void> {
		this.#isClosed = true
		return this.#filler.close()
	}

	#soundParts(file: Uint8Array, name: CacheFileName, range: PartRange, maxBytes: number): readonly CachedPart[] {
		const all = file.length > maxBytes ? undefined : decodeCacheFile(file, name)
		const end = range.first + range.count
		const wanted = all?.filter(({ index }) => index >= range.first && index < end) ?? []
		const sound = wanted.filter(isSoundPart)
		if (all === undefined || sound.length < wanted.length) this.discard(name)
		return sound
	}

	/** In one go on this thread, by way of memory that is used again; undefined when that cannot be, or would not be quick. */
	#readNow(path: string, name: CacheFileName, range: PartRange, maxBytes: number): readonly CachedPart[] | undefined {
		const scratch = this.#scratch
		if (!this.#isLocal || maxBytes >= scratch.length) return undefined
		const startedMs = this.#quick.begin()
		if (startedMs === undefined) return undefined
		const bytes = this.#calls.readFileNow(path, scratch)
		this.#quick.end(startedMs)
		if (bytes === undefined || bytes < 0) return bytes === undefined ? undefined : []
		const parts = this.#soundParts(scratch.subarray(0, bytes), name, range, maxBytes)
		return parts.map(part => ({ ...part, bytes: new Uint8Array(part.bytes) }))
	}

	async #readLater(
		path: string,
		name: CacheFileName,
		range: PartRange,
		maxBytes: number,
	): Promise<readonly CachedPart[]> {
		try {
			const file = await this.#readFile(path, maxBytes)
			this.#breaker.succeed()
			return file === undefined ? [] : this.#soundParts(file, name, range, maxBytes)
		} catch (error) {
			this.#breaker.fail(error)
			return []
		}
	}

	async #readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
		let timer: { cancel(): void } | undefined
		const late = new Promise<never>((_resolve, reject) => {
			timer = this.#host.clock.schedule(
				READ_DEADLINE_MS,
				() => reject(new Error(`the disk of the cache did not answer within ${READ_DEADLINE_MS} ms`)),
				{ background: true },
			)
		})
		try {
			return await Promise.race([readWhole(this.#calls, path, maxBytes), late])
		} finally {
			timer?.cancel()
		}
	}
}

/** Nothing is there, or what the cache does not make: a link, a directory. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR'])

/** The file, or undefined when there is none. One that is longer than `maxBytes` comes with one byte more than that. */
async function readWhole(calls: FileCalls, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
	let fd: number | undefined
	try {
		fd = await calls.openRead(path)
		const target = new Uint8Array(Buffer.allocUnsafeSlow(maxBytes + 1).buffer)
		const bytes = await calls.read(fd, target, 0, target.length, 0)
		return target.subarray(0, bytes)
	} catch (error) {
		if (ABSENT.has(errnoOf(error) ?? '')) return undefined
		throw error
	} finally {
		// Nothing was written through it, so there is nothing that closing could fail to keep.
		if (fd !== undefined) calls.close(fd).catch(() => undefined)
	}
}
