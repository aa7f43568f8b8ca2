/**
 * Compiles the kernels (wasm/) into src/sst/kernel-code.ts and flush-code.ts: `npm run kernel`, after every change of them.
 *
 * The results are in the repository, so that neither users nor the build need the compiler; a test compares the two.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

export interface Kernel {
	readonly source: string
	readonly output: string
	/** As comments name it. */
	readonly name: string
	/** The function that answers its code. */
	readonly accessor: string
}

export const KERNELS: readonly Kernel[] = [
	{ source: 'wasm/merge-kernel.ts', output: 'src/sst/kernel-code.ts', name: 'merge kernel', accessor: 'kernelCode' },
	{ source: 'wasm/flush-kernel.ts', output: 'src/sst/flush-code.ts', name: 'flush kernel', accessor: 'flushCode' },
]

const LINE_CHARACTERS = 100

/** The text of its output. Throws with what the compiler said. */
export function compileKernel(kernel: Kernel): string {
	const folder = mkdtempSync(join(tmpdir(), 'isledb-kernel-'))
	try {
		const code = join(folder, 'kernel.wasm')
		const compiler = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
		const options = ['-O3', '--runtime', 'stub', '--noAssert', '--use', 'abort=', '--enable', 'simd']
		const args = [compiler, kernel.source, '--outFile', code, '--initialMemory', '1', ...options]
		const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
		if (error !== undefined) throw error
		if (status !== 0 || stderr.includes('WARNING')) throw new Error(`asc ended with ${status}\n${stdout}${stderr}`)
		return sourceOf(kernel, readFileSync(code))
	} finally {
		rmSync(folder, { recursive: true })
	}
}

function sourceOf({ name, accessor }: Kernel, code: Uint8Array): string {
	const text = Buffer.from(code).toString('base64')
	const lines = text.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g')) ?? []
	return `/** The ${name} as WebAssembly, ${code.length} bytes: made by tools/build-kernel.ts from wasm/, never by hand. */
const CODE = \`
${lines.join('\n')}
\`

export function ${accessor}(): Uint8Array {
	return Uint8Array.from(atob(CODE), character => character.charCodeAt(0))
}
`
}

if (process.argv[1] === import.meta.filename) {
	for (const kernel of KERNELS) writeFileSync(join(ROOT, kernel.output), compileKernel(kernel))
}
