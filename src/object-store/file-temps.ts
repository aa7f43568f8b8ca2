/**
 * Files that are not yet objects. They live in `.isledb-tmp` beneath the root, so that they are on the file system of
 * the objects (link and rename do not cross) and no listing meets them.
 *
 * A name says who made it: `t-<machine>-<pid>-<random>`. A process that dies leaves its file behind; the first write of
 * each store sweeps, once:
 * - what another process of this boot and pid namespace made, when no process has that pid any more;
 * - what has not been written to for 24 hours, by the clock of the file system itself, whoever made it.
 * Nothing else is touched. A sweep can never lose data: the owner of a file that was swept after all (stopped for a
 * day, say) finds that its link fails, and reports that nothing was created.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from '../bytes/crc32.ts'
import { sleep } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import type { FileCalls } from './file-calls.ts'
import { errnoOf } from './file-errors.ts'
import { RESERVED_SEGMENT } from './object-key.ts'

/** 24 hours: longer than a process is ever stopped and goes on. */
const STALE_TEMP_MS = 24 * 60 * 60 * 1000
/** Entries that one sweep looks at; the next store sweeps on. */
const MAX_SWEPT_ENTRIES = 10_000
const MAX_NAME_ATTEMPTS = 10
/** Pauses of 4 to 256 ms, half a second in all, for other calls to give their file descriptors back. */
const MAX_OPEN_ATTEMPTS = 8
const FIRST_OPEN_PAUSE_MS = 4

const TEMP_NAME = /^t-([0-9a-f]{8}|any)-([1-9]\d{0,9})-[0-9a-f]{24}$/

export interface TempFile {
	readonly path: string
	readonly fd: number
}

export class FileTemps {
	readonly directory: string
	readonly #calls: FileCalls
	readonly #host: Host
	readonly #machine: string
	#sweep: Promise<void> | undefined

	constructor(root: string, calls: FileCalls, host: Host, machine: string = machineToken()) {
		this.directory = join(root, RESERVED_SEGMENT)
		this.#calls = calls
		this.#host = host
		this.#machine = machine
	}

	/** A new empty file, open for writing, that the caller closes and removes. */
	async create(): Promise<TempFile> {
		const temp = await this.#open()
		this.#sweep ??= this.#sweepStale(temp.fd).catch(() => {
			// Leftovers stay until a later store sweeps: they cost space and nothing else.
		})
		return temp
	}

	/** Resolves when no sweep runs any more. */
	async idle(): Promise<void> {
		await this.#sweep
	}

	async #open(): Promise<TempFile> {
		for (let attempt = 1; ; attempt++) {
			const random = Buffer.from(this.#host.random.bytes(12)).toString('hex')
			const path = join(this.directory, `t-${this.#machine}-${process.pid}-${random}`)
			try {
				return { path, fd: await openWithPatience(this.#host, () => this.#calls.openNew(path)) }
			} catch (error) {
				// Two stores of one process may have been given the same seed.
				if (errnoOf(error) !== 'EEXIST' || attempt === MAX_NAME_ATTEMPTS) throw error
			}
		}
	}

	async #sweepStale(freshFd: number): Promise<void> {
		const nowMs = (await this.#calls.statusOf(freshFd)).modifiedMs
		const entries = await this.#calls.readDirectory(this.directory)
		for (const entry of entries.slice(0, MAX_SWEPT_ENTRIES)) {
			const [, machine, pid] = TEMP_NAME.exec(entry.name) ?? []
			if (machine === undefined || Number(pid) === process.pid) continue
			const path = join(this.directory, entry.name)
			try {
				const isOrphan = machine === this.#machine && machine !== 'any' && !isAlive(Number(pid))
				if (!isOrphan && (await this.#calls.status(path)).modifiedMs > nowMs - STALE_TEMP_MS) continue
				await this.#calls.unlink(path)
			} catch (error) {
				if (errnoOf(error) !== 'ENOENT') throw error
			}
		}
	}
}

/** Opens a file; when there are no descriptors left, waits for some a few times before it gives up. */
export async function openWithPatience(host: Host, open: () => Promise<number>): Promise<number> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await open()
		} catch (error) {
			const errno = errnoOf(error)
			if ((errno !== 'EMFILE' && errno !== 'ENFILE') || attempt === MAX_OPEN_ATTEMPTS) throw error
			await sleep(host.clock, FIRST_OPEN_PAUSE_MS * 2 ** (attempt - 1))
		}
	}
}

/** Signal 0 asks whether the process is there; EPERM says that it is, and another user's. */
function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
		return true
	} catch (error) {
		return errnoOf(error) !== 'ESRCH'
	}
}

/**
 * Names the pids that mean the same here: the boot and the pid namespace, hashed. `any` where the system does not
 * tell (not Linux): files of that name are swept by age only. Asked once: neither changes while a process lives.
 */
export function machineToken(): string {
	token ??= askForToken()
	return token
}

let token: string | undefined

function askForToken(): string {
	try {
		const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
		return crc32(Buffer.from(boot + readlinkSync('/proc/self/ns/pid')))
			.toString(16)
			.padStart(8, '0')
	} catch {
		return 'any'
	}
}
