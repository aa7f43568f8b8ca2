/**
 * Blocks for reads, decompressed and checked in WebAssembly (wasm/lz4.ts, wasm/block-reader.ts): with the outcome that
 * lz4-kernel.ts and `Block` have, in a third of the time. What is larger than its memory is left to them.
 *
 * One instance for each thread; every call is synchronous and leaves nothing behind but the block that was opened last.
 */

import { decodeAscii } from '../bytes/ascii.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { Block } from './block.ts'
import type { BlockPlace } from './block-run.ts'
import { growKernel, type KernelExports, newKernel } from './kernel.ts'
import * as at from './kernel-layout.ts'
import { KernelPlace, Places, slotBytesOf } from './kernel-place.ts'

/** What reads decode on the main thread. The memory of a kernel, 1 MiB, stays for the life of its thread. */
const BLOCK_MAX_BYTES = 65_536

/** Rows of one call. */
export const ROWS_MAX = 512

export type WantedTexts = 'entries' | 'keys' | 'values'

export interface RowTexts {
	/** All keys, one after another, and all values. */
	keys: string
	values: string
	/** Of row i, where its key ends there, at [2i], and its value, at [2i + 1]. */
	readonly ends: Int32Array
}

class BlockKernel {
	/** Of the brief block. */
	readonly brief: KernelPlace
	/** Of blocks that are checked here and stand elsewhere. */
	readonly desk: KernelPlace
	readonly #exports: KernelExports
	readonly #bytes: Uint8Array
	readonly #fromAt: number
	readonly #toAt: number
	readonly #valuesAt: number
	readonly #rows: RowTexts

	constructor(exports: KernelExports) {
		const places = new Places(at.STATE_END)
		this.#fromAt = places.take(BLOCK_MAX_BYTES)
		this.#toAt = places.take(BLOCK_MAX_BYTES)
		this.#valuesAt = places.take(BLOCK_MAX_BYTES)
		const endsAt = places.take(8 * ROWS_MAX)
		growKernel(exports, places.next + 2 * (at.SLOT_BYTES + at.SLACK_BYTES + 15 + slotBytesOf(BLOCK_MAX_BYTES)))
		this.#exports = exports
		this.#bytes = new Uint8Array(exports.memory.buffer)
		this.#rows = { keys: '', values: '', ends: new Int32Array(exports.memory.buffer, endsAt, 2 * ROWS_MAX) }
		this.brief = this.#newPlace(places)
		this.desk = this.#newPlace(places)
	}

	#newPlace(places: Places): KernelPlace {
		const slotAt = places.take(at.SLOT_BYTES)
		const ints = new Int32Array(this.#bytes.buffer)
		return new KernelPlace(ints, slotAt, places, BLOCK_MAX_BYTES, () => this.#exports.openAlone(slotAt))
	}

	/** As `kernelRows`. */
	rows(raw: Uint8Array, first: number, step: number, count: number, wanted: WantedTexts): RowTexts | undefined {
		const from = this.#fromAt
		const bytes = this.#bytes
		bytes.set(raw, from)
		const keysAt = wanted === 'values' ? 0 : this.#toAt
		const valuesAt = wanted === 'keys' ? 0 : this.#valuesAt
		const rows = this.#rows
		const endsAt = rows.ends.byteOffset
		const { length } = raw
		const isText = this.#exports.gatherRows(from, length, first, step, count, keysAt, valuesAt, BLOCK_MAX_BYTES, endsAt)
		if (isText === 0) return undefined
		const keyBytes = rows.ends[2 * count - 2] as number
		const valueBytes = rows.ends[2 * count - 1] as number
		rows.keys = keysAt === 0 ? '' : decodeAscii(bytes, keysAt, keysAt + keyBytes)
		rows.values = valuesAt === 0 ? '' : decodeAscii(bytes, valuesAt, valuesAt + valueBytes)
		return rows
	}

	/** Room for stored bytes, until the next call of anything else. */
	stored(bytes: number): Uint8Array {
		return new Uint8Array(this.#bytes.buffer, this.#fromAt, bytes)
	}

	decompress(payload: Uint8Array, raw: Uint8Array): boolean {
		const { buffer } = this.#bytes
		const isHere = payload.buffer === buffer
		const isForHere = raw.buffer === buffer
		const from = isHere ? payload.byteOffset : this.#fromAt
		const to = isForHere ? raw.byteOffset : this.#toAt
		if (!isHere) this.#bytes.set(payload, from)
		if (this.#exports.decompress(from, from + payload.length, to, to + raw.length) === 0) return false
		if (!isForHere) raw.set(new Uint8Array(buffer, to, raw.length))
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

/**
 * The texts of `count` entries (at most `ROWS_MAX`) of a block, from `first` on and each `step` further; of use until the next call.
 * `undefined` where they are not all ASCII, the block is too large, or there is no kernel: then they are made one by one.
 */
export function kernelRows(
	raw: Uint8Array,
	first: number,
	step: 1 | -1,
	count: number,
	wanted: WantedTexts,
): RowTexts | undefined {
	return kernelFor(raw.length)?.rows(raw, first, step, count, wanted)
}

/** As `new Block(raw, where)`: takes over `raw`. @throws ISLE_CORRUPT naming `where`. */
export function openBlock(raw: Uint8Array, where: string): Block {
	const kernel = kernelFor(raw.length)
	return kernel === undefined ? new Block(raw, where) : kernel.desk.openElsewhere(raw, where)
}

/**
 * Memory for one block after another, for reads that keep nothing: an ArrayBuffer of 4 KiB for each costs as much as reading it
 * does, and then V8 has to collect it. Each is of use until the next one is opened in such memory, by anybody of this thread.
 */
export class BriefPlace implements BlockPlace {
	#raw = NO_BYTES
	#stored = NO_BYTES

	/** Room for the stored bytes of a block, in a larger buffer, until anything of this file is called but to open it. */
	stored(bytes: number): Uint8Array {
		const kernel = kernelFor(bytes)
		if (kernel !== undefined) return kernel.stored(bytes)
		if (bytes >= this.#stored.length) this.#stored = new Uint8Array(bytes * 2)
		return new Uint8Array(this.#stored.buffer, 0, bytes)
	}

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
