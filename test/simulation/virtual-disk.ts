/**
 * The disk of a history, in memory: what caches on disk see instead of `node:fs`, so that their files are as repeatable as all else.
 * Nothing there is ever synced; so a crash of the machine leaves of each file all, a part, noise, or nothing.
 */
import { type Random, seededRandom } from '../../src/host/random.ts'

export interface VirtualFile {
	readonly kind: 'file'
	bytes: Uint8Array
	modifiedMs: number
}

type VirtualNode = VirtualFile | { readonly kind: 'directory' }

const FAILURES = ['ENOSPC', 'EIO', 'EROFS'] as const
/** Says whose a directory is: with any other text in it the directory is somebody else's. */
const MARKER = '/isledb-cache'
/** Numbers of files begin where no system would have any. */
const FIRST_FD = 1_000_000

export class VirtualDisk {
	readonly #nodes = new Map<string, VirtualNode>([['/', { kind: 'directory' }]])
	readonly #open = new Map<number, VirtualFile>()
	readonly #random: Random
	readonly #faultRate: number
	#nextFd = FIRST_FD
	/** Calls that failed because the disk did. */
	failures = 0

	constructor(seed: number, faultRate: number) {
		this.#random = seededRandom(seed)
		this.#faultRate = faultRate
	}

	get files(): number {
		let files = 0
		for (const node of this.#nodes.values()) if (node.kind === 'file') files++
		return files
	}

	/** The machine has lost its power: beneath `directory` nothing is as sure as it was, and perhaps nothing is left. */
	crash(directory: string): void {
		const isGone = this.#random.next() < 0.2
		for (const [path, node] of this.#nodes) {
			if (!path.startsWith(`${directory}/`)) continue
			if (isGone) this.#nodes.delete(path)
			else if (node.kind === 'file') this.#damage(path, node)
		}
	}

	node(path: string, call: string): VirtualNode {
		this.mayFail(call, path)
		const node = this.#nodes.get(path)
		if (node === undefined) throw failed('ENOENT', call, path)
		return node
	}

	has(path: string): boolean {
		return this.#nodes.has(path)
	}

	open(path: string, isNew: boolean): number {
		let node = isNew ? undefined : this.node(path, 'open')
		if (isNew) {
			this.mayFail('open', path)
			if (this.#nodes.has(path)) throw failed('EEXIST', 'open', path)
			this.#needParent(path, 'open')
			node = { kind: 'file', bytes: new Uint8Array(0), modifiedMs: 0 }
			this.#nodes.set(path, node)
		}
		if (node?.kind !== 'file') throw failed('EISDIR', 'open', path)
		this.#open.set(this.#nextFd, node)
		return this.#nextFd++
	}

	file(fd: number): VirtualFile {
		const file = this.#open.get(fd)
		if (file === undefined) throw failed('EBADF', 'read', String(fd))
		return file
	}

	close(fd: number): void {
		this.#open.delete(fd)
	}

	makeDirectory(path: string): void {
		this.mayFail('mkdir', path)
		if (this.#nodes.has(path)) throw failed('EEXIST', 'mkdir', path)
		this.#needParent(path, 'mkdir')
		this.#nodes.set(path, { kind: 'directory' })
	}

	list(path: string): { readonly name: string; readonly kind: VirtualNode['kind'] }[] {
		this.node(path, 'scandir')
		const prefix = `${path}/`
		return [...this.#nodes]
			.filter(([other]) => other.startsWith(prefix) && !other.slice(prefix.length).includes('/'))
			.map(([other, { kind }]) => ({ name: other.slice(prefix.length), kind }))
	}

	rename(from: string, to: string): void {
		const node = this.node(from, 'rename')
		this.#needParent(to, 'rename')
		this.#nodes.delete(from)
		this.#nodes.set(to, node)
	}

	remove(path: string): void {
		this.node(path, 'unlink')
		this.#nodes.delete(path)
	}

	mayFail(call: string, path: string): void {
		if (this.#faultRate === 0 || this.#random.next() >= this.#faultRate) return
		this.failures++
		throw failed(FAILURES[Math.floor(this.#random.next() * FAILURES.length)] ?? 'EIO', call, path)
	}

	#needParent(path: string, call: string): void {
		const parent = path.slice(0, path.lastIndexOf('/')) || '/'
		if (this.#nodes.get(parent)?.kind !== 'directory') throw failed('ENOENT', call, path)
	}

	#damage(path: string, file: VirtualFile): void {
		const roll = this.#random.next()
		const { bytes } = file
		const at = Math.floor(this.#random.next() * bytes.length)
		if (roll < 0.4) return
		if (roll < 0.55) this.#nodes.delete(path)
		else if (roll < 0.7) file.bytes = bytes.slice(0, at)
		else if (roll < 0.85) file.bytes = bytes.slice().fill(0, at)
		else if (!path.endsWith(MARKER)) file.bytes = bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte))
	}
}

let current = new VirtualDisk(0, 0)

/** Histories run one at a time in a thread, and each has a disk of its own. */
export function currentDisk(): VirtualDisk {
	return current
}

export function useDisk(disk: VirtualDisk): void {
	current = disk
}

function failed(errno: string, call: string, path: string): Error {
	return Object.assign(new Error(`${errno}: ${call} '${path}'`), { code: errno, syscall: call, path })
}
