/**
 * Shared memory that large tables are built in, and used again once they are on the store: neither pages nor the garbage
 * collectors of two threads have to do with them then (see src/memtable/arena-pool.ts).
 *
 * A buffer is lent to one attempt of a job. If that worker dies, or the upload had to be repeated, somebody may still be at work
 * in it: it never comes back, and is not used again.
 */

/** One that is built in, one that is uploaded, and two that wait for a slow disk. Beyond that tables have memory of their own. */
const MAX_BUFFERS = 4
/** Smaller tables are not worth it. */
const MIN_BYTES = 2_097_152
/** Sizes are rounded up to it, so that one fits the next. */
const STEP_BYTES = 1_048_576

export class TableMemory {
	/** Free ones. */
	#free: SharedArrayBuffer[] = []
	/** As many of them were free all the time since the last `dropIdle`. */
	#idleCount = 0
	/** How many were made: free, lent, or dropped and not known to be collected. */
	#made = 0
	readonly #collected = new FinalizationRegistry<undefined>(() => {
		this.#made--
	})

	/** Bytes that are kept free. */
	get bytes(): number {
		return this.#free.reduce((sum, { byteLength }) => sum + byteLength, 0)
	}

	/** A buffer for a table of `bytes` at the most; undefined when it would be small, or all are lent. */
	take(bytes: number): SharedArrayBuffer | undefined {
		if (bytes < MIN_BYTES) return undefined
		const i = this.#free.findIndex(buffer => buffer.byteLength >= bytes)
		if (i >= 0) {
			const [buffer] = this.#free.splice(i, 1)
			this.#idleCount = Math.min(this.#idleCount, this.#free.length)
			return buffer
		}
		// One that is too small makes room for one that is not.
		if (this.#made === MAX_BUFFERS && this.#free.pop() === undefined) return undefined
		this.#idleCount = Math.min(this.#idleCount, this.#free.length)
		this.#made = Math.min(MAX_BUFFERS, this.#made + 1)
		return new SharedArrayBuffer(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES)
	}

	/** Nobody reads or writes it any more. */
	give(buffer: SharedArrayBuffer): void {
		this.#free.push(buffer)
	}

	/** Gives to the garbage collector what was not needed since the last call: those that were free for the longest. */
	dropIdle(): void {
		for (const buffer of this.#free.splice(0, this.#idleCount)) this.#collected.register(buffer, undefined)
		this.#idleCount = this.#free.length
	}

	clear(): void {
		this.#made -= this.#free.length
		this.#free = []
		this.#idleCount = 0
	}
}
