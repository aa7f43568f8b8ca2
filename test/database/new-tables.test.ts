/** Tables that were flushed or merged are in the caches before somebody asks for them, if that is wanted. */
import { cpSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { createInlinePool, type ObjectStore, type OpenOptions, openReader } from '../../src/index.ts'
import type { ManualHost } from '../support/manual-clock.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { ingest, opened, stage } from './resident.ts'

const freshPath = scratchDirectories()
const MIB = 1_048_576
/** Far more turns than writing takes. */
const ROUNDS_MAX = 500

/** Requests for parts of tables by a new reader that scans everything with a copy of `cacheDir`; undefined: it changed meanwhile. */
async function fetches(store: ObjectStore, host: ManualHost, cacheDir: string): Promise<number | undefined> {
	const copy = freshPath()
	try {
		cpSync(cacheDir, copy, { recursive: true })
	} catch {
		return undefined
	}
	const pool = createInlinePool(host)
	await using reader = await openReader(store, {
		host,
		pool,
		refreshIntervalMs: 0,
		cacheDir: copy,
		cacheDirMaxBytes: 64 * MIB,
	})
	let rows = 0
	// One block after another: what is missing shows with the first.
	for await (const [key] of reader.entries()) {
		rows += key === '' ? 0 : 1
		if (reader.requests().byKind.getRange.requests > 0) break
	}
	expect(rows).toBeGreaterThan(0)
	return reader.requests().byKind.getRange.requests
}

async function merged(
	options: OpenOptions,
): Promise<{ store: ObjectStore; host: ManualHost; cacheDir: string; requests: () => number }> {
	const [store, host] = await stage(5)
	const cacheDir = freshPath()
	const db = await opened(store, host, { cacheDir, cacheDirMaxBytes: 64 * MIB, ...options })
	onTestFinished(() => db.close())
	await ingest(db, host, 12)
	for (let round = 0; round < ROUNDS_MAX && db.stats().l0Tables > 3; round++) await host.clock.advance(100)
	expect(db.stats().maintenance?.totals.works).toBeGreaterThan(0)
	const requests = (): number => db.requests().byKind.getRange.requests
	const before = requests()
	for await (const _ of db.keys());
	return { store, host, cacheDir, requests: () => requests() - before }
}

test('with cacheNewTables, a reader with the same cacheDir asks the store for no part of them', async () => {
	const { store, host, cacheDir, requests } = await merged({ cacheNewTables: true })
	let missing = await fetches(store, host, cacheDir)
	for (let round = 0; round < ROUNDS_MAX && missing !== 0; round++) {
		await host.clock.advance(10)
		missing = await fetches(store, host, cacheDir)
	}
	expect(missing).toBe(0)
	expect(requests()).toBe(0)
	// The control: otherwise nothing of them is there.
	const without = await merged({})
	expect(await fetches(without.store, without.host, without.cacheDir)).toBeGreaterThan(0)
})

test('a merge that is larger than an eighth of the cache pushes nothing out of it', async () => {
	const { store, host, cacheDir } = await merged({ cacheNewTables: true, cacheDirMaxBytes: MIB })
	expect(await fetches(store, host, cacheDir)).toBeGreaterThan(0)
})

test('cacheNewTables is a boolean, of readers too', async () => {
	const [store, host] = await stage(6)
	const wrong = { host, cacheNewTables: 'yes' as unknown as boolean }
	await expect(opened(store, host, wrong)).rejects.toThrow(TypeError)
	await expect(openReader(store, wrong)).rejects.toThrow('cacheNewTables')
})
