/** The hashes of the distinct keys of a table that is being built: what its filter is made of. */
import { hashKey } from '../bytes/hash.ts'
import type { Block } from './block.ts'

export class KeyHashes {
	hashes: Uint32Array = new Uint32Array(1024)
	count = 0
	#key = new Uint8Array(256)

	add(hash: number): void {
		if (this.count === this.hashes.length) this.#grow(this.count + 1)
		this.hashes[this.count++] = hash
	}

	/** The key of entry `i` of `block`. */
	addEntry(block: Block, i: number): void {
		const keyBytes = block.keyBytesAt(i)
		if (keyBytes > this.#key.length) this.#key = new Uint8Array(keyBytes * 2)
		block.copyKeyAt(i, this.#key, 0)
		this.add(hashKey(this.#key, 0, keyBytes))
	}

	#grow(needed: number): void {
		const grown = new Uint32Array(Math.max(needed, this.hashes.length * 2))
		grown.set(this.hashes)
		this.hashes = grown
	}
}
