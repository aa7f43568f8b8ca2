/** A writer that was taken over and has not noticed: it commits nothing, so that nobody tells it. */

import { expect, test } from 'vitest'
import { createInlinePool, open } from '../../src/index.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { manualHost } from '../support/manual-clock.ts'
import { Maintained } from './maintained.ts'

const HOUR = 3_600_000
const noCaches = { blockCacheBytes: 0, tableCacheBytes: 0 }

test('says that it is fenced, and not that data is damaged, when its objects were collected', async () => {
	const place = new Maintained({ gracePeriodMs: 0 })
	const first = await place.open()
	await first.put('key', 'old')
	await first.close()
	// What it flushes itself it would have in memory.
	const old = await place.open(noCaches)
	const snapshot = old.snapshot()
	await using db = await place.open()
	await db.put('key', 'new')
	await db.flush()
	await place.mergeAndCollect()
	const fenced = expect.objectContaining({ code: 'ISLE_FENCED' })
	await expect(old.get('key')).rejects.toEqual(fenced)
	await expect(snapshot.get('key')).rejects.toEqual(fenced)
	await expect(old.put('key', 'late')).rejects.toEqual(fenced)
	await expect(old.close()).rejects.toEqual(fenced)
	expect(await db.get('key')).toBe('new')
})

test('ends its maintainer once that has found out, and asks the store for nothing more', async () => {
	const host = manualHost()
	const pool = createInlinePool(host)
	const objects = new MemoryStore({ host })
	const store = countingStore(objects)
	const keep = (hours: number) => ({ mode: 'age', retentionPeriodMs: hours * HOUR, retentionCount: 0 }) as const
	const options = { host, pool, gracePeriodMs: 0, changeRetentionMs: 0, flushIntervalMs: 0 }
	const old = await open(store, { ...options, retention: keep(4) })
	await old.put('key', 'old')
	await old.flush()
	await using db = await open(objects, { ...options, retention: keep(1) })
	await db.put('key', 'new')
	await db.flush()
	// The new one drops, and deletes records of its own log: when the old one wants to drop it has to read all of it.
	await host.clock.advance(5 * HOUR)
	const { total } = store.snapshot()
	await host.clock.advance(5 * HOUR)
	expect(store.snapshot().total).toEqual(total)
	expect(old.stats().failure).toBe('ISLE_FENCED')
	await expect(old.close()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
})
