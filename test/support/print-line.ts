/**
 * A line on the standard output of a program that is to be killed: once this has returned, the line is there, whatever happens next.
 *
 * `process.stdout` of a child process writes at once only while the other side keeps up: some 280 short lines behind, it puts the rest
 * aside, and they die with the process. This waits until the other side has read.
 */
import { writeSync } from 'node:fs'

const STANDARD_OUTPUT = 1
const PAUSE_MS = 1

export function printLine(line: string): void {
	let left: Uint8Array = Buffer.from(`${line}\n`)
	while (left.byteLength > 0) left = left.subarray(writeSome(left))
}

function writeSome(bytes: Uint8Array): number {
	try {
		return writeSync(STANDARD_OUTPUT, bytes)
	} catch (error) {
		// Full; and whoever starts a thread makes the descriptor one that does not wait by itself.
		if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
		return 0
	}
}
