import { describe, expect, test } from 'vitest'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { writeEntry } from '../../src/memtable/write-entry.ts'
import { KIND_TOMBSTONE, KIND_VALUE, toSeq } from '../../src/sst/entry.ts'
import { CHUNK_BYTES, entryWordsAt } from '../../src/sst/entry-arena.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)
const newMemtable = (): Memtable => new Memtable({ baseSeq: toSeq(1), pool: new ArenaPool() })
const get = (memtable: Memtable, key: string, maxSeq = Number.MAX_SAFE_INTEGER): string | undefined =>
	textOf(memtable.get(utf8(key), maxSeq)?.value)

describe('an entry that is appended as it stands', () => {
	const words = new Int32Array(2 * CHUNK_BYTES)
	const bytes = Buffer.from(words.buffer)

	test.each([
		['small', 'value', 0],
		['empty, with a time to live', '', 5],
		['of the last size that a loop copies', 'v'.repeat(236), 0],
		['of the first size beyond it', 'v'.repeat(237), 7],
		['larger than a chunk', 'v'.repeat(CHUNK_BYTES), 2 ** 33],
	])('%s: is what a put of the same makes', (_, value, ttlMs) => {
		const memtable = newMemtable()
		memtable.put('before', 'x', KIND_VALUE, 0)
		const end = writeEntry(words, bytes, 3, 99, 'key', value, KIND_VALUE, ttlMs)
		expect(entryWordsAt(words, 3)).toBe(end - 3)
		memtable.append(words, 3, 1_000_000)
		memtable.put('after', 'y', KIND_VALUE, 0)
		const hit = memtable.get(utf8('key'), Number.MAX_SAFE_INTEGER)
		expect(textOf(hit?.value)).toBe(value)
		expect(hit).toMatchObject({ seq: 2, kind: KIND_VALUE, expiresAtMs: ttlMs === 0 ? 0 : 1_000_000 + ttlMs })
		expect([get(memtable, 'before'), get(memtable, 'after')]).toEqual(['x', 'y'])
	})

	test('hides the version before it, and is refused with a key of no bytes', () => {
		const memtable = newMemtable()
		memtable.put('key', 'old', KIND_VALUE, 0)
		writeEntry(words, bytes, 0, 0, 'key', '', KIND_TOMBSTONE, 0)
		memtable.append(words, 0, 0)
		expect(memtable.get(utf8('key'), 2)?.kind).toBe(KIND_TOMBSTONE)
		expect(get(memtable, 'key', 1)).toBe('old')
		words[3] = 0
		expect(() => memtable.append(words, 0, 0)).toThrow(RangeError)
		expect(memtable.entryCount).toBe(2)
	})
})
