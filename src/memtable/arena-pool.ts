/**
 * Buffers to use again: chunks, their copies and indexes of memtables that are done.
 *
 * Fresh pages cost about as much as the copy that fills them, so a writer that flushes all day works in the same
 * few. Sizes are powers of two. What is given back beyond `maxBytes` is left to the garbage collector.
 */

/** The smallest buffer that is handed out, and kept. */
const SMALLEST_BYTES = 4_096

export class ArenaPool {
	readonly #maxBytes: number
	/** By size: the free buffers. */
	readonly #free = new Map<number, ArrayBuffer[]>()
	#bytes = 0

	/** @param maxBytes most that is kept free; default 48 MiB = chunks, copies and index of one memtable of 16 MiB, and slack. */
	constructor(maxBytes: number = 50_331_648) {
		this.#maxBytes = maxBytes
	}

	/** Bytes that are kept free. */
	get bytes(): number {
		return this.#bytes
	}

	/** A buffer of `bytes` rounded up to a power of two, owned by the caller; it may hold old data. */
	take(bytes: number): ArrayBuffer {
		const size = roundUp(bytes)
		const buffer = this.#free.get(size)?.pop()
		if (buffer === undefined) return new ArrayBuffer(size)
		this.#bytes -= size
		return buffer
	}

	/** The caller gives `buffer` up, whole. Buffers of other sizes than ours, and detached ones, are ignored. */
	give(buffer: ArrayBuffer): void {
		const size = buffer.byteLength
		if (size < SMALLEST_BYTES || (size & (size - 1)) !== 0 || this.#bytes + size > this.#maxBytes) return
		const list = this.#free.get(size)
		if (list === undefined) this.#free.set(size, [buffer])
		else list.push(buffer)
		this.#bytes += size
	}

	/** Gives all free buffers to the garbage collector. */
	clear(): void {
		this.#free.clear()
		this.#bytes = 0
	}
}

function roundUp(bytes: number): number {
	if (bytes <= SMALLEST_BYTES) return SMALLEST_BYTES
	return 2 ** (32 - Math.clz32(bytes - 1))
}
