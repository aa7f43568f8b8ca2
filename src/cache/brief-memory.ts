/**
 * Memory for reads that keep nothing: what is read stands where the last one stood. An ArrayBuffer of 4 KiB for each costs
 * as much as reading it does, and then V8 has to collect it.
 */
import { BriefPlace } from '../sst/block-kernel.ts'

const NO_BYTES = new Uint8Array(0)

export class BriefMemory extends BriefPlace {
	#stored = NO_BYTES

	/** Room for so many bytes, in a larger buffer. */
	stored(bytes: number): Uint8Array {
		if (bytes >= this.#stored.length) this.#stored = new Uint8Array(bytes * 2)
		return new Uint8Array(this.#stored.buffer, 0, bytes)
	}
}
