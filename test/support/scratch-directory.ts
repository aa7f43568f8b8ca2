/** Directories of a test file: made beneath the system's temporary directory, removed when the file's tests have ended. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Call once at the top of a test file; what it answers makes a fresh path at each call (nothing is there yet). */
export function scratchDirectories(): () => string {
	const scratch = mkdtempSync(join(tmpdir(), 'isledb-test-'))
	let made = 0
	afterAll(() => rmSync(scratch, { recursive: true, force: true }))
	return () => join(scratch, String(made++))
}
