/**
 * Programs in Go that tests run beside them: built once by `go install` at a pinned version, into a folder of the user's
 * cache; no binary is in the project. What is downloaded is checked by Go against its checksum database.
 *
 * Where there is no Go, or the build fails, there is no program, and the reason is told.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { sleep, systemClock } from '../../../src/host/clock.ts'

export interface GoProgram {
	/** The last part of `module`: what `go install` calls the program. */
	readonly name: string
	readonly module: string
	/** A version of the module, exactly. */
	readonly version: string
	/** A cold build on two cores takes a part of it. */
	readonly buildMaxMs: number
}

const LOCK_POLL_MS = 500

const run = promisify(execFile)

/** Path of the program, built when it is not there yet; by one process at a time, while the others wait for it. */
export async function builtGoProgram(program: GoProgram): Promise<string> {
	const { name, module, version, buildMaxMs } = program
	const folder = join(cacheFolder(), 'isledb-test-servers', `${name}-${version}`)
	const path = join(folder, name)
	if (await isThere(path)) return path
	const go = await findGo()
	if (go === undefined) throw new Error(`there is no Go to build ${name} with`)
	await mkdir(folder, { recursive: true })
	const lock = join(folder, 'builder.pid')
	for (let waitedMs = 0; !(await takeLock(lock)); waitedMs += LOCK_POLL_MS) {
		if (waitedMs > buildMaxMs) throw new Error(`another process builds ${name}, and does not end`)
		await sleep(systemClock, LOCK_POLL_MS)
	}
	const building = join(folder, 'building')
	try {
		if (await isThere(path)) return path
		await mkdir(building, { recursive: true })
		const env = { ...process.env, GOBIN: building, GOFLAGS: '-buildvcs=false' }
		await run(go, ['install', `${module}@${version}`], { env, timeout: buildMaxMs, maxBuffer: 64 * 1024 * 1024 })
		await rename(join(building, name), path)
		return path
	} finally {
		await rm(building, { recursive: true, force: true })
		await rm(lock, { force: true })
	}
}

/** False while a process that lives holds it. */
async function takeLock(lock: string): Promise<boolean> {
	try {
		await writeFile(lock, String(process.pid), { flag: 'wx' })
		return true
	} catch {
		const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
		// Empty while its holder writes it.
		if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true })
		return false
	}
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
		return true
	} catch {
		return false
	}
}

function cacheFolder(): string {
	const named = process.env['XDG_CACHE_HOME'] ?? ''
	return named === '' ? join(homedir(), '.cache') : named
}

/** On the PATH, or where its own installer puts it. */
async function findGo(): Promise<string | undefined> {
	const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin']
	for (const folder of folders) if (await isThere(join(folder, 'go'))) return join(folder, 'go')
	return undefined
}

async function isThere(path: string): Promise<boolean> {
	try {
		await access(path)
		return true
	} catch {
		return false
	}
}
