/** `node:fs/promises` for what caches on disk call, on the virtual disk: see `engine.ts`. */

import { currentDisk } from './virtual-disk.ts'
import { type Status, statusOf } from './virtual-disk-calls.ts'

export async function lstat(path: string): Promise<Status> {
	return statusOf(path)
}

export async function stat(path: string): Promise<Status> {
	return statusOf(path)
}

export async function mkdir(path: string): Promise<void> {
	currentDisk().makeDirectory(path)
}

export async function readdir(path: string): Promise<string[]> {
	return currentDisk()
		.list(path)
		.map(({ name }) => name)
}

export async function readFile(path: string): Promise<string> {
	const node = currentDisk().node(path, 'open')
	return node.kind === 'file' ? Buffer.from(node.bytes).toString() : ''
}

/** A new file: the only kind that a cache writes so. */
export async function writeFile(path: string, text: string): Promise<void> {
	const disk = currentDisk()
	const fd = disk.open(path, true)
	disk.file(fd).bytes = new TextEncoder().encode(text)
	disk.close(fd)
}
