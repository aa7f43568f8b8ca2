import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { KeyIndex } from '../../src/memtable/key-index.ts'
import { HEADER_WORDS } from '../../src/sst/entry-arena.ts'

const SLOT_WORDS = HEADER_WORDS + 4

/** A chunk with one entry per key, of which the index reads only length and key. */
function chunkOf(keys: readonly Uint8Array[]): Int32Array {
	const words = new Int32Array(1 + keys.length * SLOT_WORDS)
	keys.forEach((key, i) => {
		words[atOf(i) + 3] = key.length
		new Uint8Array(words.buffer).set(key, (atOf(i) + HEADER_WORDS) * 4)
	})
	return words
}

const atOf = (i: number): number => 1 + i * SLOT_WORDS

test('tells keys of one hash apart, also those that differ in zero bytes at their end only', () => {
	const keys = ['a', 'a\0', 'a\0\0', 'a\0\0\0', 'b', 'aaaa', 'aaaab', 'aaaa\0'].map(text => Buffer.from(text))
	const words = chunkOf(keys)
	const hashes = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff)
	fc.assert(
		fc.property(hashes, hash => {
			const index = new KeyIndex(new ArenaPool(), [words])
			keys.forEach((key, i) => {
				expect(index.find(hash, words, atOf(i) + HEADER_WORDS, key.length)).toBe(0)
				expect(index.replace(hash, atOf(i), words, atOf(i) + HEADER_WORDS, key.length)).toBe(0)
			})
			keys.forEach((key, i) => {
				expect(index.find(hash, words, atOf(i) + HEADER_WORDS, key.length)).toBe(atOf(i))
				expect(index.replace(hash, atOf(i), words, atOf(i) + HEADER_WORDS, key.length)).toBe(atOf(i))
			})
			expect(index.keyCount).toBe(keys.length)
		}),
	)
})

test('finds keys whose home slots are the last ones, before and after it grows', () => {
	const keys = Array.from({ length: 1_000 }, (_, i) => Uint8Array.of(i & 0xff, i >> 8, 7))
	const words = chunkOf(keys)
	const index = new KeyIndex(new ArenaPool(), [words])
	// All hashes have their top bits set: probing wraps around the end of the table.
	const hashOf = (i: number): number => (0xfff00000 | i) >>> 0
	keys.forEach((key, i) => {
		index.replace(hashOf(i), atOf(i), words, atOf(i) + HEADER_WORDS, key.length)
	})
	keys.forEach((key, i) => {
		expect(index.find(hashOf(i), words, atOf(i) + HEADER_WORDS, key.length)).toBe(atOf(i))
	})
	expect(index.bytes).toBe(2_048 * 8)
})

const spread = (i: number): number => Math.imul(i, 0x9e3779b1) >>> 0
const sharedBits = (i: number): number => Math.min(16, Math.floor(i / 25_000))

test('splits full segments and finds every key, whichever bits of the hashes differ', () => {
	const count = 500_000
	const keys = Array.from({ length: count }, (_, i) => Uint8Array.of(i & 0xff, (i >> 8) & 0xff, i >> 16))
	const chunks = Array.from({ length: Math.ceil(count / 7_500) }, (_, c) =>
		chunkOf(keys.slice(c * 7_500, (c + 1) * 7_500)),
	)
	const hashings: ((i: number) => number)[] = [
		spread,
		// The directory deepens on one side only, by a bit for every 25,000 keys, until it has 16 and a segment doubles.
		i => spread(i) >>> sharedBits(i),
		i => ~(spread(i) >>> sharedBits(i)) >>> 0,
	]
	for (const hashOf of hashings) {
		const pool = new ArenaPool()
		const index = new KeyIndex(pool, chunks)
		const visit = (i: number, use: (hash: number, ref: number, words: Int32Array, keyAt: number) => void): void => {
			const chunk = Math.floor(i / 7_500)
			const at = atOf(i % 7_500)
			use(hashOf(i), (chunk << 16) | at, chunks[chunk] ?? new Int32Array(0), at + HEADER_WORDS)
		}
		for (let i = 0; i < count; i++) {
			visit(i, (hash, ref, words, keyAt) => {
				if (index.replace(hash, ref, words, keyAt, 3) !== 0) throw new Error(`key ${i} was found before it was put`)
			})
		}
		for (let i = 0; i < count; i++) {
			visit(i, (hash, ref, words, keyAt) => {
				if (index.find(hash, words, keyAt, 3) !== ref) throw new Error(`key ${i} is lost`)
			})
		}
		expect(index.keyCount).toBe(count)
		expect(index.bytes).toBeGreaterThanOrEqual(count * 8)
		index.release()
		expect(index.bytes).toBe(0)
	}
})
