/**
 * A store in a directory: one file an object, at the path that its key spells. Processes on one machine may share it
 * (and machines, where the network file system has atomic `link` and honest fsync).
 *
 * Reading: `file-reader.ts`. Writing: `file-writer.ts`; names are durable when a call has succeeded. Here: the rest.
 *
 * What it cannot do, because files cannot: hold both `a` and `a/b` (`ISLE_DENIED`); tell `A` from `a` on a file system that does
 * not (the engine's own keys are lower case); run on Windows, which has no fsync of directories (`ISLE_UNSUPPORTED`).
 * The root may be a symbolic link (resolved once, when opening). Beneath it links are neither followed at the last component of a key,
 * nor written through, nor listed: order, not protection, for who may make links may change files.
 * Directories are never removed: another process may hold one for durable.
 */
import { realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { IsleError } from '../errors.ts'
import { type Host, systemHost } from '../host/host.ts'
import { bodyBytes, bodyPieces, checkRange } from './body.ts'
import { type AnswerWhenOver, type CallScope, withLimits } from './deadline.ts'
import { type FileCalls, systemFileCalls } from './file-calls.ts'
import { directoryGone, FileDirectories, type FsyncMode } from './file-directories.ts'
import { errnoOf, fileError } from './file-errors.ts'
import { listFiles } from './file-listing.ts'
import { DEFAULT_DEADLINE_MS, FileReader } from './file-reader.ts'
import { FileTemps } from './file-temps.ts'
import { FileWriter } from './file-writer.ts'
import { listQuery } from './list-query.ts'
import { checkObjectKey } from './object-key.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from './object-store.ts'
import { consumePieces, SourceFailure } from './piece-stream.ts'

export interface FileStoreOptions {
	/** Path of the directory; relative to the working directory at the time of opening. */
	readonly directory: string
	/** True: `ISLE_NOT_FOUND` when it is not there. Default false: it is made at the first write. */
	readonly mustExist?: boolean | undefined
	/**
	 * `always` (default): what a call has written survives a power cut once the call has succeeded. `never`: what the
	 * kernel has not written by then is lost, and objects may come back empty; for tests and data that can be made again.
	 */
	readonly fsync?: FsyncMode | undefined
	readonly host?: Host | undefined
	/** The system calls; tests put faults behind them. */
	readonly calls?: FileCalls | undefined
}

/** One second more for each MiB that is written: the slowest disks in use write 1 MiB a second. */
const DEADLINE_MS_PER_BYTE = 1000 / (1024 * 1024)
/** Deletions in flight at once: as many as libuv has threads, twice. */
const DELETE_BATCH = 8

/**
 * Opens the store in a directory. Throws `ISLE_NOT_FOUND` (with `mustExist`), `ISLE_DENIED` when something other than a
 * directory is there or it may not be looked at, `ISLE_UNSUPPORTED` on Windows. Writes nothing.
 */
export async function openFileStore(options: FileStoreOptions): Promise<ObjectStore> {
	const { directory, fsync = 'always' } = options
	if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
		throw new TypeError(`Expected \`directory\` to be the path of a directory, got ${JSON.stringify(directory)}`)
	}
	if (fsync !== 'always' && fsync !== 'never') {
		throw new TypeError(`Expected \`fsync\` to be 'always' or 'never', got ${JSON.stringify(fsync)}`)
	}
	if (process.platform === 'win32') {
		throw new IsleError('ISLE_UNSUPPORTED', 'the file store does not run on Windows: it has no fsync of directories')
	}
	const calls = options.calls ?? systemFileCalls
	let root = resolve(directory)
	let isThere = false
	try {
		root = await realpath(root)
		isThere = true
		if (!(await calls.status(root)).isDirectory) {
			throw new IsleError('ISLE_DENIED', `not a directory: directory=\`${root}\``, { details: { directory: root } })
		}
	} catch (error) {
		if (errnoOf(error) !== 'ENOENT') throw fileError(error, 'open', root)
		if (options.mustExist) throw directoryGone(root, error)
	}
	return new FileStore(root, isThere, calls, fsync, options.host ?? systemHost)
}

class FileStore implements ObjectStore {
	readonly url: string
	readonly takesSharedBodies = true
	readonly #root: string
	readonly #calls: FileCalls
	readonly #host: Host
	readonly #directories: FileDirectories
	readonly #temps: FileTemps
	readonly #writer: FileWriter
	readonly #reader: FileReader
	/** Calls at work, those included whose callers have been answered by an abort or deadline. */
	#running = 0
	#whenIdle: (() => void) | undefined
	#closing: Promise<void> | undefined
	#isClosed = false

	constructor(root: string, isRootThere: boolean, calls: FileCalls, fsync: FsyncMode, host: Host) {
		this.url = pathToFileURL(root).href
		this.#root = root
		this.#calls = calls
		this.#host = host
		this.#directories = new FileDirectories(root, calls, fsync, isRootThere)
		this.#temps = new FileTemps(root, calls, host)
		this.#writer = new FileWriter(calls, this.#directories, this.#temps, fsync)
		this.#reader = new FileReader(root, calls, host, this.#directories, this.#writer)
	}

	async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		checkObjectKey(key)
		return this.#run('get', key, options, DEFAULT_DEADLINE_MS, () => this.#reader.get(key))
	}

	async getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		checkObjectKey(key)
		checkRange(range)
		const work = (): Promise<Uint8Array | undefined> => this.#reader.getRange(key, range, options)
		return this.#reader.rangeNow(key, range, options) ?? this.#run('getRange', key, options, DEFAULT_DEADLINE_MS, work)
	}

	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		return this.#reader.readNow(key, offset, target)
	}

	async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		checkObjectKey(key)
		const pieces = bodyPieces(body)
		return this.#run('put', key, options, writeDeadlineMs(bodyBytes(body)), scope =>
			this.#writer.replace(this.#path(key), key, scope, write => write(pieces)),
		)
	}

	async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		checkObjectKey(key)
		const pieces = bodyPieces(body)
		return this.#run<CreateOutcome>(
			'createIfAbsent',
			key,
			options,
			writeDeadlineMs(bodyBytes(body)),
			scope => this.#writer.create(this.#path(key), key, scope, write => write(pieces)),
			cause => ({ kind: 'unknown', cause }),
		)
	}

	async list(options?: ListOptions): Promise<ListPage> {
		const query = listQuery(options)
		return this.#run('list', query.prefix, options, DEFAULT_DEADLINE_MS, async scope => {
			const listing = { calls: this.#calls, root: this.#root, throwIfOver: () => scope.throwIfOver() }
			const page = await listFiles(listing, query)
			if (page.objects.length === 0) await this.#directories.checkRoot()
			return page
		})
	}

	async delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#deleteAll('delete', [key], options)
	}

	async deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.#deleteAll('deleteMany', [...keys], options)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		checkObjectKey(key)
		if (range !== undefined) checkRange(range)
		return this.#run('getStream', key, options, DEFAULT_DEADLINE_MS, scope =>
			this.#reader.getStream(key, range, options, scope),
		)
	}

	async createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		checkObjectKey(key)
		let isBodyWhole = false
		try {
			return await this.#run<CreateOutcome>(
				'createFromStream',
				key,
				options,
				Infinity,
				scope =>
					this.#writer.create(this.#path(key), key, scope, async write => {
						await consumePieces(body, scope, piece => write([piece]))
						isBodyWhole = true
					}),
				cause => (isBodyWhole ? { kind: 'unknown', cause } : undefined),
			)
		} catch (error) {
			throw error instanceof SourceFailure ? error.cause : error
		}
	}

	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	async #close(): Promise<void> {
		this.#isClosed = true
		this.#reader.close(this.#closedError())
		if (this.#running > 0) {
			await new Promise<void>(resolve => {
				this.#whenIdle = resolve
			})
		}
		await this.#temps.idle()
	}

	/** One call: refused when closed, within its limits, awaited by `close`, its errors typed. */
	#run<T>(
		operation: string,
		key: string,
		options: RequestOptions | undefined,
		defaultDeadlineMs: number,
		work: (scope: CallScope) => Promise<T>,
		answerWhenOver?: AnswerWhenOver<T>,
	): Promise<T> {
		if (this.#isClosed) return Promise.reject(this.#closedError())
		return withLimits(
			this.#host.clock,
			{ operation, key },
			options,
			defaultDeadlineMs,
			scope => this.#attempt(operation, key, scope, work),
			answerWhenOver,
		)
	}

	async #attempt<T>(
		operation: string,
		key: string,
		scope: CallScope,
		work: (scope: CallScope) => Promise<T>,
	): Promise<T> {
		this.#running++
		try {
			return await work(scope)
		} catch (error) {
			throw fileError(error, operation, key)
		} finally {
			this.#running--
			if (this.#running === 0) this.#whenIdle?.()
		}
	}

	async #deleteAll(operation: string, keys: readonly string[], options: RequestOptions | undefined): Promise<void> {
		for (const key of keys) checkObjectKey(key)
		const deadlineMs = DEFAULT_DEADLINE_MS + keys.length
		return this.#run(operation, keys[0] ?? '', options, deadlineMs, async scope => {
			const directories = new Set<string>()
			for (let i = 0; i < keys.length; i += DELETE_BATCH) {
				scope.throwIfOver()
				await Promise.all(keys.slice(i, i + DELETE_BATCH).map(key => this.#deleteOne(operation, key, directories)))
			}
			for (const directory of directories) await this.#directories.sync(directory)
		})
	}

	async #deleteOne(operation: string, key: string, directories: Set<string>): Promise<void> {
		const path = this.#path(key)
		this.#reader.forget(key)
		try {
			await this.#calls.unlink(path)
		} catch (error) {
			// EISDIR, and EPERM on macOS: a directory is no object, so the object is absent.
			if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error) ?? '')) return
			throw fileError(error, operation, key)
		}
		this.#writer.forgetDoubt(path)
		directories.add(dirname(path))
	}

	#path(key: string): string {
		return `${this.#root}/${key}`
	}

	#closedError(): IsleError {
		return new IsleError('ISLE_CLOSED', `the store is closed: url=\`${this.url}\``)
	}
}

const writeDeadlineMs = (bytes: number): number => DEFAULT_DEADLINE_MS + Math.ceil(bytes * DEADLINE_MS_PER_BYTE)
