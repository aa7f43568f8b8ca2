/**
 * The system calls of the file store, as promises over the callback API of node:fs, in one place so that tests can
 * put any errno behind any of them. Callbacks, because `fs.promises` costs 28 µs of CPU where these cost 24 for the
 * open, read and close of 4 KiB, and its handles cannot be shared between reads without bookkeeping of their own.
 */
import fs from 'node:fs'

/** What identifies a file for as long as it is open, and what listings show. */
export interface FileStatus {
	readonly device: bigint
	readonly inode: bigint
	readonly bytes: number
	readonly links: number
	readonly modifiedMs: number
	readonly isFile: boolean
	readonly isDirectory: boolean
}

/** What changes whenever a name of a file comes, goes, or becomes another. */
export interface FileLinks {
	readonly links: number
	/** Of its status (ctime), not its contents. */
	readonly changedMs: number
}

export interface FileCalls {
	/** A file that exists, for reading. A symbolic link at the last component is refused (ELOOP). */
	openRead(path: string): Promise<number>
	/** A new file for writing; EEXIST when the name is taken. */
	openNew(path: string): Promise<number>
	close(fd: number): Promise<void>
	/** Bytes read into `target` from `targetOffset`; 0 at the end of the file. */
	read(fd: number, target: Uint8Array, targetOffset: number, bytes: number, position: number): Promise<number>
	/** `read` into the whole of `target` without leaving the thread; −1 when it cannot be had so. */
	readNow(fd: number, target: Uint8Array, position: number): number
	/**
	 * Opens, reads into `target` and closes without leaving the thread: the bytes read, −1 when nothing is there, undefined when
	 * it cannot be had so.
	 */
	readFileNow(path: string, target: Uint8Array): number | undefined
	/** Bytes written, possibly fewer than the pieces hold. */
	writev(fd: number, pieces: readonly Uint8Array[]): Promise<number>
	sync(fd: number): Promise<void>
	/** Of the path itself: a symbolic link is not followed. */
	status(path: string): Promise<FileStatus>
	statusOf(fd: number): Promise<FileStatus>
	/** `status` without leaving the thread; undefined when there is nothing. For local file systems only. */
	statusNow(path: string): FileStatus | undefined
	/** Of an open file, without leaving the thread. For local file systems only. */
	linksNow(fd: number): FileLinks
	/** True when the file system answers from this machine's memory or disks, so that `statusNow` cannot hang. */
	isLocal(path: string): Promise<boolean>
	link(from: string, to: string): Promise<void>
	rename(from: string, to: string): Promise<void>
	unlink(path: string): Promise<void>
	makeDirectory(path: string): Promise<void>
	readDirectory(path: string): Promise<fs.Dirent[]>
}

type Done = (error: Error | null) => void
type DoneWith<T> = (error: Error | null, value: T) => void

function finished(call: (done: Done) => void): Promise<void> {
	return new Promise((resolve, reject) => {
		call(error => (error === null ? resolve() : reject(error)))
	})
}

function answered<T>(call: (done: DoneWith<T>) => void): Promise<T> {
	return new Promise((resolve, reject) => {
		call((error, value) => (error === null ? resolve(value) : reject(error)))
	})
}

function fileStatus(stats: fs.BigIntStats): FileStatus {
	return {
		device: stats.dev,
		inode: stats.ino,
		bytes: Number(stats.size),
		links: Number(stats.nlink),
		modifiedMs: Number(stats.mtimeMs),
		isFile: stats.isFile(),
		isDirectory: stats.isDirectory(),
	}
}

const BIGINT = { bigint: true } as const
const READ = fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0)
/** What a umask leaves of it is the mode of an object. */
const NEW_FILE_MODE = 0o666

/** f_type of statfs(2) on Linux; elsewhere other numbers come back, and nothing is taken for local. */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
	0xef53, // ext2, ext3, ext4
	0x58465342, // XFS
	0x9123683e, // Btrfs
	0xf2f52010, // F2FS
	0x2fc12fc1, // ZFS
	0x01021994, // tmpfs
	0x794c7630, // overlayfs
])

function readFileNow(path: string, target: Uint8Array): number | undefined {
	let fd: number | undefined
	try {
		fd = fs.openSync(path, READ)
		return fs.readSync(fd, target, 0, target.byteLength, 0)
	} catch (error) {
		return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? -1 : undefined
	} finally {
		if (fd !== undefined) fs.closeSync(fd)
	}
}

export const systemFileCalls: FileCalls = {
	openRead: path => answered(done => fs.open(path, READ, done)),
	openNew: path => answered(done => fs.open(path, 'wx', NEW_FILE_MODE, done)),
	close: fd => finished(done => fs.close(fd, error => done(error ?? null))),
	read: (fd, target, targetOffset, bytes, position) =>
		answered(done => fs.read(fd, target, targetOffset, bytes, position, done)),
	readNow: (fd, target, position) => fs.readSync(fd, target, 0, target.byteLength, position),
	readFileNow,
	writev: (fd, pieces) => answered(done => fs.writev(fd, pieces, done)),
	sync: fd => finished(done => fs.fsync(fd, done)),
	status: path => answered<fs.BigIntStats>(done => fs.lstat(path, BIGINT, done)).then(fileStatus),
	statusOf: fd => answered<fs.BigIntStats>(done => fs.fstat(fd, BIGINT, done)).then(fileStatus),
	statusNow: path => {
		const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
		return stats === undefined ? undefined : fileStatus(stats)
	},
	linksNow: fd => {
		const { nlink, ctimeMs } = fs.fstatSync(fd)
		return { links: nlink, changedMs: ctimeMs }
	},
	isLocal: path => answered<fs.StatsFs>(done => fs.statfs(path, done)).then(({ type }) => LOCAL_TYPES.has(type)),
	link: (from, to) => finished(done => fs.link(from, to, done)),
	rename: (from, to) => finished(done => fs.rename(from, to, done)),
	unlink: path => finished(done => fs.unlink(path, done)),
	makeDirectory: path => finished(done => fs.mkdir(path, done)),
	readDirectory: path => answered(done => fs.readdir(path, { withFileTypes: true }, done)),
}
