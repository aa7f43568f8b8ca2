/**
 * The system calls of the file store with faults behind them: any errno at any call, before it takes effect or after,
 * and a record of what was called in which order. Root is stopped by no permission, so this stands for file systems
 * that are full, read-only or broken, and for disks that lose what they were given.
 */
import { type FileCalls, systemFileCalls } from '../../src/object-store/file-calls.ts'

export type FileCallName = Exclude<keyof FileCalls, 'statusNow' | 'linksNow' | 'readNow' | 'readFileNow'>

interface FileRule {
	readonly name: FileCallName
	readonly errno: string
	readonly path: RegExp | undefined
	readonly effect: 'none' | 'done'
	left: number
}

export interface FileFaultOptions {
	/** Only calls whose (last) path matches; calls on a descriptor match the path that it was opened with. */
	readonly path?: RegExp
	/** Default 1. */
	readonly times?: number
	/** `done`: the call takes effect, and fails all the same. Default `none`. */
	readonly effect?: 'none' | 'done'
}

export class FaultyFileCalls {
	/** `name path` of each call, in the order in which they began. */
	readonly log: string[] = []
	/** Called before each call takes effect; what it returns is awaited. */
	before: ((name: FileCallName, path: string) => void | Promise<void>) | undefined
	readonly #rules: FileRule[] = []
	readonly #paths = new Map<number, string>()

	/** Pass these to `openFileStore`. */
	readonly calls: FileCalls

	constructor() {
		this.calls = this.#faulty()
	}

	#faulty(): FileCalls {
		return {
			openRead: path => this.#open('openRead', path, () => systemFileCalls.openRead(path)),
			openNew: path => this.#open('openNew', path, () => systemFileCalls.openNew(path)),
			close: fd => this.#close(fd),
			read: (fd, target, at, bytes, position) =>
				this.#run('read', this.#pathOf(fd), () => systemFileCalls.read(fd, target, at, bytes, position)),
			readNow: (fd, target, position) => this.#readNow(fd, target, position),
			readFileNow: (path, target) => {
				const isFaulty = this.before !== undefined || this.#rules.some(rule => rule.left > 0)
				return isFaulty ? undefined : systemFileCalls.readFileNow(path, target)
			},
			writev: (fd, pieces) => this.#run('writev', this.#pathOf(fd), () => systemFileCalls.writev(fd, pieces)),
			sync: fd => this.#run('sync', this.#pathOf(fd), () => systemFileCalls.sync(fd)),
			status: path => this.#run('status', path, () => systemFileCalls.status(path)),
			statusOf: fd => this.#run('statusOf', this.#pathOf(fd), () => systemFileCalls.statusOf(fd)),
			statusNow: path => systemFileCalls.statusNow(path),
			linksNow: fd => systemFileCalls.linksNow(fd),
			isLocal: path => this.#run('isLocal', path, async () => this.isLocal ?? systemFileCalls.isLocal(path)),
			link: (from, to) => this.#run('link', to, () => systemFileCalls.link(from, to)),
			rename: (from, to) => this.#run('rename', to, () => systemFileCalls.rename(from, to)),
			unlink: path => this.#run('unlink', path, () => systemFileCalls.unlink(path)),
			makeDirectory: path => this.#run('makeDirectory', path, () => systemFileCalls.makeDirectory(path)),
			readDirectory: path => this.#run('readDirectory', path, () => systemFileCalls.readDirectory(path)),
		}
	}

	/** Says so of the file system, whatever it is. */
	isLocal: boolean | undefined

	fail(name: FileCallName, errno: string, options: FileFaultOptions = {}): this {
		const { path, times = 1, effect = 'none' } = options
		this.#rules.push({ name, errno, path, effect, left: times })
		return this
	}

	heal(): void {
		this.#rules.length = 0
		this.before = undefined
	}

	/** Files that are open. */
	get openDescriptors(): number {
		return this.#paths.size
	}

	count(name: FileCallName, path: RegExp = /(?:)/): number {
		return this.log.filter(line => line.startsWith(`${name} `) && path.test(line)).length
	}

	async #open(name: 'openRead' | 'openNew', path: string, call: () => Promise<number>): Promise<number> {
		const fd = await this.#run(name, path, call)
		this.#paths.set(fd, path)
		return fd
	}

	async #close(fd: number): Promise<void> {
		const path = this.#pathOf(fd)
		this.#paths.delete(fd)
		await this.#run('close', path, () => systemFileCalls.close(fd))
	}

	/** What a fault waits for, or a test, goes through `read`. */
	#readNow(fd: number, target: Uint8Array, position: number): number {
		const path = this.#pathOf(fd)
		if (this.before !== undefined || this.#rules.some(rule => isRuleFor(rule, 'read', path))) return -1
		this.log.push(`read ${path}`)
		return systemFileCalls.readNow(fd, target, position)
	}

	#pathOf(fd: number): string {
		return this.#paths.get(fd) ?? `descriptor ${fd}`
	}

	async #run<T>(name: FileCallName, path: string, call: () => Promise<T>): Promise<T> {
		this.log.push(`${name} ${path}`)
		await this.before?.(name, path)
		const rule = this.#rules.find(candidate => isRuleFor(candidate, name, path))
		if (rule === undefined) return call()
		rule.left--
		if (rule.effect === 'done') await call()
		throw Object.assign(new Error(`${rule.errno}: injected, ${name} '${path}'`), { code: rule.errno, syscall: name })
	}
}

function isRuleFor(rule: FileRule, name: FileCallName, path: string): boolean {
	return rule.left > 0 && rule.name === name && (rule.path?.test(path) ?? true)
}
