/** Buffers that are used again, and those that nobody needs any more. */
import { describe, expect, test } from 'vitest'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'

const KIB = 1_024

/** Takes so many buffers of 64 KiB, own or shared, and gives them back. */
function use(pool: ArenaPool, count: number, take: (pool: ArenaPool) => ArrayBuffer | SharedArrayBuffer): void {
	const buffers = Array.from({ length: count }, () => take(pool))
	for (const buffer of buffers) pool.give(buffer)
}

describe.each([
	['own', (pool: ArenaPool) => pool.take(64 * KIB)],
	['shared', (pool: ArenaPool) => pool.takeForCopy(64 * KIB)],
])('%s buffers', (_, take) => {
	test('are dropped once they lay free from one look to the next', () => {
		const pool = new ArenaPool()
		use(pool, 8, take)
		pool.dropIdle()
		expect(pool.bytes).toBe(8 * 64 * KIB)
		pool.dropIdle()
		expect(pool.bytes).toBe(0)
	})

	test('stay, as many as were needed at once since the last look', () => {
		const pool = new ArenaPool()
		use(pool, 8, take)
		pool.dropIdle()
		use(pool, 3, take)
		pool.dropIdle()
		expect(pool.bytes).toBe(3 * 64 * KIB)
		use(pool, 2, take)
		pool.dropIdle()
		expect(pool.bytes).toBe(2 * 64 * KIB)
	})

	test('that were used last are taken first', () => {
		const pool = new ArenaPool()
		use(pool, 2, take)
		const first = take(pool)
		pool.give(first)
		expect(take(pool)).toBe(first)
	})
})

test('own memory that is dropped is free at once, without a collection', () => {
	const pool = new ArenaPool()
	const buffer = pool.take(64 * KIB)
	pool.give(buffer)
	pool.dropIdle()
	expect(buffer.byteLength).toBe(64 * KIB)
	pool.dropIdle()
	expect(buffer.detached).toBe(true)
})

test('shared memory that was dropped counts against its bound until it is collected', () => {
	const pool = new ArenaPool(undefined, 128 * KIB)
	use(pool, 2, each => each.takeForCopy(64 * KIB))
	pool.dropIdle()
	pool.dropIdle()
	expect(pool.bytes).toBe(0)
	expect(pool.takeForCopy(64 * KIB)).toBeInstanceOf(ArrayBuffer)
})
