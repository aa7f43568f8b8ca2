/**
 * The directories of a file store, and the durability of the names in them.
 *
 * A name is on the disk once the directory that holds it was fsynced after the name was made, and the directory's own
 * name, and so on up. Steps of `ensure`: make what is missing, from the top down, and fsync the parent of every level
 * at its first use by this store: also of one that was there already, because another process may have made it a
 * moment ago and not yet have fsynced its parent.
 *
 * `sync` is a group fsync: at most one runs for a directory, and whoever asks while one runs shares the next, which
 * begins after all of them have made their names. It never shares the running one, which may have begun too early.
 */
import { dirname } from 'node:path'
import { IsleError } from '../errors.ts'
import type { FileCalls } from './file-calls.ts'
import { errnoOf } from './file-errors.ts'

export type FsyncMode = 'always' | 'never'

interface GroupSync {
	running: Promise<void>
	next: Promise<void> | undefined
}

export class FileDirectories {
	readonly #root: string
	readonly #calls: FileCalls
	readonly #mode: FsyncMode
	/** Exist, and their names are on the disk. Bounded by the directories that this store has written to. */
	readonly #ready = new Set<string>()
	readonly #making = new Map<string, Promise<void>>()
	readonly #syncs = new Map<string, GroupSync>()
	/** A root that was there once is never made again: what was in it is gone, and that must be told. */
	#wasRootSeen: boolean

	constructor(root: string, calls: FileCalls, mode: FsyncMode, wasRootSeen: boolean) {
		this.#root = root
		this.#calls = calls
		this.#mode = mode
		this.#wasRootSeen = wasRootSeen
	}

	/** Something was missing beneath a directory that was ready: look at all of them again. */
	forget(): void {
		this.#ready.clear()
	}

	/** Throws `ISLE_NOT_FOUND` when the root was there and is no more: then what is missing is not merely absent. */
	async checkRoot(): Promise<void> {
		if (this.#wasRootSeen && !(await this.#isDirectory(this.#root))) throw directoryGone(this.#root)
	}

	/** Makes `directory`, which is the root or beneath it, and all above it that is missing; durable when it resolves. */
	ensure(directory: string): Promise<void> {
		if (this.#ready.has(directory)) return Promise.resolve()
		let making = this.#making.get(directory)
		if (making === undefined) {
			making = this.#make(directory).finally(() => this.#making.delete(directory))
			this.#making.set(directory, making)
		}
		return making
	}

	async #make(directory: string): Promise<void> {
		const parent = dirname(directory)
		const isRoot = directory === this.#root
		if (isRoot) await this.checkRoot()
		else await this.ensure(parent)
		const isNew = await this.#makeOne(directory)
		if (isRoot) this.#wasRootSeen = true
		await this.#syncParent(parent, isRoot && !isNew)
		this.#ready.add(directory)
	}

	/** True when it was not there. Above the root, missing parents are made, each durable, one level at a time. */
	async #makeOne(directory: string): Promise<boolean> {
		try {
			await this.#calls.makeDirectory(directory)
			return true
		} catch (error) {
			const errno = errnoOf(error)
			const parent = dirname(directory)
			if (errno === 'ENOENT' && directory === this.#root && parent !== directory) {
				await this.#makeAbove(parent)
				return this.#makeOne(directory)
			}
			// EROFS comes before EEXIST: an existing directory on a read-only file system is found by looking.
			if (errno !== 'EEXIST' && errno !== 'EROFS') throw error
			if (await this.#isDirectory(directory)) return false
			throw errno === 'EROFS' ? error : Object.assign(new Error(`not a directory: ${directory}`), { code: 'ENOTDIR' })
		}
	}

	async #makeAbove(directory: string): Promise<void> {
		try {
			await this.#calls.makeDirectory(directory)
		} catch (error) {
			const errno = errnoOf(error)
			if (errno === 'EEXIST') return
			if (errno !== 'ENOENT' || dirname(directory) === directory) throw error
			await this.#makeAbove(dirname(directory))
			await this.#makeAbove(directory)
			return
		}
		await this.sync(dirname(directory))
	}

	/** The root may be a symbolic link, what is beneath it may not: it could lead out of the store. */
	async #isDirectory(directory: string): Promise<boolean> {
		try {
			return (await this.#calls.status(directory)).isDirectory
		} catch (error) {
			if (errnoOf(error) === 'ENOENT') return false
			throw error
		}
	}

	/** The parent of a root that was there may be closed to us: whoever made the root answers for its name. */
	async #syncParent(parent: string, mayBeClosed: boolean): Promise<void> {
		try {
			await this.sync(parent)
		} catch (error) {
			const errno = errnoOf(error)
			if (mayBeClosed && (errno === 'EACCES' || errno === 'EPERM')) return
			throw error
		}
	}

	/** Resolves once every name made in `directory` before the call is on the disk; rejects when that is not known. */
	sync(directory: string): Promise<void> {
		if (this.#mode === 'never') return Promise.resolve()
		const group = this.#syncs.get(directory)
		if (group === undefined) {
			const started: GroupSync = { running: this.#syncNow(directory), next: undefined }
			this.#syncs.set(directory, started)
			this.#rollOver(directory, started)
			return started.running
		}
		group.next ??= group.running.then(
			() => this.#syncNow(directory),
			() => this.#syncNow(directory),
		)
		return group.next
	}

	#rollOver(directory: string, group: GroupSync): void {
		const turn = (): void => {
			if (group.next === undefined) {
				this.#syncs.delete(directory)
				return
			}
			group.running = group.next
			group.next = undefined
			this.#rollOver(directory, group)
		}
		group.running.then(turn, turn)
	}

	async #syncNow(directory: string): Promise<void> {
		const fd = await this.#calls.openRead(directory)
		try {
			await this.#calls.sync(fd)
		} catch (error) {
			// Some network and user-space file systems have no fsync of directories and keep names durable themselves.
			const errno = errnoOf(error)
			if (errno !== 'EINVAL' && errno !== 'ENOTSUP' && errno !== 'EOPNOTSUPP') throw error
		} finally {
			await this.#calls.close(fd)
		}
	}
}

/** A store whose directory has disappeared. */
export function directoryGone(directory: string, cause?: unknown): IsleError {
	return new IsleError('ISLE_NOT_FOUND', `the directory of the store is not there: directory=\`${directory}\``, {
		cause,
		details: { directory },
	})
}
