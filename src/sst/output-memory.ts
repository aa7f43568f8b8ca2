/** Memory for the tables of a merge: buffers that the caller has no use for any more, then fresh ones. */

/** A table that fills less of its buffer than one part in so many is copied out of it. */
const SPARSE_FRACTION = 2

export class OutputMemory {
	/** What is free. */
	readonly free: ArrayBuffer[]

	constructor(buffers: readonly ArrayBuffer[]) {
		this.free = [...buffers]
	}

	/** A buffer of at least `capacityBytes`; what it holds is undefined. */
	take(capacityBytes: number): ArrayBuffer {
		const i = this.free.findIndex(buffer => buffer.byteLength >= capacityBytes)
		return this.free.splice(i, i < 0 ? 0 : 1)[0] ?? new ArrayBuffer(capacityBytes)
	}

	/** `bytes`, which stand in a buffer of `take`: as they are, or alone in one of their size when that saves much. */
	settle(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
		if (bytes.length * SPARSE_FRACTION >= bytes.buffer.byteLength) return bytes
		this.free.push(bytes.buffer)
		return new Uint8Array(bytes)
	}
}
