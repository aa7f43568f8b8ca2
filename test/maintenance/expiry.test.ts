/** What has expired gives its room back in time, though nothing is written any more and some entries never expire. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import { createInlinePool, open, openCompactor, openReader } from '../../src/index.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { manualHost } from '../support/manual-clock.ts'

const MIB = 1_048_576
const MINUTE = 60_000
const HOUR = 60 * MINUTE

test('tables of which half has expired are rewritten at rest', async () => {
	const host = manualHost()
	const store = new MemoryStore({ host })
	const pool = createInlinePool(host)
	const random = seededRandom(7)
	const spans = { gracePeriodMs: 0, changeRetentionMs: 0, compaction: { l0Tables: 2, targetTableBytes: MIB } }
	await using db = await open(store, { host, pool, maintenance: false, flushIntervalMs: 0 })
	await using compactor = await openCompactor(store, { host, pool, ...spans })
	const runBytes = (): number => compactor.stats().runs.reduce((sum, { bytes }) => sum + bytes, 0)
	for (let part = 0; part < 2; part++) {
		for (let i = part; i < 1_000; i += 2) {
			const ttl = i % 5 < 2 ? {} : { ttlMs: i % 5 === 2 ? 2 * HOUR : HOUR }
			await db.put(`key ${String(i).padStart(5, '0')}`, random.bytes(1_000), ttl)
		}
		await db.flush()
	}
	await host.clock.advance(MINUTE)
	const before = runBytes()
	expect(before).toBeGreaterThan(1_000_000)

	await host.clock.advance(HOUR + 6 * MINUTE)
	expect(runBytes(), 'two fifths are not worth it').toBe(before)
	await host.clock.advance(HOUR)
	expect(runBytes() / before).toBeCloseTo(0.4, 2)
	await using reader = await openReader(store, { host, pool })
	let count = 0
	for await (const _key of reader.keys()) count++
	expect(count).toBe(400)
})
