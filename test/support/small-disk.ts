/** A small file system of its own (tmpfs), where this process may mount one: to be filled up, and to be made read-only while in use. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep, systemClock } from '../../src/host/clock.ts'

/** A file that is open for writing holds a change to read-only back. */
const REMOUNT_TRIES = 200
const REMOUNT_PAUSE_MS = 10

export class SmallDisk implements Disposable {
	readonly path: string

	/** Throws the reason where it cannot be mounted. */
	constructor(bytes: number) {
		this.path = mkdtempSync(join(tmpdir(), 'isledb-disk-'))
		const reason = run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'isledb-test', this.path)
		if (reason === undefined) return
		rmSync(this.path, { recursive: true })
		throw new Error(reason)
	}

	/** Resolves once it is. */
	async makeReadOnly(): Promise<void> {
		for (let tries = 0; ; tries++) {
			const reason = run('mount', '-o', 'remount,ro', this.path)
			if (reason === undefined) return
			if (tries === REMOUNT_TRIES) throw new Error(reason)
			await sleep(systemClock, REMOUNT_PAUSE_MS)
		}
	}

	makeWritable(): void {
		const reason = run('mount', '-o', 'remount,rw', this.path)
		if (reason !== undefined) throw new Error(reason)
	}

	[Symbol.dispose](): void {
		// Lazily: a process that was killed may still be on its way out.
		run('umount', '-l', this.path)
		rmSync(this.path, { recursive: true, force: true })
	}
}

/** Undefined where disks can be mounted; else the reason, which is also told where everybody sees it. */
export function whyNoSmallDisk(): string | undefined {
	try {
		new SmallDisk(1_048_576)[Symbol.dispose]()
		return undefined
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error)
		console.warn(`\n!!! NO FILE SYSTEM CAN BE MOUNTED HERE, tests of full and read-only disks are SKIPPED: ${reason}\n`)
		return reason
	}
}

function run(program: string, ...args: readonly string[]): string | undefined {
	const { error, status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
	if (error === undefined && status === 0) return undefined
	return error?.message ?? (stderr.trim() || `${program} ended with ${status}`)
}
