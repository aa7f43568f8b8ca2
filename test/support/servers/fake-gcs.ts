/**
 * fake-gcs-server, in memory on a free port of the loopback interface: the emulator of Google Cloud Storage whose checks
 * of preconditions and writes are one step.
 *
 * It is built once by `go install` at a pinned version, into a folder of the user's cache; no binary is in the project.
 * Where there is no Go, or the build fails, there is no server, and `startFakeGcs` says why.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { startServerProcess } from './server-process.ts'
import { freePorts, type TestServer } from './test-server.ts'

/** Before August 2026 it checked a precondition and wrote in two steps. */
const VERSION = 'v1.56.1'
const MODULE = 'github.com/fsouza/fake-gcs-server'
/** A cold build on two cores: 40 s to 3 minutes. */
const BUILD_TIMEOUT_MS = 600_000

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

/** Path of the binary, built when it is not there yet. */
async function builtServer(): Promise<string> {
	const folder = join(cacheFolder(), 'isledb-test-servers', `fake-gcs-server-${VERSION}`)
	const path = join(folder, 'fake-gcs-server')
	if (await isThere(path)) return path
	const go = await findGo()
	if (go === undefined) throw new Error('there is no Go to build fake-gcs-server with')
	// Built beside its place and moved there, so that two runs at once do not start half a binary.
	const building = `${folder}.${process.pid}`
	try {
		await mkdir(building, { recursive: true })
		const env = { ...process.env, GOBIN: building, GOFLAGS: '-buildvcs=false' }
		await run(go, ['install', `${MODULE}@${VERSION}`], { env, timeout: BUILD_TIMEOUT_MS })
		await mkdir(folder, { recursive: true })
		await rename(join(building, 'fake-gcs-server'), path)
		return path
	} finally {
		await rm(building, { recursive: true, force: true })
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
