import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openReader } from '../../src/database-reader.ts'
import { isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { openWriter } from '../../src/writer/database-writer.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { collect } from './fixture.ts'

const freshPath = scratchDirectories()
const pool = createInlinePool(systemHost)

async function writtenStore(value: string): Promise<MemoryStore> {
	const store = new MemoryStore()
	await using writer = await openWriter(store, { flushIntervalMs: 0, inlineMaxBytes: 0, pool })
	for (let i = 0; i < 500; i++) await writer.put(`key${i}`, `${value}${i}`)
	await writer.flush()
	return store
}

test('a reader with a cacheDir leaves what it read to the next one, which asks the store for no table', async () => {
	const store = await writtenStore('v')
	const cacheDir = join(freshPath(), 'cache')
	const options = { refreshIntervalMs: 0, cacheDir, pool }
	const first = await openReader(store, options)
	expect(await first.get('key7')).toBe('v7')
	expect((await collect(first.keys())).length).toBe(500)
	expect(first.stats().diskCache).toMatchObject({ hits: 0, failures: 0 })
	await first.close()
	const second = await openReader(store, options)
	expect(await second.get('key8')).toBe('v8')
	expect((await collect(second.entries())).length).toBe(500)
	expect(second.requests().byKind.getRange.requests).toBe(0)
	expect(second.stats().diskCache?.hits).toBeGreaterThan(0)
	await second.close()
	const without = await openReader(store, { refreshIntervalMs: 0, pool })
	expect(without.stats().diskCache).toBeUndefined()
	expect(await without.get('key8')).toBe('v8')
	// The control: without the cache the table is read from the store.
	expect(without.requests().byKind.getRange.requests).toBe(1)
	// The reader with a cache has read one seal more on opening.
	expect(second.requests().byKind.get.requests - without.requests().byKind.get.requests).toBe(1)
	await without.close()
})

test('a cacheDir serves databases that look alike, each with its own', async () => {
	const cacheDir = freshPath()
	for (const value of ['a', 'b', 'a', 'b']) {
		const reader = await openReader(await writtenStore(value), { refreshIntervalMs: 0, cacheDir, pool })
		expect(await reader.get('key3')).toBe(`${value}3`)
		await reader.close()
	}
})

test('options of the disk cache are checked, and a directory of somebody else is refused', async () => {
	const store = await writtenStore('v')
	const open = (options: object): Promise<unknown> => openReader(store, { refreshIntervalMs: 0, pool, ...options })
	await expect(open({ cacheDir: 7 })).rejects.toThrow(TypeError)
	await expect(open({ cacheDir: '' })).rejects.toThrow(RangeError)
	const cacheDir = freshPath()
	await expect(open({ cacheDir, cacheDirMaxBytes: 1_048_575 })).rejects.toThrow(RangeError)
	await expect(open({ cacheDir, cacheDirMaxBytes: 2 ** 40 + 1 })).rejects.toThrow(RangeError)
	expect(existsSync(cacheDir)).toBe(false)
	mkdirSync(cacheDir)
	writeFileSync(join(cacheDir, 'thesis.txt'), 'precious')
	const refusal = await open({ cacheDir }).catch((error: unknown) => error)
	expect(isIsleError(refusal, 'ISLE_FOREIGN_PREFIX')).toBe(true)
	expect(readdirSync(cacheDir)).toEqual(['thesis.txt'])
	// What was handed in stays open.
	expect(await store.get('nothing')).toBeUndefined()
})
