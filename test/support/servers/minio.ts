/**
 * MinIO, an S3 server, on a free port of the loopback interface, over a temporary folder of its own.
 *
 * It is built once at a pinned version (`go-program.ts`): a heavy build, three minutes and more on two cores and 3 GB of
 * Go's caches, which is why no test of `npm test` asks for it. It checks the region that requests are signed for.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { S3Server } from './ceph-rgw.ts'
import { builtGoProgram, type GoProgram } from './go-program.ts'
import { startServerProcess } from './server-process.ts'
import { freePorts, type TestServer } from './test-server.ts'

const PROGRAM: GoProgram = {
	name: 'minio',
	module: 'github.com/minio/minio',
	// Releases of MinIO are no versions in the sense of Go: this names the last commit of its main branch.
	version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
	buildMaxMs: 1_800_000,
}
const REGION = 'us-east-1'

export type Minio = TestServer & Omit<S3Server, 'stranger'>

/** Builds it where it is not there yet, and starts it; rejects with the reason where it cannot be had. */
export async function startMinio(): Promise<Minio> {
	const path = await builtGoProgram(PROGRAM)
	const [port = 0] = await freePorts(1)
	const address = `127.0.0.1:${port}`
	const [accessKeyId, secretAccessKey] = ['testaccess', 'testsecret']
	const folder = mkdtempSync(join(tmpdir(), 'isledb-minio-'))
	try {
		const server = await startServerProcess(path, ['server', folder, '--address', address], /API: http/, {
			MINIO_ROOT_USER: accessKeyId,
			MINIO_ROOT_PASSWORD: secretAccessKey,
			MINIO_SITE_REGION: REGION,
			// No page for administrators, and no question whether there is a newer release.
			MINIO_BROWSER: 'off',
			MINIO_UPDATE: 'off',
		})
		return {
			name: `MinIO ${PROGRAM.version}`,
			endpoint: `http://${address}`,
			accessKeyId,
			secretAccessKey,
			async stop() {
				await server.stop()
				rmSync(folder, { recursive: true, force: true })
			},
		}
	} catch (error) {
		rmSync(folder, { recursive: true, force: true })
		throw error
	}
}

// `node test/support/servers/minio.ts` builds it.
if (process.argv[1] === import.meta.filename) console.log(await builtGoProgram(PROGRAM))
