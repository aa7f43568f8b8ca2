/**
 * fake-gcs-server, in memory on a free port of the loopback interface: the emulator of Google Cloud Storage whose checks
 * of preconditions and writes are one step.
 *
 * It is built once by `go install` at a pinned version, into a folder of the user's cache; no binary is in the project.
 * Where there is no Go, or the build fails, there is no server, and `startFakeGcs` says why.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { sleep, systemClock } from '../../../src/host/clock.ts'
import { startServerProcess } from './server-process.ts'
import { freePorts, type TestServer } from './test-server.ts'

/** Before August 2026 it checked a precondition and wrote in two steps. */
const VERSION = 'v1.56.1'
const MODULE = 'github.com/fsouza/fake-gcs-server'
/** A cold build on two cores: 1 to 5 minutes, by what else they do. */
const BUILD_TIMEOUT_MS = 600_000
const LOCK_POLL_MS = 500

const run = promisify(execFile)

export interface FakeGcs extends TestServer {
	/** `http://127.0.0.1:<port>` */
	readonly endpoint: string
	/** Makes an empty bucket of a fresh name and answers its name. */
	createBucket(): Promise<string>
}

/** Starts it; rejects with the reason where it cannot be had. */
export async function startFakeGcs(): Promise<FakeGcs> {
	const path = await builtServer()
	const [port = 0] = await freePorts(1)
	const endpoint = `http://127.0.0.1:${port}`
	const args = ['-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)]
	const server = await startServerProcess(
		path,
		[...args, '-external-url', endpoint, '-public-host', `127.0.0.1:${port}`, '-log-level', 'info'],
		/server started at/,
	)
	let buckets = 0
	return {
		name: `fake-gcs-server ${VERSION}`,
		endpoint,
		async createBucket() {
			const name = `test-${process.pid}-${buckets++}`
			const answer = await fetch(`${endpoint}/storage/v1/b?project=test`, {
				method: 'POST',
				headers: { 'content-type': 'application/json' },
				body: JSON.stringify({ name }),
			})
			if (!answer.ok) throw new Error(`no bucket could be made: ${answer.status} ${await answer.text()}`)
			return name
		},
		stop: () => server.stop(),
	}
}

/** Path of the binary, built when it is not there yet; by one process at a time, while the others wait for it. */
async function builtServer(): Promise<string> {
	const folder = join(cacheFolder(), 'isledb-test-servers', `fake-gcs-server-${VERSION}`)
	const path = join(folder, 'fake-gcs-server')
	if (await isThere(path)) return path
	const go = await findGo()
	if (go === undefined) throw new Error('there is no Go to build fake-gcs-server with')
	await mkdir(folder, { recursive: true })
	const lock = join(folder, 'builder.pid')
	for (let waitedMs = 0; !(await takeLock(lock)); waitedMs += LOCK_POLL_MS) {
		if (waitedMs > BUILD_TIMEOUT_MS) throw new Error('another process builds fake-gcs-server, and does not end')
		await sleep(systemClock, LOCK_POLL_MS)
	}
	const building = join(folder, 'building')
	try {
		if (await isThere(path)) return path
		await mkdir(building, { recursive: true })
		const env = { ...process.env, GOBIN: building, GOFLAGS: '-buildvcs=false' }
		await run(go, ['install', `${MODULE}@${VERSION}`], { env, timeout: BUILD_TIMEOUT_MS })
		await rename(join(building, 'fake-gcs-server'), path)
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

// `node test/support/servers/fake-gcs.ts` builds it beforehand.
if (process.argv[1] === import.meta.filename) console.log(await builtServer())
