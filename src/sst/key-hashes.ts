/** The hashes of the distinct keys of a table that is being built: what its filter is made of. */
import type { Block } from './block.ts'

export class KeyHashes {
	hashes: Uint32Array = new Uint32Array(16)
	count = 0

	add(hash: number): void {
		if (this.count === this.hashes.length) this.#grow(this.count + 1)
		this.hashes[this.count++] = hash
	}

	/** The keys of all entries of `block`, of which no two are equal. */
	addBlock(block: Block): void {
		if (this.count + block.count > this.hashes.length) this.#grow(this.count + block.count)
		for (let i = 0; i < block.count; i++) this.hashes[this.count++] = block.hashAt(i)
	}

	addAll(hashes: Uint32Array): void {
		if (this.count + hashes.length > this.hashes.length) this.#grow(this.count + hashes.length)
		this.hashes.set(hashes, this.count)
		this.count += hashes.length
	}

	#grow(needed: number): void {
		const grown = new Uint32Array(Math.max(needed, this.hashes.length * 2))
		grown.set(this.hashes)
		this.hashes = grown
	}
}
