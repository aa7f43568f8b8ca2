/**
 * Compiles the merge kernel (wasm/) into src/sst/kernel-code.ts: `npm run kernel`, after every change of it.
 *
 * The result is in the repository, so that neither users nor the build need the compiler; a test compares the two.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const OUTPUT = join(ROOT, 'src/sst/kernel-code.ts')
const LINE_CHARACTERS = 100

/** The text of src/sst/kernel-code.ts. Throws with what the compiler said. */
export function compileKernel(): string {
	const folder = mkdtempSync(join(tmpdir(), 'isledb-kernel-'))
	try {
		const code = join(folder, 'kernel.wasm')
		const compiler = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
		const options = ['-O3', '--runtime', 'stub', '--noAssert', '--use', 'abort=', '--enable', 'simd']
		const args = [compiler, 'wasm/merge-kernel.ts', '--outFile', code, '--initialMemory', '1', ...options]
		const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
		if (error !== undefined) throw error
		if (status !== 0 || stderr.includes('WARNING')) throw new Error(`asc ended with ${status}\n${stdout}${stderr}`)
		return sourceOf(readFileSync(code))
	} finally {
		rmSync(folder, { recursive: true })
	}
}

function sourceOf(code: Uint8Array): string {
	const text = Buffer.from(code).toString('base64')
	const lines = text.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g')) ?? []
	return `/** The merge kernel as WebAssembly, ${code.length} bytes: made by tools/build-kernel.ts from wasm/, never by hand. */
const CODE = \`
${lines.join('\n')}
\`

export function kernelCode(): Uint8Array {
	return Uint8Array.from(atob(CODE), character => character.charCodeAt(0))
}
`
}

if (process.argv[1] === import.meta.filename) writeFileSync(OUTPUT, compileKernel())
