/**
 * The code of wasm/, compiled once for each thread. Who needs memory of his own takes an instance of his own: merges have one
 * that grows (merge-kernel.ts), all that opens blocks has one that never does (block-kernel.ts).
 */
import { kernelCode } from './kernel-code.ts'

/** What asc makes of the exported functions. */
export interface KernelExports {
	readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
	open(slot: number, sharedBytes: number): number
	openAlone(slot: number): number
	encode(): void
	beginTable(): void
	openBytes(): number
	isTableFull(): number
	begin(): void
	skip(): void
	run(from: number): number
	decompress(from: number, fromEnd: number, to: number, toEnd: number): number
}

declare const WebAssembly:
	| {
			readonly Module: new (code: Uint8Array) => object
			readonly Instance: new (module: object, imports: object) => { readonly exports: KernelExports }
	  }
	| undefined

const PAGE_BYTES = 65_536

let compiled: object | undefined

/** A new instance; `undefined` where the platform has no WebAssembly, or not its SIMD: TypeScript does the same. */
export function newKernel(): KernelExports | undefined {
	if (typeof WebAssembly === 'undefined') return undefined
	try {
		compiled ??= new WebAssembly.Module(kernelCode())
		return new WebAssembly.Instance(compiled, {}).exports
	} catch {
		return undefined
	}
}

/** Makes the memory of a kernel at least so long. Views of it that somebody has are of no use afterwards. */
export function growKernel({ memory }: KernelExports, bytes: number): void {
	const missing = bytes - memory.buffer.byteLength
	if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
}
