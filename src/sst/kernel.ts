/**
 * The code of wasm/, compiled once for each thread. Who needs memory of his own takes an instance of his own: merges have one
 * that grows (merge-kernel.ts), all that opens blocks has one that never does (block-kernel.ts), and flushes have code of their own (flush-kernel.ts).
 */
import { kernelCode } from './kernel-code.ts'

/** What every kernel has. */
export interface KernelMemory {
	readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
}

/** What asc makes of the exported functions. */
export interface KernelExports extends KernelMemory {
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
	gatherRows(
		raw: number,
		length: number,
		first: number,
		step: number,
		count: number,
		keys: number,
		values: number,
		room: number,
		ends: number,
	): number
}

declare const WebAssembly:
	| {
			readonly Module: new (code: Uint8Array) => object
			readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
	  }
	| undefined

const PAGE_BYTES = 65_536

/** By the function that answers their code. */
const compiled = new Map<() => Uint8Array, object>()

/** A new instance of the code for reads and merges, as `instantiate`. */
export function newKernel(): KernelExports | undefined {
	return instantiate<KernelExports>(kernelCode)
}

/**
 * A new instance of `code`, whose functions are `Exports`; `undefined` where the platform has no WebAssembly, or not its SIMD:
 * TypeScript does the same.
 */
export function instantiate<Exports extends KernelMemory>(code: () => Uint8Array): Exports | undefined {
	if (typeof WebAssembly === 'undefined') return undefined
	try {
		const module = compiled.get(code) ?? new WebAssembly.Module(code())
		compiled.set(code, module)
		return new WebAssembly.Instance(module, {}).exports as Exports
	} catch {
		return undefined
	}
}

/** Makes the memory of a kernel at least so long. Views of it that somebody has are of no use afterwards. */
export function growKernel({ memory }: KernelMemory, bytes: number): void {
	const missing = bytes - memory.buffer.byteLength
	if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
}
