import { describe, expect, test } from 'vitest'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { toSeq } from '../../src/sst/entry.ts'
import { encodeTableJob } from '../../workers/encode-table.ts'

const tableOptions = { codec: 'none', minWriteMs: 1, maxWriteMs: 1 } as const

function newMemtable(pool = new ArenaPool()): Memtable {
	return new Memtable({ baseSeq: toSeq(1), pool })
}

const get = (memtable: Memtable, key: string): string | undefined => {
	const hit = memtable.get(Buffer.from(key), Number.MAX_SAFE_INTEGER)
	return hit && Buffer.from(hit.value).toString()
}

describe('the encode job', () => {
	test('can be made again after its buffers were lost, with the same bytes', () => {
		const memtable = newMemtable()
		for (let i = 0; i < 4_000; i++) memtable.put(`key ${i}`, 'x'.repeat(i % 300), 1, i % 3)
		memtable.put('large', 'y'.repeat(100_000), 1, 0)
		memtable.freeze()
		const first = memtable.makeEncodeJob(tableOptions)
		const bytes = first.input.segments.map(
			({ buffer, firstWord, endWord }) => new Uint8Array(buffer.slice(firstWord * 4, endWord * 4)),
		)
		structuredClone(first.input, { transfer: [...first.transfer] })
		const second = memtable.makeEncodeJob(tableOptions)
		expect(second.input.segments.map(({ buffer, endWord }) => new Uint8Array(buffer.slice(0, endWord * 4)))).toEqual(
			bytes,
		)
		expect(get(memtable, 'key 3999')).toBe('x'.repeat(3_999 % 300))
	})

	test('shares its copies, which serve it again and then go back; those beyond the shared memory travel', () => {
		const pool = new ArenaPool(50_000_000, 300_000)
		const memtable = newMemtable(pool)
		for (let i = 0; i < 4_000; i++) memtable.put(`key ${i}`, 'x'.repeat(200), 1, 0)
		memtable.freeze()
		const { input, transfer } = memtable.makeEncodeJob(tableOptions)
		const shared = input.segments.map(({ buffer }) => buffer).filter(buffer => buffer instanceof SharedArrayBuffer)
		expect(shared.length).toBeGreaterThan(3)
		expect(transfer.length).toBeGreaterThan(1)
		expect(shared.length + transfer.length).toBe(input.segments.length)
		structuredClone(input, { transfer: [...transfer] })
		const again = memtable.makeEncodeJob(tableOptions)
		expect(again.input.segments.map(({ buffer }) => buffer).filter(buffer => shared.includes(buffer as never))).toEqual(
			shared,
		)
		expect(encodeTableJob(again.input).output.meta.entryCount).toBe(4_000)
		const waiting = pool.bytes
		memtable.endEncoding()
		expect(pool.bytes).toBe(waiting + shared.reduce((sum, { byteLength }) => sum + byteLength, 0))
		expect(get(memtable, 'key 3999')).toBe('x'.repeat(200))
	})

	test('of this thread copies nothing', () => {
		const pool = new ArenaPool()
		const memtable = newMemtable(pool)
		for (let i = 0; i < 50; i++) memtable.put(`key ${i}`, 'v', 1, 0)
		memtable.freeze()
		const held = memtable.bytes
		expect(encodeTableJob(memtable.encodeInput(tableOptions)).output.meta.entryCount).toBe(50)
		expect(memtable.bytes).toBe(held)
	})

	test('is refused for an open or an empty memtable', () => {
		const memtable = newMemtable()
		expect(() => memtable.makeEncodeJob(tableOptions)).toThrow('while it is open')
		memtable.freeze()
		expect(() => memtable.makeEncodeJob(tableOptions)).toThrow('empty')
	})
})

describe('the pool', () => {
	test('the pool keeps no more than its bound, and only buffers of its sizes', () => {
		const pool = new ArenaPool(10_000)
		pool.give(new ArrayBuffer(4_096))
		pool.give(new ArrayBuffer(4_096))
		pool.give(new ArrayBuffer(4_096))
		pool.give(new ArrayBuffer(5_000))
		expect(pool.bytes).toBe(8_192)
		expect(pool.take(4_000).byteLength).toBe(4_096)
		expect(pool.take(5_000).byteLength).toBe(8_192)
		expect(pool.bytes).toBe(4_096)
		pool.clear()
		expect(pool.bytes).toBe(0)
	})

	test('shared memory is made up to its bound, kept, and made again after it was given away', () => {
		const pool = new ArenaPool(0, 3 * 4_096)
		const lent = Array.from({ length: 4 }, () => pool.takeForCopy(4_000))
		expect(lent.map(buffer => buffer instanceof SharedArrayBuffer)).toEqual([true, true, true, false])
		for (const buffer of lent) pool.give(buffer)
		expect(pool.bytes).toBe(3 * 4_096)
		expect(pool.takeForCopy(4_000)).toBe(lent[2])
		pool.clear()
		expect(pool.takeForCopy(4_000)).toBeInstanceOf(SharedArrayBuffer)
		expect(pool.takeForCopy(4_000)).toBeInstanceOf(SharedArrayBuffer)
		expect(pool.takeForCopy(4_000)).toBeInstanceOf(ArrayBuffer)
	})
})
