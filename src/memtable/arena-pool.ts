/**
 * Buffers to use again: chunks, their copies and indexes of memtables that are done.
 *
 * Fresh pages cost about as much as the copy that fills them, so a writer that flushes all day works in the same
 * few. Sizes are powers of two. What is given back beyond `maxBytes` is left to the garbage collector.
 *
 * Copies stand in memory that is shared with the workers, as long as there is any of it: V8 counts a buffer that changes
 * threads as memory that was freed here and allocated there, and answers what comes back with a collection of the whole heap
 * (measured: one for each memtable). Shared memory is counted nowhere, so that no more than `maxSharedBytes` ever is there, waiting
 * to be collected or not. It is dropped only when nobody needed it for long (`dropIdle`).
 */

/** The smallest buffer that is handed out, and kept. */
const SMALLEST_BYTES = 4_096

interface FreeList<Kind> {
	/** The one that was given last is taken first. */
	readonly buffers: Kind[]
	/** As many from the start on lay there all the time since the last `dropIdle`. */
	idleCount: number
}

/** Free buffers by size, a power of two. */
class FreeBuffers<Kind extends ArrayBuffer | SharedArrayBuffer> {
	readonly #free = new Map<number, FreeList<Kind>>()
	bytes = 0

	take(size: number): Kind | undefined {
		const list = this.#free.get(size)
		const buffer = list?.buffers.pop()
		if (list === undefined || buffer === undefined) return undefined
		list.idleCount = Math.min(list.idleCount, list.buffers.length)
		this.bytes -= size
		return buffer
	}

	give(buffer: Kind): void {
		const size = buffer.byteLength
		const list = this.#free.get(size)
		if (list === undefined) this.#free.set(size, { buffers: [buffer], idleCount: 0 })
		else list.buffers.push(buffer)
		this.bytes += size
	}

	/** Takes out what nobody has needed since the last call. */
	dropIdle(): Kind[] {
		const dropped: Kind[] = []
		for (const list of this.#free.values()) {
			dropped.push(...list.buffers.splice(0, list.idleCount))
			list.idleCount = list.buffers.length
		}
		for (const { byteLength } of dropped) this.bytes -= byteLength
		return dropped
	}

	clear(): void {
		this.#free.clear()
		this.bytes = 0
	}
}

export class ArenaPool {
	readonly #maxBytes: number
	readonly #maxSharedBytes: number
	readonly #own = new FreeBuffers<ArrayBuffer>()
	readonly #shared = new FreeBuffers<SharedArrayBuffer>()
	/** Shared memory that was made, free or not, and is not known to be collected. */
	#sharedBytes = 0
	/** What was dropped counts as made until it is collected: or else the bound would bound nothing. */
	readonly #collected = new FinalizationRegistry<number>(bytes => {
		this.#sharedBytes -= bytes
	})

	/**
	 * @param maxBytes most that is kept free; default 48 MiB = chunks and index of two memtables of 16 MiB, and slack.
	 * @param maxSharedBytes default 48 MiB: the copies of a memtable that is filled, of one that is encoded, and of one that waits.
	 */
	constructor(maxBytes: number = 50_331_648, maxSharedBytes: number = 50_331_648) {
		this.#maxBytes = maxBytes
		this.#maxSharedBytes = maxSharedBytes
	}

	/** Bytes that are kept free. */
	get bytes(): number {
		return this.#own.bytes + this.#shared.bytes
	}

	/** A buffer of `bytes` rounded up to a power of two, owned by the caller; it may hold old data. */
	take(bytes: number): ArrayBuffer {
		const size = roundUp(bytes)
		return this.#own.take(size) ?? new ArrayBuffer(size)
	}

	/** The same for what a worker is to read: shared if there is shared memory left. */
	takeForCopy(bytes: number): ArrayBuffer | SharedArrayBuffer {
		const size = roundUp(bytes)
		const free = this.#shared.take(size)
		if (free !== undefined) return free
		if (this.#sharedBytes + size > this.#maxSharedBytes) return this.take(bytes)
		this.#sharedBytes += size
		return new SharedArrayBuffer(size)
	}

	/**
	 * The caller gives `buffer` up, whole; a shared one is read by nobody whose result counts. Buffers of other sizes than ours,
	 * and detached ones, are ignored.
	 */
	give(buffer: ArrayBuffer | SharedArrayBuffer): void {
		if (buffer instanceof SharedArrayBuffer) {
			this.#shared.give(buffer)
			return
		}
		const size = buffer.byteLength
		if (size < SMALLEST_BYTES || (size & (size - 1)) !== 0 || this.#own.bytes + size > this.#maxBytes) return
		this.#own.give(buffer)
	}

	/** Frees what was not needed since the last call; what is shared, once the garbage collector comes by. */
	dropIdle(): void {
		for (const buffer of this.#own.dropIdle()) buffer.transfer(0)
		for (const buffer of this.#shared.dropIdle()) this.#collected.register(buffer, buffer.byteLength)
	}

	/** Gives all free buffers to the garbage collector. */
	clear(): void {
		this.#own.clear()
		this.#sharedBytes -= this.#shared.bytes
		this.#shared.clear()
	}
}

function roundUp(bytes: number): number {
	if (bytes <= SMALLEST_BYTES) return SMALLEST_BYTES
	return 2 ** (32 - Math.clz32(bytes - 1))
}
