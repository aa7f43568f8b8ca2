/** `node:fs` for what caches on disk call, on the virtual disk: see `engine.ts`. */

import { currentDisk, type VirtualFile } from './virtual-disk.ts'

/** Of a directory. */
interface Entry {
	readonly name: string
	isDirectory(): boolean
	isFile(): boolean
}

export interface Status {
	readonly size: number
	readonly mtimeMs: number
	isDirectory(): boolean
	isFile(): boolean
}

type Done<Value> = (error: unknown, value?: Value) => void

/** f_type of ext4: of this machine. */
const LOCAL_TYPE = 0xef53

export function statusOf(path: string): Status {
	const node = currentDisk().node(path, 'lstat')
	const isFile = node.kind === 'file'
	return {
		size: isFile ? node.bytes.length : 0,
		mtimeMs: isFile ? node.modifiedMs : 0,
		isDirectory: () => !isFile,
		isFile: () => isFile,
	}
}

function read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
	const { bytes } = currentDisk().file(fd)
	const piece = bytes.subarray(position, position + length)
	target.set(piece, offset)
	return piece.length
}

function setTime(file: VirtualFile, modified: number): void {
	file.modifiedMs = modified * 1000
}

/** Answers as callbacks are: never before the call has returned. */
function later<Value>(done: Done<Value>, call: () => Value): void {
	queueMicrotask(() => {
		let value: Value
		try {
			value = call()
		} catch (error) {
			done(error)
			return
		}
		done(null, value)
	})
}

interface DiskCalls {
	readonly constants: { readonly O_RDONLY: number; readonly O_NOFOLLOW: number }
	openSync(path: string, flags: number | string): number
	closeSync(fd: number): void
	readSync(fd: number, target: Uint8Array, offset: number, length: number, position: number): number
	readFileSync(fd: number): Uint8Array
	writevSync(fd: number, pieces: readonly Uint8Array[]): number
	futimesSync(fd: number, accessed: number, modified: number): void
	utimesSync(path: string, accessed: number, modified: number): void
	renameSync(from: string, to: string): void
	unlinkSync(path: string): void
	mkdirSync(path: string): void
	readdirSync(path: string): Entry[]
	lstatSync(path: string): Status | undefined
	open(path: string, flags: number, done: Done<number>): void
	close(fd: number, done: Done<void>): void
	read(fd: number, target: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void
	unlink(path: string, done: Done<void>): void
	statfs(path: string, done: Done<{ readonly type: number }>): void
}

export const diskCalls: DiskCalls = {
	constants: { O_RDONLY: 0, O_NOFOLLOW: 0 },
	openSync: (path: string, flags: number | string): number => currentDisk().open(path, flags === 'wx'),
	closeSync: (fd: number): void => currentDisk().close(fd),
	readSync: read,
	readFileSync: (fd: number): Uint8Array => new Uint8Array(currentDisk().file(fd).bytes),
	writevSync: (fd: number, pieces: readonly Uint8Array[]): number => {
		const file = currentDisk().file(fd)
		currentDisk().mayFail('writev', String(fd))
		const added = Buffer.concat(pieces)
		file.bytes = new Uint8Array(Buffer.concat([file.bytes, added]))
		return added.length
	},
	futimesSync: (fd: number, _accessed: number, modified: number): void => {
		setTime(currentDisk().file(fd), modified)
	},
	utimesSync: (path: string, _accessed: number, modified: number): void => {
		const node = currentDisk().node(path, 'utimes')
		if (node.kind === 'file') setTime(node, modified)
	},
	renameSync: (from: string, to: string): void => currentDisk().rename(from, to),
	unlinkSync: (path: string): void => currentDisk().remove(path),
	mkdirSync: (path: string): void => currentDisk().makeDirectory(path),
	readdirSync: (path: string): Entry[] =>
		currentDisk()
			.list(path)
			.map(({ name, kind }) => ({ name, isDirectory: () => kind === 'directory', isFile: () => kind === 'file' })),
	lstatSync: (path: string): Status | undefined => (currentDisk().has(path) ? statusOf(path) : undefined),
	open: (path: string, _flags: number, done: Done<number>): void => later(done, () => currentDisk().open(path, false)),
	close: (fd: number, done: Done<void>): void => later(done, () => currentDisk().close(fd)),
	read: (fd: number, target: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void =>
		later(done, () => read(fd, target, offset, length, position)),
	unlink: (path: string, done: Done<void>): void => later(done, () => currentDisk().remove(path)),
	statfs: (path: string, done: Done<{ readonly type: number }>): void =>
		later(done, () => {
			statusOf(path)
			return { type: LOCAL_TYPE }
		}),
}
