/**
 * Reading objects out of a directory. A whole object is opened, read and closed; ranges go through handles that are
 * kept open (`read-handles.ts`); a stream holds a file of its own until it ends.
 *
 * Invariants: a name that is not yet durable is not handed out (`file-writer.ts` says why); what is not a file is no
 * object; what is missing in a store whose whole directory has gone is `ISLE_NOT_FOUND` and not an absence.
 */
import { corrupt } from '../errors.ts'
import type { Host } from '../host/host.ts'
import { rangeTarget, shortObject, uninitialised } from './body.ts'
import type { CallScope } from './deadline.ts'
import type { FileCalls } from './file-calls.ts'
import type { FileDirectories } from './file-directories.ts'
import { errnoOf, fileError } from './file-errors.ts'
import { openWithPatience } from './file-temps.ts'
import type { FileWriter } from './file-writer.ts'
import type { ByteRange, RangeRequestOptions, RequestOptions } from './object-store.ts'
import { PieceStream } from './piece-stream.ts'
import { QUICK_READ_MAX_BYTES } from './quick-reads.ts'
import { ReadHandle, ReadHandles } from './read-handles.ts'

/** A local disk answers or fails by itself; this is for network file systems, which hang. */
export const DEFAULT_DEADLINE_MS: number = 60_000
/** A range of at most this is given its memory before the file is known to hold it. */
const MAX_TRUSTED_RANGE_BYTES = 1024 * 1024

export class FileReader {
	readonly #root: string
	readonly #calls: FileCalls
	readonly #host: Host
	readonly #directories: FileDirectories
	readonly #writer: FileWriter
	readonly #handles: ReadHandles
	readonly #streams = new Set<PieceStream>()

	constructor(root: string, calls: FileCalls, host: Host, directories: FileDirectories, writer: FileWriter) {
		this.#root = root
		this.#calls = calls
		this.#host = host
		this.#directories = directories
		this.#writer = writer
		this.#handles = new ReadHandles(root, calls, host.clock, path => writer.isUnsettled(path))
	}

	async get(key: string): Promise<Uint8Array | undefined> {
		const handle = await this.#open(key)
		if (handle === undefined) return undefined
		try {
			const body = uninitialised(handle.status.bytes)
			await fill(handle, key, body, 0)
			return body
		} finally {
			handle.release()
		}
	}

	async getRange(
		key: string,
		range: ByteRange,
		options: RangeRequestOptions | undefined,
	): Promise<Uint8Array | undefined> {
		const path = `${this.#root}/${key}`
		const turn = range.bytes <= QUICK_READ_MAX_BYTES ? this.#handles.turnOf(key) : undefined
		if (turn !== undefined) {
			await turn
			const bytes = this.rangeNow(key, range, options && { into: options.into })
			if (bytes !== undefined) return bytes
		}
		if (range.bytes > MAX_TRUSTED_RANGE_BYTES) {
			const objectBytes = await this.#bytesOf(path)
			if (objectBytes !== undefined && range.offset + range.bytes > objectBytes) {
				throw shortObject(key, range, objectBytes)
			}
		}
		const target = rangeTarget(range, options)
		const bytesRead = await this.#handles.read(key, target, range.offset, () => this.#open(key))
		if (bytesRead === undefined) return undefined
		if (bytesRead < range.bytes) throw shortObject(key, range, range.offset + bytesRead)
		if (this.#writer.isUnsettled(path)) await this.#writer.settled(path)
		return target
	}

	/** The same at once, when that is certain to be quick; undefined otherwise, whatever the reason. Throws for wrong memory alone. */
	rangeNow(key: string, range: ByteRange, options: RangeRequestOptions | undefined): Uint8Array | undefined {
		if (range.bytes > QUICK_READ_MAX_BYTES || !this.#handles.mayReadNow(key)) return undefined
		if (options !== undefined && (options.deadlineMs !== undefined || options.signal?.aborted === true))
			return undefined
		const target = rangeTarget(range, options)
		return this.readNow(key, range.offset, target) === true ? target : undefined
	}

	/** As of the store contract. */
	readNow(key: string, offset: number, target: Uint8Array): boolean | Promise<void> {
		if (target.byteLength > QUICK_READ_MAX_BYTES) return false
		return this.#handles.readNow(key, target, offset)
	}

	async getStream(
		key: string,
		range: ByteRange | undefined,
		options: RequestOptions | undefined,
		scope: CallScope,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const handle = await this.#open(key)
		if (handle === undefined) return undefined
		const objectBytes = handle.status.bytes
		const begin = range?.offset ?? 0
		const end = range === undefined ? objectBytes : begin + range.bytes
		if (scope.isOver || end > objectBytes) handle.release()
		scope.throwIfOver()
		if (range !== undefined && end > objectBytes) throw shortObject(key, range, objectBytes)
		const source = {
			key,
			begin,
			end,
			read: (offset: number, bytes: number) => readPiece(handle, key, offset, bytes),
			release: () => {
				this.#streams.delete(stream)
				handle.release()
			},
		}
		const stream: PieceStream = new PieceStream(this.#host.clock, source, options, DEFAULT_DEADLINE_MS)
		this.#streams.add(stream)
		return stream
	}

	/** The name of `key` is about to go: lets its disk space go too. */
	forget(key: string): void {
		this.#handles.forget(key)
	}

	/** Closes what is open; streams fail with `cause`. */
	close(cause: unknown): void {
		for (const stream of this.#streams) stream.fail(cause)
		this.#handles.close()
	}

	/** The file of a key, open, or undefined when there is none. The caller releases it. */
	async #open(key: string): Promise<ReadHandle | undefined> {
		const path = `${this.#root}/${key}`
		let fd: number
		try {
			fd = await openWithPatience(this.#host, () => this.#calls.openRead(path))
		} catch (error) {
			if (!isMissing(error)) throw error
			await this.#directories.checkRoot()
			return undefined
		}
		let handle: ReadHandle | undefined
		try {
			const status = await this.#calls.statusOf(fd)
			// A directory stands for keys beneath it, and is no object.
			if (!status.isFile) return undefined
			if (this.#writer.isUnsettled(path)) await this.#writer.settled(path)
			handle = new ReadHandle(path, fd, status, this.#calls)
			return handle
		} finally {
			if (handle === undefined) await this.#calls.close(fd)
		}
	}

	async #bytesOf(path: string): Promise<number | undefined> {
		try {
			return (await this.#calls.status(path)).bytes
		} catch (error) {
			if (isMissing(error)) return undefined
			throw error
		}
	}
}

function isMissing(error: unknown): boolean {
	const errno = errnoOf(error)
	return errno === 'ENOENT' || errno === 'ENOTDIR'
}

async function fill(handle: ReadHandle, key: string, target: Uint8Array, offset: number): Promise<void> {
	const bytes = await handle.read(target, offset)
	if (bytes < target.byteLength) throw corrupt(key, `the file ended after \`${offset + bytes}\` bytes`)
}

async function readPiece(handle: ReadHandle, key: string, offset: number, bytes: number): Promise<Uint8Array> {
	const piece = uninitialised(bytes)
	try {
		await fill(handle, key, piece, offset)
	} catch (error) {
		throw fileError(error, 'getStream', key)
	}
	return piece
}
