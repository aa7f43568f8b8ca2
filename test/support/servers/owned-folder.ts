/**
 * Temporary folders of servers, each with the name of its owner in it. A test run that was killed cannot remove what it
 * made; the next one does.
 *
 * Invariant: only a folder is removed whose marker names a process of this machine, and of this process's namespace of
 * ids, that is no more. One without a marker is somebody else's, or is being made at this moment.
 */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

const MARKER = 'isledb-test-owner'

/** Makes a folder of a fresh name that begins with `prefix`, after what dead owners of such folders left is removed. */
export function makeOwnedFolder(prefix: string, parent: string = tmpdir()): string {
	for (const name of readdirSync(parent)) {
		const folder = join(parent, name)
		if (name.startsWith(prefix) && isAbandoned(folder)) rmSync(folder, { recursive: true, force: true })
	}
	const folder = mkdtempSync(join(parent, prefix))
	writeFileSync(join(folder, MARKER), `${namespace()} ${process.pid}`)
	return folder
}

/** True while a process has this id, also one that is not ours to signal. */
function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
		return true
	} catch (error) {
		return error instanceof Error && 'code' in error && error.code === 'EPERM'
	}
}

function isAbandoned(folder: string): boolean {
	let marker: string
	try {
		marker = readFileSync(join(folder, MARKER), 'utf8')
	} catch {
		return false
	}
	const [owner, pid] = [marker.slice(0, marker.lastIndexOf(' ')), Number(marker.slice(marker.lastIndexOf(' ') + 1))]
	return owner === namespace() && Number.isSafeInteger(pid) && pid > 0 && !isAlive(pid)
}

/** A folder may be shared by containers, in each of which an id means another process. */
function namespace(): string {
	try {
		return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`
	} catch {
		return hostname()
	}
}
