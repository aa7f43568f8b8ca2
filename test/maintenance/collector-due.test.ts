/** Whoever collects knows when to look again: nothing that waits for time alone is forgotten. */

import { expect, test } from 'vitest'
import { createInlinePool, open, openCompactor } from '../../src/index.ts'
import { createPin } from '../../src/manifest/pin.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { RequestOptions } from '../../src/object-store/object-store.ts'
import { type ManualClock, manualHost } from '../support/manual-clock.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { type Crew, everything, executing, Rig, settleStore } from './rig.ts'
import { collectAll, commitSome, merged } from './rig-histories.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Deleting takes a while. */
class SlowDeletes extends PassThroughStore {
	clock: ManualClock | undefined

	override async deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		await this.clock?.advance(5)
		await super.deleteMany(keys, options)
	}
}

test('what falls due while a collection runs is looked at again at once', async () => {
	const { rig } = await merged({ gracePeriodMs: 0, changeRetentionMs: HOUR })
	const store = new SlowDeletes(rig.store)
	const crew = await rig.hire(store)
	await rig.host.clock.advance(2)
	await commitSome(rig, 'd')
	await crew.owner.follow()
	await crew.executor.execute(everything(crew), executing())
	await crew.owner.checkpoint()
	// The tables of the first merge are due, those of the second one in two milliseconds.
	await rig.host.clock.advance(HOUR - 2)
	store.clock = rig.host.clock
	const collection = await collectAll(crew)
	expect(collection.objectsDeleted).toBeGreaterThan(0)
	expect(collection.nextInMs).toBe(0)
	await collectAll(crew)
	expect(await rig.keys('sst/w')).toEqual([])
})

test('what a pin has kept is looked at when the pin has been over for five minutes', async () => {
	const { rig, crew } = await pinned(MINUTE)
	const pinnedMs = rig.host.clock.nowMs()
	await settleStore(crew)
	const leftMs = pinnedMs + 6 * MINUTE - rig.host.clock.nowMs()
	expect((await collectAll(crew)).nextInMs).toBe(leftMs)
	await rig.host.clock.advance(leftMs)
	await collectAll(crew)
	expect(await rig.keys('sst/w')).toEqual([])
	expect((await collectAll(crew)).nextInMs).toBeUndefined()
})

test('what falls due behind an object that a pin keeps is not forgotten', async () => {
	const { rig, crew } = await pinned(Number.POSITIVE_INFINITY, HOUR)
	await commitSome(rig, 'c')
	await crew.owner.follow()
	await rig.host.clock.advance(10 * MINUTE)
	await crew.executor.execute(everything(crew), executing())
	await crew.owner.checkpoint()
	await rig.host.clock.advance(50 * MINUTE)
	expect((await collectAll(crew)).nextInMs).toBe(10 * MINUTE)
	await rig.host.clock.advance(10 * MINUTE)
	await collectAll(crew)
	expect(crew.owner.manifest.removed.map(({ objectKey }) => objectKey)).toEqual(['sst/w1-0'])
})

/** A merge has replaced what a pin holds, and one table more. */
async function pinned(ttlMs: number, changeRetentionMs = 0): Promise<{ readonly rig: Rig; readonly crew: Crew }> {
	const rig = new Rig({ gracePeriodMs: 0, changeRetentionMs })
	await commitSome(rig, 'a')
	const crew = await rig.hire()
	const { store, host } = rig
	const expiresMs = Number.isFinite(ttlMs) ? host.clock.nowMs() + ttlMs : 0
	const { manifest } = crew.owner
	await createPin({ store, host, name: 'p', expiresMs, manifest, refresh: () => rig.manifest() })
	await commitSome(rig, 'b')
	await crew.owner.follow()
	await crew.executor.execute(everything(crew), executing())
	await crew.owner.checkpoint()
	return { rig, crew }
}

test('a maintainer in the background still collects when the grace period has passed after a runOnce', async () => {
	const host = manualHost()
	const store = new MemoryStore({ host })
	const pool = createInlinePool(host)
	for (const value of ['first', 'second']) {
		await using db = await open(store, { host, pool, maintenance: false, flushIntervalMs: 0 })
		await db.put('key', value)
		await db.flush()
	}
	const orphan = 'sst/w1-7'
	await store.put(orphan, new Uint8Array(1))
	// With the default a checkpoint would be due at the end of the grace period, too, and would wake it.
	const spans = { gracePeriodMs: 15 * MINUTE, changeRetentionMs: 10 * HOUR }
	await using compactor = await openCompactor(store, { host, pool, ...spans })
	await compactor.runOnce()
	await host.clock.advance(14 * MINUTE)
	expect(await store.get(orphan)).toBeDefined()
	await host.clock.advance(2 * MINUTE)
	expect(await store.get(orphan)).toBeUndefined()
})

test('what a pin kept is freed on an idle database too, within the hour in which it was released', async () => {
	const host = manualHost()
	const store = new MemoryStore({ host })
	const pool = createInlinePool(host)
	await using db = await open(store, { host, pool, maintenance: false, flushIntervalMs: 0 })
	for (let i = 0; i < 70; i++) {
		await db.put('key', `${i}`)
		await db.flush()
	}
	await db.pin('kept')
	const spans = { gracePeriodMs: 0, changeRetentionMs: 0 }
	await using compactor = await openCompactor(store, { host, pool, ...spans, compaction: { l0Tables: 2 } })
	await compactor.runOnce()
	await host.clock.advance(2 * HOUR)
	expect(compactor.stats()).toMatchObject({ l0Tables: 0, garbageObjects: 70 })
	await db.releasePin('kept')
	await host.clock.advance(HOUR)
	expect(compactor.stats().garbageObjects).toBe(0)
})
