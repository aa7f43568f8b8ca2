/**
 * fake-gcs-server, in memory on a free port of the loopback interface: the emulator of Google Cloud Storage whose checks
 * of preconditions and writes are one step.
 *
 * It is built once at a pinned version (`go-program.ts`); where it cannot be, `startFakeGcs` says why.
 */
import type { FixedAnswer } from './faulty-proxy.ts'
import { builtGoProgram, type GoProgram } from './go-program.ts'
import { startServerProcess } from './server-process.ts'
import { freePorts, type TestServer } from './test-server.ts'

const PROGRAM: GoProgram = {
	name: 'fake-gcs-server',
	module: 'github.com/fsouza/fake-gcs-server',
	// Before August 2026 it checked a precondition and wrote in two steps.
	version: 'v1.56.1',
	// Cold, on two cores: 1 to 5 minutes, by what else they do.
	buildMaxMs: 600_000,
}

export interface FakeGcs extends TestServer {
	/** `http://127.0.0.1:<port>` */
	readonly endpoint: string
	/** Makes an empty bucket of a fresh name and answers its name. */
	createBucket(): Promise<string>
}

/** Starts it; rejects with the reason where it cannot be had. */
export async function startFakeGcs(): Promise<FakeGcs> {
	const path = await builtGoProgram(PROGRAM)
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
		name: `fake-gcs-server ${PROGRAM.version}`,
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

/** An answer of the JSON API that is an error. */
export function gcsAnswer(code: number, reason: string): FixedAnswer {
	const body = JSON.stringify({ error: { code, message: `said ${reason}`, errors: [{ reason, message: reason }] } })
	return { status: code, body, headers: { 'content-type': 'application/json' } }
}

// `node test/support/servers/fake-gcs.ts` builds it beforehand.
if (process.argv[1] === import.meta.filename) console.log(await builtGoProgram(PROGRAM))
