/**
 * Memory for reads that keep nothing: what is read stands where the last one stood. An ArrayBuffer of 4 KiB for each costs
 * as much as reading it does, and then V8 has to collect it.
 */
import type { BlockMemory } from '../sst/sst-table.ts'

/** More is given fresh memory each time. */
const KEPT_MAX_BYTES = 262_144

export class BriefMemory implements BlockMemory {
	#stored = new Uint8Array(0)
	#raw = new Uint8Array(0)
	positions: Uint32Array = new Uint32Array(1024)

	/** Room for so many bytes, in a larger buffer. */
	stored(bytes: number): Uint8Array {
		if (bytes >= this.#stored.length) this.#stored = new Uint8Array(bytes * 2)
		return new Uint8Array(this.#stored.buffer, 0, bytes)
	}

	readonly raw = (bytes: number): Uint8Array => {
		if (bytes > KEPT_MAX_BYTES) return new Uint8Array(bytes)
		if (bytes > this.#raw.length) this.#raw = new Uint8Array(bytes * 2)
		return new Uint8Array(this.#raw.buffer, 0, bytes)
	}
}
