/**
 * Open files for ranged reads, kept between calls.
 *
 * Why: opening, reading and closing 4 KiB are three trips to the thread pool one after another; a handle that is open
 * needs one. Measured on ext4, idle machine, 4 KiB: 57,000 reads/s in three trips, 127,000 with the check below beside
 * the read; one at a time 7,000 and 15,600.
 *
 * A kept handle is never trusted: a read also asks which file the path names now. Only when that is still the file
 * behind the handle is the answer good (an object's file never changes once it has its name, and its inode number
 * cannot be used again while it is open). So a deletion or replacement by any process is seen as it is without handles.
 * On a local file system the question is one `lstat` on this thread, 2–3 µs from the kernel's memory; elsewhere it
 * could hang, and goes to the thread pool beside the read. Small reads of a local file system are made on this thread
 * too, as long as they are quick (`quick-reads.ts`).
 *
 * Bounds: at most `MAX_HANDLES` are kept, and none for longer than two idle periods without use, so that the disk
 * space of an object that another process deleted comes back. A handle closes when its last read has ended.
 */
import type { Clock, Timer } from '../host/clock.ts'
import { uninitialised } from './body.ts'
import type { FileCalls, FileStatus } from './file-calls.ts'
import { errnoOf } from './file-errors.ts'
import { QuickReads } from './quick-reads.ts'

/** A sixteenth of the usual limit of 1024 descriptors: the application needs the others. */
const MAX_HANDLES = 64
const IDLE_PERIOD_MS = 5_000

/** An open file that closes once it is released and nobody reads from it. */
export class ReadHandle {
	readonly fd: number
	readonly status: FileStatus
	readonly #calls: FileCalls
	#readers = 0
	#isReleased = false
	/** For the idle sweep. */
	wasUsed = true

	constructor(fd: number, status: FileStatus, calls: FileCalls) {
		this.fd = fd
		this.status = status
		this.#calls = calls
	}

	isFile(status: FileStatus): boolean {
		return status.inode === this.status.inode && status.device === this.status.device
	}

	/** Reads until `target` is full or the file ends; answers the bytes read. */
	async read(target: Uint8Array, position: number): Promise<number> {
		this.#readers++
		this.wasUsed = true
		try {
			return await readFully(this.#calls, this.fd, target, position)
		} finally {
			this.#readers--
			this.#closeWhenUnused()
		}
	}

	/** One call on this thread; answers the bytes read, or −1 when that is not possible. */
	readNow(target: Uint8Array, position: number): number {
		this.wasUsed = true
		return this.#calls.readNow(this.fd, target, position)
	}

	release(): void {
		if (this.#isReleased) return
		this.#isReleased = true
		this.#closeWhenUnused()
	}

	#closeWhenUnused(): void {
		// Nothing was written through it, so there is nothing that closing could fail to keep.
		if (this.#isReleased && this.#readers === 0) this.#calls.close(this.fd).catch(() => {})
	}
}

export class ReadHandles {
	readonly #root: string
	readonly #calls: FileCalls
	readonly #clock: Clock
	readonly #quick: QuickReads
	#isLocal: boolean | undefined
	/** In order of use, the least recent first. */
	readonly #kept = new Map<string, ReadHandle>()
	#timer: Timer | undefined
	#isClosed = false

	constructor(root: string, calls: FileCalls, clock: Clock) {
		this.#root = root
		this.#calls = calls
		this.#clock = clock
		this.#quick = new QuickReads(clock)
	}

	/**
	 * Fills `target` from `position` of the file that `path` names at some moment of the call. Answers the bytes read
	 * (fewer at the end of the file) or undefined when there is no such file. `open` opens it.
	 */
	async read(
		path: string,
		target: Uint8Array,
		position: number,
		open: () => Promise<ReadHandle | undefined>,
	): Promise<number | undefined> {
		const kept = this.#kept.get(path)
		if (kept !== undefined) {
			const bytesRead = await (this.#isLocal
				? this.#readChecked(kept, path, target, position)
				: this.#readBesideCheck(kept, path, target, position))
			if (bytesRead !== undefined) {
				this.#touch(path, kept)
				return bytesRead
			}
			this.forget(path)
		}
		const handle = await open()
		if (handle === undefined) return undefined
		try {
			this.#isLocal ??= await this.#calls.isLocal(this.#root)
			return await handle.read(target, position)
		} finally {
			this.#keep(path, handle)
		}
	}

	/**
	 * `bytes` bytes from `position`, at once and in memory of their own, when the file is open, local and still the one that
	 * `path` names, and reads are quick; undefined otherwise.
	 */
	readNow(path: string, bytes: number, position: number): Uint8Array | undefined {
		const kept = this.#kept.get(path)
		if (kept === undefined || this.#isLocal !== true) return undefined
		const startedMs = this.#quick.begin()
		if (startedMs === undefined) return undefined
		try {
			const status = this.#calls.statusNow(path)
			if (status === undefined || !kept.isFile(status)) return undefined
			const target = uninitialised(bytes)
			if (kept.readNow(target, position) < bytes) return undefined
			this.#touch(path, kept)
			return target
		} catch {
			// Whoever reads it in the thread pool hears what is wrong.
			return undefined
		} finally {
			this.#quick.end(startedMs)
		}
	}

	/** When `readNow` may give what it has just refused; undefined when it would not. */
	turnOf(path: string): Promise<void> | undefined {
		return this.#isLocal === true && this.#kept.has(path) ? this.#quick.nextTurn : undefined
	}

	/** Undefined when the path names another file now, or none. */
	async #readChecked(
		kept: ReadHandle,
		path: string,
		target: Uint8Array,
		position: number,
	): Promise<number | undefined> {
		const status = this.#calls.statusNow(path)
		return status !== undefined && kept.isFile(status) ? kept.read(target, position) : undefined
	}

	async #readBesideCheck(
		kept: ReadHandle,
		path: string,
		target: Uint8Array,
		position: number,
	): Promise<number | undefined> {
		const [status, reading] = await Promise.all([this.#statusOf(path), settled(kept.read(target, position))])
		if (status === undefined || !kept.isFile(status)) return undefined
		if (reading.error !== undefined) throw reading.error
		return reading.value
	}

	/** Lets the handle of a path go, if there is one. */
	forget(path: string): void {
		const handle = this.#kept.get(path)
		if (handle === undefined) return
		this.#kept.delete(path)
		handle.release()
	}

	/** Lets all handles go: on closing, and when descriptors are short. */
	forgetAll(): void {
		for (const path of this.#kept.keys()) this.forget(path)
		this.#timer?.cancel()
		this.#timer = undefined
	}

	close(): void {
		this.#isClosed = true
		this.forgetAll()
	}

	#touch(path: string, handle: ReadHandle): void {
		if (this.#kept.get(path) !== handle) return
		this.#kept.delete(path)
		this.#kept.set(path, handle)
	}

	#keep(path: string, handle: ReadHandle): void {
		if (this.#isClosed) {
			handle.release()
			return
		}
		this.forget(path)
		this.#kept.set(path, handle)
		if (this.#kept.size > MAX_HANDLES) {
			const [oldest] = this.#kept.keys()
			if (oldest !== undefined) this.forget(oldest)
		}
		this.#timer ??= this.#clock.schedule(IDLE_PERIOD_MS, () => this.#letIdleGo(), { background: true })
	}

	#letIdleGo(): void {
		this.#timer = undefined
		for (const [path, handle] of this.#kept) {
			if (handle.wasUsed) handle.wasUsed = false
			else this.forget(path)
		}
		if (this.#kept.size > 0) {
			this.#timer = this.#clock.schedule(IDLE_PERIOD_MS, () => this.#letIdleGo(), { background: true })
		}
	}

	async #statusOf(path: string): Promise<FileStatus | undefined> {
		try {
			return await this.#calls.status(path)
		} catch (error) {
			const errno = errnoOf(error)
			if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
			throw error
		}
	}
}

/** Reads until `target` is full or the file ends; answers the bytes read. */
async function readFully(calls: FileCalls, fd: number, target: Uint8Array, position: number): Promise<number> {
	let filled = 0
	while (filled < target.byteLength) {
		const bytes = await calls.read(fd, target, filled, target.byteLength - filled, position + filled)
		if (bytes === 0) break
		filled += bytes
	}
	return filled
}

type Settled<T> =
	| { readonly value: T; readonly error?: undefined }
	| { readonly value?: undefined; readonly error: unknown }

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
	try {
		return { value: await promise }
	} catch (error) {
		return { error }
	}
}
