/**
 * How an object gets its name in a directory, whole, durable, and at most once.
 *
 * Steps: make the directory durable; write a temporary file; fsync it; give it its name (`link`, which fails when the
 * name is taken, or `rename`, which replaces); remove the temporary name; fsync the directory.
 *
 * Invariants:
 * - No name is given before the bytes behind it were fsynced, nor once the caller was answered by an abort or deadline
 *   (the caller may already be writing other things into its buffers). The answer may still come between the check and
 *   the name: that is the case `unknown` exists for.
 * - A failure before the name was given rejects, and nothing was created. A failure after it answers `unknown`.
 * - This store does not hand out what may not survive a power cut: reads of a name wait until its directory is fsynced,
 *   and fail if that failed. Otherwise a caller that settles an `unknown` by reading would take it for durable. After a
 *   failed fsync the kernel may call the next one a success (PostgreSQL's "fsyncgate", 2018), so such a name stays
 *   unreadable for the life of the store. Open again and look.
 */
import { dirname, join } from 'node:path'
import { IsleError } from '../errors.ts'
import type { CallScope } from './deadline.ts'
import type { FileCalls } from './file-calls.ts'
import type { FileDirectories, FsyncMode } from './file-directories.ts'
import { errnoOf, fileError, isDefiniteRefusal } from './file-errors.ts'
import type { FileTemps } from './file-temps.ts'
import type { CreateOutcome } from './object-store.ts'

/** The bound on names whose durability is unknown: past it this store writes no more. */
const MAX_DOUBTFUL_NAMES = 1000
/** Pieces of one system call: IOV_MAX of Linux and macOS. */
const MAX_PIECES = 1024
/**
 * 1 MiB: bytes of one system call. The copy into the page cache takes a quarter of a millisecond to two (fresh pages), for which a
 * kernel that does not preempt itself keeps the core from the thread that wrote, where cores are few (D-115).
 */
const MAX_WRITE_BYTES = 1_048_576

export type Fill = (write: (pieces: readonly Uint8Array[]) => Promise<void>) => Promise<void>

export class FileWriter {
	readonly #calls: FileCalls
	readonly #directories: FileDirectories
	readonly #temps: FileTemps
	readonly #mode: FsyncMode
	/** Names that are being given, by path: each resolves, either way, when its directory was fsynced or that failed. */
	readonly #unsettled = new Map<string, Set<Promise<void>>>()
	/** Names whose directory could not be fsynced, by path, with what went wrong. */
	readonly #doubtful = new Map<string, unknown>()

	constructor(calls: FileCalls, directories: FileDirectories, temps: FileTemps, mode: FsyncMode) {
		this.#calls = calls
		this.#directories = directories
		this.#temps = temps
		this.#mode = mode
	}

	/** True when a read of `path` has to wait for `settled` before it answers. */
	isUnsettled(path: string): boolean {
		return (
			(this.#unsettled.size > 0 && this.#unsettled.has(path)) || (this.#doubtful.size > 0 && this.#doubtful.has(path))
		)
	}

	/** Resolves once what a read has just found at `path` is durable; rejects when that is in doubt. */
	async settled(path: string): Promise<void> {
		const running = this.#unsettled.get(path)
		if (running !== undefined) await Promise.all(running)
		if (this.#doubtful.has(path)) throw this.#doubtful.get(path)
	}

	/** The name at `path` was removed, or replaced by one that is durable. */
	forgetDoubt(path: string): void {
		this.#doubtful.delete(path)
	}

	async create(path: string, key: string, scope: CallScope, fill: Fill): Promise<CreateOutcome> {
		const temp = await this.#writeTemp(path, key, scope, fill)
		const settle = this.#begin(path)
		let isLinked = false
		try {
			isLinked = await this.#link(temp, path)
			if (isLinked) await this.#directories.sync(dirname(path))
			return { kind: isLinked ? 'created' : 'exists' }
		} catch (error) {
			if (!isLinked && isDefiniteRefusal(error)) throw error
			const cause = fileError(error, 'createIfAbsent', key)
			this.#doubtful.set(path, cause)
			return { kind: 'unknown', cause }
		} finally {
			settle()
			await this.#removeTemp(temp)
		}
	}

	async replace(path: string, key: string, scope: CallScope, fill: Fill): Promise<void> {
		const temp = await this.#writeTemp(path, key, scope, fill)
		const settle = this.#begin(path)
		let isRenamed = false
		try {
			await this.#withDirectory(path, () => this.#calls.rename(temp, path))
			isRenamed = true
			await this.#directories.sync(dirname(path))
			this.forgetDoubt(path)
		} catch (error) {
			if (isRenamed) this.#doubtful.set(path, fileError(error, 'put', key))
			else await this.#removeTemp(temp)
			throw error
		} finally {
			settle()
		}
	}

	/** A closed temporary file with its bytes on the disk, and a directory for its name. */
	async #writeTemp(path: string, key: string, scope: CallScope, fill: Fill): Promise<string> {
		if (this.#doubtful.size >= MAX_DOUBTFUL_NAMES) {
			throw new IsleError(
				'ISLE_UNAVAILABLE',
				`too many writes of this store could not be made durable, open it again: key=\`${key}\``,
			)
		}
		await this.#directories.ensure(this.#temps.directory)
		await this.#directories.ensure(dirname(path))
		scope.throwIfOver()
		const temp = await this.#withDirectory(join(this.#temps.directory, 'new'), () => this.#temps.create())
		try {
			try {
				await fill(pieces => writeAll(this.#calls, temp.fd, pieces))
				scope.throwIfOver()
				if (this.#mode === 'always') await this.#calls.sync(temp.fd)
			} finally {
				await this.#calls.close(temp.fd)
			}
			scope.throwIfOver()
		} catch (error) {
			await this.#removeTemp(temp.path)
			throw error
		}
		return temp.path
	}

	/**
	 * False when the name was taken. A reply lost by a network file system makes a link that was made look like one
	 * that failed (open(2), O_EXCL): two names for the temporary file say that it was made.
	 */
	async #link(temp: string, path: string): Promise<boolean> {
		try {
			await this.#withDirectory(path, () => this.#calls.link(temp, path))
			return true
		} catch (error) {
			if (errnoOf(error) !== 'EEXIST') throw error
		}
		if ((await this.#calls.status(temp)).links > 1) return true
		const taken = await this.#calls.status(path).catch((error: unknown) => {
			if (errnoOf(error) === 'ENOENT') return undefined
			throw error
		})
		if (taken !== undefined && !taken.isFile) {
			throw Object.assign(new Error(`not a file: ${path}`), { code: taken.isDirectory ? 'EISDIR' : 'ELOOP' })
		}
		return false
	}

	/** Does what needs the directory of `path`; when that has gone away meanwhile, makes it again and does it once more. */
	async #withDirectory<T>(path: string, call: () => Promise<T>): Promise<T> {
		try {
			return await call()
		} catch (error) {
			if (errnoOf(error) !== 'ENOENT') throw error
		}
		this.#directories.forget()
		await this.#directories.ensure(dirname(path))
		return call()
	}

	/** Announces that `path` is about to get a name; call what it answers when that is settled, either way. */
	#begin(path: string): () => void {
		const { promise, resolve } = settlement()
		const running = this.#unsettled.get(path) ?? new Set()
		this.#unsettled.set(path, running.add(promise))
		return () => {
			running.delete(promise)
			if (running.size === 0) this.#unsettled.delete(path)
			resolve()
		}
	}

	async #removeTemp(path: string): Promise<void> {
		try {
			await this.#calls.unlink(path)
		} catch {
			// It is swept later. What became of the object does not depend on it.
		}
	}
}

function settlement(): { promise: Promise<void>; resolve: () => void } {
	let resolve = (): void => {}
	const promise = new Promise<void>(done => {
		resolve = done
	})
	return { promise, resolve }
}

async function writeAll(calls: FileCalls, fd: number, pieces: readonly Uint8Array[]): Promise<void> {
	let rest = pieces.flatMap(piece => partsOf(piece))
	while (rest.length > 0) {
		let written = await calls.writev(fd, rest.slice(0, fittingCount(rest)))
		if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' })
		let whole = 0
		while (whole < rest.length && written >= (rest[whole] as Uint8Array).byteLength) {
			written -= (rest[whole] as Uint8Array).byteLength
			whole++
		}
		rest = rest.slice(whole)
		const [cut] = rest
		if (cut !== undefined && written > 0) rest = [cut.subarray(written), ...rest.slice(1)]
	}
}

/** None of an empty piece. */
function partsOf(piece: Uint8Array): Uint8Array[] {
	const parts: Uint8Array[] = []
	for (let at = 0; at < piece.byteLength; at += MAX_WRITE_BYTES) parts.push(piece.subarray(at, at + MAX_WRITE_BYTES))
	return parts
}

/** How many of `parts`, none of which is too large, one call writes. */
function fittingCount(parts: readonly Uint8Array[]): number {
	let [count, bytes] = [0, 0]
	while (count < Math.min(parts.length, MAX_PIECES)) {
		bytes += (parts[count] as Uint8Array).byteLength
		if (bytes > MAX_WRITE_BYTES) break
		count++
	}
	return count
}
