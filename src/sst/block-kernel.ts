/**
 * Blocks for reads, decompressed and checked in WebAssembly (wasm/lz4.ts, wasm/block-reader.ts): with the outcome that
 * lz4-kernel.ts and `Block` have, in a third of the time. What is larger than its memory is left to them.
 *
 * One instance for each thread; every call is synchronous and leaves nothing behind but the block that was opened last.
 */
import { Block } from './block.ts'
import type { BlockPlace } from './block-run.ts'
import { growKernel, type KernelExports, newKernel } from './kernel.ts'
import * as at from './kernel-layout.ts'
import { KernelPlace, Places, slotBytesOf } from './kernel-place.ts'

/** What reads decode on the main thread. The memory of a kernel, 1 MiB, stays for the life of its thread. */
const BLOCK_MAX_BYTES = 65_536

const NO_BYTES = new Uint8Array(0)

class BlockKernel {
	/** Of the brief block. */
	readonly brief: KernelPlace
	/** Of blocks that are checked here and stand elsewhere. */
	readonly desk: KernelPlace
	readonly #exports: KernelExports
	readonly #bytes: Uint8Array
	readonly #fromAt: number
	readonly #toAt: number

	constructor(exports: KernelExports) {
		const places = new Places(at.STATE_END)
		this.#fromAt = places.take(BLOCK_MAX_BYTES)
		this.#toAt = places.take(BLOCK_MAX_BYTES)
		growKernel(exports, places.next + 2 * (at.SLOT_BYTES + at.SLACK_BYTES + 15 + slotBytesOf(BLOCK_MAX_BYTES)))
		this.#exports = exports
		this.#bytes = new Uint8Array(exports.memory.buffer)
		this.brief = this.#newPlace(places)
		this.desk = this.#newPlace(places)
	}

	#newPlace(places: Places): KernelPlace {
		const slotAt = places.take(at.SLOT_BYTES)
		const ints = new Int32Array(this.#bytes.buffer)
		return new KernelPlace(ints, slotAt, places, BLOCK_MAX_BYTES, () => this.#exports.openAlone(slotAt))
	}

	decompress(payload: Uint8Array, raw: Uint8Array): boolean {
		const from = this.#fromAt
		const to = this.#toAt
		this.#bytes.set(payload, from)
		if (this.#exports.decompress(from, from + payload.length, to, to + raw.length) === 0) return false
		raw.set(new Uint8Array(this.#bytes.buffer, to, raw.length))
		return true
	}
}

/** `undefined` until somebody needs it, `null` where there is none. */
let kernelOfThread: BlockKernel | null | undefined

function kernelFor(bytes: number): BlockKernel | undefined {
	if (bytes > BLOCK_MAX_BYTES) return undefined
	if (kernelOfThread === undefined) {
		const exports = newKernel()
		kernelOfThread = exports === undefined ? null : new BlockKernel(exports)
	}
	return kernelOfThread ?? undefined
}

/** As `lz4Decompress`; `undefined` when the kernel is not there or the block too large for it. */
export function kernelDecompress(payload: Uint8Array, raw: Uint8Array): boolean | undefined {
	return kernelFor(Math.max(payload.length, raw.length))?.decompress(payload, raw)
}

/** As `new Block(raw, where)`: takes over `raw`. @throws ISLE_CORRUPT naming `where`. */
export function openBlock(raw: Uint8Array, where: string): Block {
	const kernel = kernelFor(raw.length)
	return kernel === undefined ? new Block(raw, where) : kernel.desk.openElsewhere(raw, where)
}

/** Memory for one block after another: each is of use until the next one is opened in such memory, by anybody of this thread. */
export class BriefPlace implements BlockPlace {
	#raw = NO_BYTES

	room(rawBytes: number): Uint8Array {
		const kernel = kernelFor(rawBytes)
		if (kernel !== undefined) return kernel.brief.room(rawBytes)
		if (rawBytes > this.#raw.length) this.#raw = new Uint8Array(rawBytes * 2)
		return new Uint8Array(this.#raw.buffer, 0, rawBytes)
	}

	open(raw: Uint8Array, where: string): Block {
		const kernel = kernelFor(raw.length)
		return kernel === undefined ? new Block(raw, where) : kernel.brief.open(raw, where)
	}
}
