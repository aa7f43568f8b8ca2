/** Golden files: bytes of a format as they were first written, kept so that no later change alters them unnoticed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

export function readGolden(url: URL): Uint8Array {
	return new Uint8Array(readFileSync(url))
}

/** Writes a golden file once; one that exists is never replaced. */
export function writeMissing(url: URL, bytes: Uint8Array): void {
	if (existsSync(url)) return
	writeFileSync(url, bytes)
	process.stdout.write(`${url.pathname.split('/').at(-1)}: ${bytes.length} bytes\n`)
}
