/**
 * Writes the files of a disk cache: a bounded queue, jobs in the pool, and room for them.
 *
 * Steps: what is queued goes to the pool a batch at a time (workers/fill-cache.ts). Before a batch that could take the
 * cache over its bound a sweep counts what is there and evicts (workers/sweep-cache.ts); what the sweep leaves free may then
 * be written, at the most a 32nd of the bound, because other processes write too and nobody locks anything.
 *
 * Invariants: nothing here rejects but `prepare`; what does not fit into the queue, and what the disk refuses, is dropped
 * and counted; after a failure the disk is left alone for a while; a directory that was deleted is made again.
 */
import type { CacheFileName, CachePart } from '../../workers/cache-file.ts'
import { cacheFilePath } from '../../workers/cache-file.ts'
import { type FillCacheInput, type FillCacheOutput, type FillFile, fillCostBytes } from '../../workers/fill-cache.ts'
import { TEMP_DIRECTORY } from '../../workers/sweep-cache.ts'
import { isIsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import { machineToken } from '../object-store/file-temps.ts'
import type { Job, JobPool } from '../runtime/job-pool.ts'
import { DiskBreaker } from './disk-breaker.ts'
import { cacheRoot, prepareCacheDirectory } from './disk-directory.ts'

/** What waits to be written; more is dropped. */
const QUEUE_MAX_BYTES = 8_388_608
/** Of one job: about 10 ms of a worker. */
const BATCH_MAX_BYTES = 4_194_304
/** No file, and no large value that is read at once, is larger than this part of the bound: it would push out everything else. */
const FILE_DIVISOR = 8
/** What may be written between two sweeps, at the most, as a part of the bound. */
const ALLOWANCE_DIVISOR = 32
/** Files that were read, until they are marked as used. */
const USED_MAX_COUNT = 1_024
/** A job of less than 10 ms that takes so long hangs in the file system. */
const JOB_DEADLINE_MS = 30_000

/** A file that waits to be written. */
interface QueuedFile {
	readonly name: CacheFileName
	readonly parts: Map<number, CachePart>
	bytes: number
}

export class DiskFiller {
	/** Where the files are. */
	readonly root: string
	readonly maxBytes: number
	readonly #directory: string
	readonly #pool: JobPool
	readonly #host: Host
	readonly #machine = machineToken()
	readonly breaker: DiskBreaker
	readonly #queue = new Map<string, QueuedFile>()
	#queuedBytes = 0
	readonly #used = new Set<string>()
	/** What may be written before the next sweep. */
	#allowanceBytes = 0
	#pumping: Promise<void> | undefined
	/** In the directory, by the last count and what was written here since. */
	bytes = 0
	filesWritten = 0
	filesEvicted = 0
	filesDamaged = 0
	fillsDropped = 0

	constructor(directory: string, maxBytes: number, pool: JobPool, host: Host) {
		this.root = cacheRoot(directory)
		this.maxBytes = maxBytes
		this.#directory = directory
		this.#pool = pool
		this.#host = host
		this.breaker = new DiskBreaker(host)
	}

	/** Makes the directory ready. @throws ISLE_FOREIGN_PREFIX alone. */
	async prepare(): Promise<void> {
		try {
			await prepareCacheDirectory(this.#directory)
		} catch (error) {
			if (isIsleError(error, 'ISLE_FOREIGN_PREFIX')) throw error
			this.breaker.fail(error)
		}
	}

	/** Whether a file of `bytes` may be kept. */
	admits(bytes: number): boolean {
		return this.admitsAll(bytes) && bytes <= QUEUE_MAX_BYTES
	}

	/** Whether `bytes` in several files may be kept of one read. */
	admitsAll(bytes: number): boolean {
		return bytes <= this.maxBytes / FILE_DIVISOR
	}

	/** Whether the queue takes `bytes` more. */
	hasRoom(bytes: number): boolean {
		return this.#queuedBytes + bytes <= QUEUE_MAX_BYTES
	}

	/** Queues parts. Their bytes must not change; they are copied before they are written. */
	fill(name: CacheFileName, parts: readonly CachePart[]): void {
		const bytes = parts.reduce((sum, part) => sum + part.bytes.length, 0)
		if (!this.admits(bytes) || !this.hasRoom(bytes) || !this.breaker.isClosed) {
			this.fillsDropped++
			return
		}
		const path = cacheFilePath(name)
		let queued = this.#queue.get(path)
		if (queued === undefined) {
			queued = { name, parts: new Map(), bytes: 0 }
			this.#queue.set(path, queued)
		}
		for (const part of parts) {
			if (queued.parts.has(part.index)) continue
			queued.parts.set(part.index, part)
			queued.bytes += part.bytes.length
			this.#queuedBytes += part.bytes.length
		}
		this.#pump()
	}

	/** A file was read: it is evicted later than those that were not. */
	use(path: string): void {
		this.#used.add(path)
		if (this.#used.size < USED_MAX_COUNT) return
		if (this.breaker.isClosed) this.#pump()
		else this.#used.clear()
	}

	/** Resolves when nothing waits to be written. */
	async idle(): Promise<void> {
		while (this.#pumping !== undefined) await this.#pumping
	}

	/** Writes what waits. */
	async close(): Promise<void> {
		if (this.#used.size > 0) this.#pump()
		await this.idle()
	}

	#takeUsed(): string[] {
		const used = [...this.#used]
		this.#used.clear()
		return used
	}

	/** Writes batch after batch until the queue is empty; one at a time. */
	#pump(): void {
		this.#pumping ??= this.#writeAll()
	}

	async #writeAll(): Promise<void> {
		// What is asked for in this turn of the loop goes together.
		await Promise.resolve()
		do {
			const batch = this.#takeBatch()
			if (this.breaker.isClosed) {
				try {
					await this.#write(batch)
				} catch (error) {
					this.fillsDropped += batch.length
					this.breaker.fail(error)
				}
			} else this.fillsDropped += batch.length
		} while (this.#queue.size > 0)
		// In the same turn as the last look at the queue, so that nothing is left waiting in it.
		this.#pumping = undefined
	}

	#takeBatch(): QueuedFile[] {
		const batch: QueuedFile[] = []
		let bytes = 0
		for (const [path, file] of this.#queue) {
			if (batch.length > 0 && bytes + file.bytes > Math.min(BATCH_MAX_BYTES, this.maxBytes / FILE_DIVISOR)) break
			batch.push(file)
			bytes += file.bytes
			this.#queue.delete(path)
		}
		this.#queuedBytes -= bytes
		return batch
	}

	async #write(batch: readonly QueuedFile[]): Promise<void> {
		const costBytes = batch.reduce((sum, { parts, bytes }) => sum + fillCostBytes(parts.size, bytes), 0)
		if (costBytes > this.#allowanceBytes && !(await this.#makeRoom(costBytes))) {
			this.fillsDropped += batch.length
			return
		}
		this.#allowanceBytes -= costBytes
		const used = this.#takeUsed()
		const { failure, grownBytes, filesWritten, filesDamaged } = await this.#run(batch, used)
		this.bytes = Math.max(0, this.bytes + grownBytes)
		this.filesWritten += filesWritten
		this.filesDamaged += filesDamaged
		if (failure === undefined) {
			this.breaker.succeed()
			return
		}
		this.fillsDropped += batch.length - filesWritten
		this.breaker.fail(Object.assign(new Error(failure.message), { code: failure.errno }))
		// Somebody has deleted the directory: it is made again, unless it has become something else.
		if (failure.errno === 'ENOENT') await this.prepare()
	}

	/** Counts, and evicts where there is too much. False when there is still no room. */
	async #makeRoom(needBytes: number): Promise<boolean> {
		const used = this.#takeUsed()
		const input = {
			root: this.root,
			used,
			nowMs: this.#host.clock.nowMs(),
			maxBytes: this.maxBytes,
			needBytes,
			machine: this.#machine,
		}
		const swept = await this.#pool.run('sweep-cache', () => ({ input, transfer: [] }), { deadlineMs: JOB_DEADLINE_MS })
		this.bytes = swept.bytes
		this.filesEvicted += swept.filesEvicted
		const freeBytes = this.maxBytes - swept.bytes
		this.#allowanceBytes = Math.min(
			freeBytes,
			Math.max(needBytes, Math.min(freeBytes / 2, this.maxBytes / ALLOWANCE_DIVISOR)),
		)
		return needBytes <= freeBytes
	}

	#run(batch: readonly QueuedFile[], used: readonly string[]): Promise<FillCacheOutput> {
		// A name and a buffer for each attempt: a worker that dies takes the one along and leaves the other lying.
		const make = (): Job<'fill-cache'> => {
			const { files, buffer } = packBatch(batch)
			const random = Buffer.from(this.#host.random.bytes(12)).toString('hex')
			const input: FillCacheInput = {
				root: this.root,
				tempPath: `${TEMP_DIRECTORY}/t-${this.#machine}-${process.pid}-${random}-`,
				used,
				nowMs: this.#host.clock.nowMs(),
				files,
				buffers: [buffer],
			}
			return { input, transfer: [buffer] }
		}
		return this.#pool.run('fill-cache', make, { deadlineMs: JOB_DEADLINE_MS })
	}
}

/** All parts of a batch, copied into one buffer that a job can own. */
function packBatch(batch: readonly QueuedFile[]): { files: FillFile[]; buffer: ArrayBuffer } {
	const target = new Uint8Array(batch.reduce((sum, { bytes }) => sum + bytes, 0))
	let start = 0
	const files = batch.map(({ name, parts }) => ({
		...name,
		path: cacheFilePath(name),
		parts: Array.from(parts.values(), ({ index, offset, bytes }) => {
			target.set(bytes, start)
			start += bytes.length
			return { index, offset, buffer: 0, start: start - bytes.length, bytes: bytes.length }
		}),
	}))
	return { files, buffer: target.buffer }
}
