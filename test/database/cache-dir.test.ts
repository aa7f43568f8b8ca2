import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { open } from '../../src/database.ts'
import { isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const freshPath = scratchDirectories()
const pool = createInlinePool(systemHost)
const options = { flushIntervalMs: 0, inlineMaxBytes: 0, maintenance: false, pool }

test('a database with a cacheDir finds there what it read before it was closed', async () => {
	const store = new MemoryStore()
	const cacheDir = join(freshPath(), 'cache')
	const writing = await open(store, options)
	for (let i = 0; i < 500; i++) await writing.put(`key${i}`, `value${i}`)
	await writing.close()
	const first = await open(store, { ...options, cacheDir })
	expect(await first.get('key7')).toBe('value7')
	expect(first.requests().byKind.getRange.requests).toBe(1)
	expect(first.stats().diskCache).toMatchObject({ hits: 0, failures: 0 })
	await first.close()
	const second = await open(store, { ...options, cacheDir })
	expect(await second.get('key7')).toBe('value7')
	expect(second.requests().byKind.getRange.requests).toBe(0)
	expect(second.stats().diskCache?.hits).toBeGreaterThan(0)
	await second.close()
	// The control: without the directory the table is read from the store.
	const without = await open(store, options)
	expect(await without.get('key7')).toBe('value7')
	expect(without.requests().byKind.getRange.requests).toBe(1)
	expect(without.stats().diskCache).toBeUndefined()
	await without.close()
})

test('a cacheDir of somebody else is refused before the prefix is claimed', async () => {
	const store = new MemoryStore()
	const cacheDir = freshPath()
	mkdirSync(cacheDir)
	writeFileSync(join(cacheDir, 'thesis.txt'), 'precious')
	const refusal = await open(store, { ...options, cacheDir }).catch((error: unknown) => error)
	expect(isIsleError(refusal, 'ISLE_FOREIGN_PREFIX')).toBe(true)
	expect(readdirSync(cacheDir)).toEqual(['thesis.txt'])
	expect((await store.list()).objects).toEqual([])
	await expect(open(store, { ...options, cacheDirMaxBytes: 1 })).rejects.toThrow(RangeError)
	expect(existsSync(cacheDir)).toBe(true)
})
