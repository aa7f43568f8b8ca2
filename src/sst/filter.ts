/**
 * Split-block Bloom filter over the hashes of user keys, as in Apache Parquet (BloomFilter.md), with a 32-bit hash.
 *
 *     offset  size  field
 *     0       4     CRC-32 of all that follows in the section
 *     4       1     kind: 1 = split-block Bloom, MurmurHash3_x86_32
 *     5       4     count of blocks, u32
 *     9       …     blocks: 8 × u32 each
 *
 * The block of hash h is floor(h × count / 2^32); in word j of it, bit ((h × SALT[j]) mod 2^32) >> 27 is set.
 * Each probe touches one cache line. At 10 bits per key about 1.3 % of absent keys pass.
 *
 * Invariant: a filter never denies a key that was added. A damaged section therefore denies nothing.
 */
import { crc32 } from '../bytes/crc32.ts'
import { readUint, writeUint } from './block-format.ts'

/** Persisted: never renumber. */
const KIND_SPLIT_BLOCK = 1
const HEADER_BYTES = 9
const WORDS_PER_BLOCK = 8
const BLOCK_BYTES = 32
/** A limit of ours: 32 MiB, 26 million keys at 10 bits; with more keys the filter only passes more. Keeps h × count exact. */
const MAX_BLOCKS = 1_048_576

/** Salts of Parquet's specification. */
const S0 = 0x47b6137b
const S1 = 0x44974d91
const S2 = 0x8824ad5b
const S3 = 0xa2b7289d
const S4 = 0x705495c7
const S5 = 0x2df1424b
const S6 = 0x9efc4947
const S7 = 0x5c6bfb31

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

function blockCountFor(keyCount: number, bitsPerKey: number): number {
	return Math.min(MAX_BLOCKS, Math.max(1, Math.ceil((keyCount * bitsPerKey) / (BLOCK_BYTES * 8))))
}

/** Size of the section for so many keys. */
export function filterBytesFor(keyCount: number, bitsPerKey: number): number {
	return HEADER_BYTES + blockCountFor(keyCount, bitsPerKey) * BLOCK_BYTES
}

/** Sets the bits of `hashes[0, count)` in `words`. */
export function addHashes(words: Uint32Array, hashes: Uint32Array, count: number): void {
	const scale = words.length / WORDS_PER_BLOCK / 4294967296
	for (let i = 0; i < count; i++) {
		const hash = hashes[i] as number
		const at = Math.floor(hash * scale) * WORDS_PER_BLOCK
		words[at] = (words[at] as number) | (1 << (Math.imul(hash, S0) >>> 27))
		words[at + 1] = (words[at + 1] as number) | (1 << (Math.imul(hash, S1) >>> 27))
		words[at + 2] = (words[at + 2] as number) | (1 << (Math.imul(hash, S2) >>> 27))
		words[at + 3] = (words[at + 3] as number) | (1 << (Math.imul(hash, S3) >>> 27))
		words[at + 4] = (words[at + 4] as number) | (1 << (Math.imul(hash, S4) >>> 27))
		words[at + 5] = (words[at + 5] as number) | (1 << (Math.imul(hash, S5) >>> 27))
		words[at + 6] = (words[at + 6] as number) | (1 << (Math.imul(hash, S6) >>> 27))
		words[at + 7] = (words[at + 7] as number) | (1 << (Math.imul(hash, S7) >>> 27))
	}
}

/** Writes the section for `hashes[0, count)` at `at`, where `filterBytesFor(count, bitsPerKey)` bytes are free. */
export function encodeFilter(
	hashes: Uint32Array,
	count: number,
	bitsPerKey: number,
	target: Uint8Array,
	at: number,
): void {
	const words = new Uint32Array(blockCountFor(count, bitsPerKey) * WORDS_PER_BLOCK)
	addHashes(words, hashes, count)
	const bytes = littleEndian(new Uint8Array(words.buffer))
	target[at + 4] = KIND_SPLIT_BLOCK
	writeUint(target, at + 5, 4, words.length / WORDS_PER_BLOCK)
	target.set(bytes, at + HEADER_BYTES)
	const sealed = target.subarray(at + 4, at + HEADER_BYTES + bytes.length)
	writeUint(target, at, 4, crc32(sealed))
}

export class Filter {
	readonly #words: Uint32Array
	readonly #scale: number
	/** True when the section was damaged (or of an unknown kind): then every key "may be" in the table. */
	readonly isDamaged: boolean

	/** Reads the section; never throws. The words are a copy. */
	constructor(section: Uint8Array) {
		const blocks = section.length < HEADER_BYTES ? 0 : readUint(section, 5, 4)
		const isWhole =
			blocks > 0 &&
			blocks <= MAX_BLOCKS &&
			section.length === HEADER_BYTES + blocks * BLOCK_BYTES &&
			section[4] === KIND_SPLIT_BLOCK &&
			crc32(section.subarray(4)) === readUint(section, 0, 4)
		this.isDamaged = !isWhole
		// The filter that denies nothing has all bits set: probes need no extra branch.
		this.#words = isWhole
			? new Uint32Array(littleEndian(new Uint8Array(section.subarray(HEADER_BYTES))).buffer)
			: new Uint32Array(WORDS_PER_BLOCK).fill(0xffffffff)
		this.#scale = this.#words.length / WORDS_PER_BLOCK / 4294967296
	}

	/** False only when no key of the table has this hash. */
	mayContain(hash: number): boolean {
		const words = this.#words
		const at = Math.floor(hash * this.#scale) * WORDS_PER_BLOCK
		return (
			((words[at] as number) & (1 << (Math.imul(hash, S0) >>> 27))) !== 0 &&
			((words[at + 1] as number) & (1 << (Math.imul(hash, S1) >>> 27))) !== 0 &&
			((words[at + 2] as number) & (1 << (Math.imul(hash, S2) >>> 27))) !== 0 &&
			((words[at + 3] as number) & (1 << (Math.imul(hash, S3) >>> 27))) !== 0 &&
			((words[at + 4] as number) & (1 << (Math.imul(hash, S4) >>> 27))) !== 0 &&
			((words[at + 5] as number) & (1 << (Math.imul(hash, S5) >>> 27))) !== 0 &&
			((words[at + 6] as number) & (1 << (Math.imul(hash, S6) >>> 27))) !== 0 &&
			((words[at + 7] as number) & (1 << (Math.imul(hash, S7) >>> 27))) !== 0
		)
	}

	get memoryBytes(): number {
		return this.#words.byteLength
	}
}

/** Words as stored: on a big-endian machine each is turned round, in place. */
function littleEndian(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
	if (!IS_LITTLE_ENDIAN) for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse()
	return bytes
}
