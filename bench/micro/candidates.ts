/** Other ways to do what the kernels do, which were not taken: for `kernels.ts`, which measures both. */
import { compareBytes } from '../../src/bytes/compare.ts'
import type { Block } from '../../src/sst/block.ts'

/** Order of the keys, by the comparing sort of the language. */
export function sortByComparing(keys: readonly Uint8Array[]): Uint32Array {
	return Uint32Array.from(keys, (_, i) => i).sort((a, b) => compareBytes(keys[a] as Uint8Array, keys[b] as Uint8Array))
}

/** The same by texts of one byte a character, which V8 compares by itself. */
export function sortByText(keys: readonly Uint8Array[]): string[] {
	return keys.map(key => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')).sort()
}

/** Positions of the classic Bloom filter at 10 bits a key; each may miss the cache. */
const CLASSIC_PROBES = 7

/** The classic Bloom filter, by double hashing (Kirsch and Mitzenmacher, 2006). */
export class ClassicFilter {
	readonly #words: Uint32Array
	readonly #bits: number

	constructor(keyCount: number, bitsPerKey: number) {
		this.#words = new Uint32Array(Math.ceil((keyCount * bitsPerKey) / 32))
		this.#bits = this.#words.length * 32
	}

	add(hash: number): void {
		let at = hash
		for (let probe = 0; probe < CLASSIC_PROBES; probe++) {
			const bit = (at >>> 0) % this.#bits
			this.#words[bit >>> 5] = (this.#words[bit >>> 5] as number) | (1 << (bit & 31))
			at = (at + stepOf(hash)) | 0
		}
	}

	mayContain(hash: number): boolean {
		let at = hash
		for (let probe = 0; probe < CLASSIC_PROBES; probe++) {
			const bit = (at >>> 0) % this.#bits
			if (((this.#words[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false
			at = (at + stepOf(hash)) | 0
		}
		return true
	}
}

function stepOf(hash: number): number {
	return Math.imul(hash, 0x9e3779b1) | 1
}

const POLYNOMIAL = 0xedb88320
const SLICES = 8

/** For byte b in slice s: the CRC of b and s zeros behind it. */
const TABLES = ((): Uint32Array[] => {
	const tables = Array.from({ length: SLICES }, () => new Uint32Array(256))
	const [first] = tables
	for (let byte = 0; byte < 256; byte++) {
		let crc = byte
		for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
		if (first !== undefined) first[byte] = crc >>> 0
	}
	for (let slice = 1; slice < SLICES; slice++) {
		const [before, now] = [tables[slice - 1] as Uint32Array, tables[slice] as Uint32Array]
		for (let byte = 0; byte < 256; byte++) {
			const crc = before[byte] as number
			now[byte] = ((first?.[crc & 255] ?? 0) ^ (crc >>> 8)) >>> 0
		}
	}
	return tables
})()

/** CRC-32, eight bytes a turn (Kounavis and Berry, 2005). */
export function slicedCrc32(bytes: Uint8Array): number {
	const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
		Uint32Array,
		Uint32Array,
		Uint32Array,
		Uint32Array,
		Uint32Array,
		Uint32Array,
		Uint32Array,
		Uint32Array,
	]
	let crc = -1
	let i = 0
	for (; i + SLICES <= bytes.length; i += SLICES) {
		const low =
			crc ^
			((bytes[i] as number) |
				((bytes[i + 1] as number) << 8) |
				((bytes[i + 2] as number) << 16) |
				((bytes[i + 3] as number) << 24))
		crc =
			(t7[low & 255] as number) ^
			(t6[(low >>> 8) & 255] as number) ^
			(t5[(low >>> 16) & 255] as number) ^
			(t4[low >>> 24] as number) ^
			(t3[bytes[i + 4] as number] as number) ^
			(t2[bytes[i + 5] as number] as number) ^
			(t1[bytes[i + 6] as number] as number) ^
			(t0[bytes[i + 7] as number] as number)
	}
	for (; i < bytes.length; i++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[i] as number)) & 255] as number)
	return (crc ^ -1) >>> 0
}

/** The first entry whose key is not less, from the first entry on. */
export function seekInOrder(block: Block, key: Uint8Array): number {
	for (let i = 0; i < block.count; i++) if (block.compareKeyAt(i, key) >= 0) return i
	return block.count
}

/** The same by halves, each key made into an array of its own to be compared. */
export function seekByKeys(block: Block, key: Uint8Array): number {
	let [low, high] = [0, block.count]
	while (low < high) {
		const middle = (low + high) >>> 1
		if (compareBytes(block.keyAt(middle), key) < 0) low = middle + 1
		else high = middle
	}
	return low
}

/** The same by halves, with a JavaScript comparison of each key in place. */
export function seekByHalves(block: Block, key: Uint8Array): number {
	let [low, high] = [0, block.count]
	while (low < high) {
		const middle = (low + high) >>> 1
		if (block.compareKeyAt(middle, key) < 0) low = middle + 1
		else high = middle
	}
	return low
}
