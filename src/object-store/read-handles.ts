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
 * too, as long as they are quick (`quick-reads.ts`). They ask the open file itself, at half the price: as long as neither
 * its count of names nor the time of its last change of status has changed since the path was asked, its name is where it
 * was. Only a directory above it may have got another name, so the path is asked again after `PATH_TRUSTED_MS`.
 *
 * Bounds: at most `MAX_HANDLES` are kept, and none for longer than two idle periods without use, so that the disk
 * space of an object that another process deleted comes back. A handle closes when its last read has ended.
 */
import type { Clock, Timer } from '../host/clock.ts'
import type { FileCalls, FileLinks, FileStatus } from './file-calls.ts'
import { errnoOf } from './file-errors.ts'
import { QuickReads } from './quick-reads.ts'

/** A sixteenth of the usual limit of 1024 descriptors: the application needs the others. */
const MAX_HANDLES = 64
const IDLE_PERIOD_MS = 5_000
/** About a thousand reads of 10 µs share what asking the path costs. */
const PATH_TRUSTED_MS = 10

/** An open file that closes once it is released and nobody reads from it. */
export class ReadHandle {
	readonly path: string
	readonly fd: number
	readonly status: FileStatus
	readonly #calls: FileCalls
	#readers = 0
	#isReleased = false
	/** Since the idle sweep, or the last search for a handle to let go, came by. */
	wasUsed = true
	/** When `path` named this file, and what its links were then. */
	#namedMs = Number.NEGATIVE_INFINITY
	#links: FileLinks = { links: 0, changedMs: 0 }

	constructor(path: string, fd: number, status: FileStatus, calls: FileCalls) {
		this.path = path
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

	/** Whether `path` still names this file, asked on this thread. */
	isNamedNow(nowMs: number): boolean {
		const { links, changedMs } = this.#calls.linksNow(this.fd)
		const isUnchanged = links === this.#links.links && changedMs === this.#links.changedMs
		if (isUnchanged && nowMs - this.#namedMs < PATH_TRUSTED_MS) return true
		const status = this.#calls.statusNow(this.path)
		if (status === undefined || !this.isFile(status)) return false
		this.#links = { links, changedMs }
		this.#namedMs = nowMs
		return true
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
	readonly #isUnsettled: (path: string) => boolean
	#isLocal: boolean | undefined
	/** By key, in the order in which they are looked through for one to let go. */
	readonly #kept = new Map<string, ReadHandle>()
	#timer: Timer | undefined
	#isClosed = false

	/** A path that `isUnsettled` is not read at once. */
	constructor(root: string, calls: FileCalls, clock: Clock, isUnsettled: (path: string) => boolean) {
		this.#isUnsettled = isUnsettled
		this.#root = root
		this.#calls = calls
		this.#clock = clock
		this.#quick = new QuickReads(clock)
	}

	/**
	 * Fills `target` from `position` of the file that `key` names at some moment of the call. Answers the bytes read
	 * (fewer at the end of the file) or undefined when there is no such file. `open` opens it.
	 */
	async read(
		key: string,
		target: Uint8Array,
		position: number,
		open: () => Promise<ReadHandle | undefined>,
	): Promise<number | undefined> {
		const kept = this.#kept.get(key)
		if (kept !== undefined) {
			const bytesRead = await (this.#isLocal
				? this.#readChecked(kept, target, position)
				: this.#readBesideCheck(kept, target, position))
			if (bytesRead !== undefined) return bytesRead
			this.forget(key)
		}
		const handle = await open()
		if (handle === undefined) return undefined
		try {
			this.#isLocal ??= await this.#calls.isLocal(this.#root)
			return await handle.read(target, position)
		} finally {
			this.#keep(key, handle)
		}
	}

	/** Whether `readNow` may have an answer. */
	mayReadNow(key: string): boolean {
		return this.#isLocal === true && this.#kept.has(key)
	}

	/**
	 * Fills `target` from `position` at once when the file is open, local and still the one that `key` names, and reads are
	 * quick. A promise: it is to be asked again then.
	 */
	readNow(key: string, target: Uint8Array, position: number): boolean | Promise<void> {
		const kept = this.#kept.get(key)
		if (kept === undefined || this.#isLocal !== true || this.#isUnsettled(kept.path)) return false
		const startedMs = this.#quick.begin()
		if (startedMs === undefined) return this.#quick.nextTurn ?? false
		try {
			return kept.isNamedNow(startedMs) && kept.readNow(target, position) === target.byteLength
		} catch {
			// Whoever reads it in the thread pool hears what is wrong.
			return false
		} finally {
			this.#quick.end(startedMs)
		}
	}

	/** When `readNow` may give what it has just refused; undefined when it would not. */
	turnOf(key: string): Promise<void> | undefined {
		return this.mayReadNow(key) ? this.#quick.nextTurn : undefined
	}

	/** Undefined when the path names another file now, or none. */
	async #readChecked(kept: ReadHandle, target: Uint8Array, position: number): Promise<number | undefined> {
		const status = this.#calls.statusNow(kept.path)
		return status !== undefined && kept.isFile(status) ? kept.read(target, position) : undefined
	}

	async #readBesideCheck(kept: ReadHandle, target: Uint8Array, position: number): Promise<number | undefined> {
		const [status, reading] = await Promise.all([this.#statusOf(kept.path), settled(kept.read(target, position))])
		if (status === undefined || !kept.isFile(status)) return undefined
		if (reading.error !== undefined) throw reading.error
		return reading.value
	}

	/** Lets the handle of a key go, if there is one. */
	forget(key: string): void {
		const handle = this.#kept.get(key)
		if (handle === undefined) return
		this.#kept.delete(key)
		handle.release()
	}

	/** Lets all handles go: on closing, and when descriptors are short. */
	forgetAll(): void {
		for (const key of this.#kept.keys()) this.forget(key)
		this.#timer?.cancel()
		this.#timer = undefined
	}

	close(): void {
		this.#isClosed = true
		this.forgetAll()
	}

	#keep(key: string, handle: ReadHandle): void {
		if (this.#isClosed) {
			handle.release()
			return
		}
		this.forget(key)
		this.#kept.set(key, handle)
		if (this.#kept.size > MAX_HANDLES) this.#letOneGo()
		this.#timer ??= this.#clock.schedule(IDLE_PERIOD_MS, () => this.#letIdleGo(), { background: true })
	}

	/** The first that was not used since it was last looked at (CLOCK): a read marks its handle and moves nothing. */
	#letOneGo(): void {
		for (const [key, handle] of this.#kept) {
			if (!handle.wasUsed) {
				this.forget(key)
				return
			}
			handle.wasUsed = false
			// To the end of the order, where the loop meets it once more at the latest.
			this.#kept.delete(key)
			this.#kept.set(key, handle)
		}
	}

	#letIdleGo(): void {
		this.#timer = undefined
		for (const [key, handle] of this.#kept) {
			if (handle.wasUsed) handle.wasUsed = false
			else this.forget(key)
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
