/** Readers elsewhere while everything that was removed is deleted at once: they heal themselves or fail typed, and never lie. */
import { describe, expect, test } from 'vitest'
import { createInlinePool, type DatabaseReader, isIsleError, openReader } from '../../src/index.ts'
import { HOUR_MS, ingest, keysOf, noCaches, noGrace, opened, rowsOf, small, sorted, stage } from './resident.ts'

type Rows = readonly [string, string][]
const options = { ...noCaches, ...noGrace, compaction: { ...small.compaction, runs: 2 } }
const alone = { ...noCaches, refreshIntervalMs: 0, gracePeriodMs: 0, warmUp: false } as const

/** A reader by itself would look whether it is new: this one knows what it knew. */
async function elsewhere(...[store, host]: Awaited<ReturnType<typeof stage>>): Promise<DatabaseReader> {
	return (await openReader(store, { ...alone, host, pool: createInlinePool(host) })) as DatabaseReader
}

describe('a reader at grace 0', () => {
	test('sees a state that there was, never an older one than before, while tables vanish under it', async () => {
		const [store, host] = await stage(31)
		await using db = await opened(store, host, options)
		const model = new Map<string, string>()
		const states: Rows[] = []
		const commit = async (): Promise<void> => {
			await ingest(db, host, 1, model)
			states.push(sorted(model))
		}
		await commit()
		await using reader = await elsewhere(store, host)
		let seen = 0
		let [healed, expired] = [0, 0]
		for (let round = 0; round < 24; round++) {
			for (let commits = 0; commits < 3; commits++) await commit()
			const scan = reader.entries()[Symbol.asyncIterator]()
			const rows: [string, string][] = []
			const first = await scan.next()
			if (first.value !== undefined) rows.push(first.value)
			// Merged, covered by a checkpoint and deleted, in the middle of the scan.
			for (let commits = 0; commits < 3; commits++) await commit()
			await host.clock.advance(120_000)
			try {
				for (let next = await scan.next(); next.value !== undefined; next = await scan.next()) rows.push(next.value)
				const at = states.findIndex(state => JSON.stringify(state) === JSON.stringify(rows))
				expect(at).toBeGreaterThanOrEqual(seen)
				seen = at
			} catch (error) {
				if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
				expired++
			}
			// A get has one state, and so heals itself.
			const newest = new Map(states.at(-1))
			const lastSeen = states.slice(seen).map(state => new Map(state))
			for (const key of ['key 7', 'key 77', 'key 277', 'key 477']) {
				const value = await reader.get(key)
				expect(lastSeen.map(state => state.get(key))).toContain(value)
				if (value === newest.get(key)) healed++
			}
		}
		expect(db.stats().maintenance?.totals.objectsDeleted).toBeGreaterThan(100)
		expect(healed).toBeGreaterThan(0)
		expect(expired).toBeGreaterThan(0)
		await reader.refresh()
		expect(await rowsOf(reader)).toEqual(sorted(model))
	}, 60_000)
})

describe('a snapshot elsewhere whose objects are gone', () => {
	test('goes on while the newest state holds what it shows, and then is ISLE_EXPIRED', async () => {
		const [store, host] = await stage(32)
		await using db = await opened(store, host, options)
		const model = await ingest(db, host, 3)
		await using reader = await elsewhere(store, host)
		await using snapshot = reader.snapshot()
		const state = sorted(model)
		expect(await rowsOf(snapshot)).toEqual(state)
		// Nothing newer than it was merged yet: the tables are there.
		await db.put('key 1', 'newer')
		await db.flush()
		await host.clock.advance(120_000)
		expect(await rowsOf(snapshot)).toEqual(state)
		await ingest(db, host, 9, model)
		await host.clock.advance(120_000)
		await expect(rowsOf(snapshot)).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		for (const [key] of state.slice(0, 20)) {
			await expect(snapshot.get(key)).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		}
	})

	test('is ISLE_EXPIRED, and does not show less, when retention has dropped what it shows', async () => {
		const [store, host] = await stage(33)
		const retention = { mode: 'age', retentionPeriodMs: HOUR_MS, retentionCount: 0 } as const
		await using db = await opened(store, host, { ...options, retention })
		await ingest(db, host, 2)
		await using reader = await elsewhere(store, host)
		await using snapshot = reader.snapshot()
		expect(await snapshot.get('key 7')).toBeDefined()
		// Without a commit more.
		await host.clock.advance(3 * HOUR_MS)
		expect(await keysOf(store, 'sst/')).toEqual([])
		expect(db.stats().l0Tables).toBe(0)
		await expect(snapshot.get('key 7')).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		await expect(rowsOf(snapshot)).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		expect(await rowsOf(reader)).toEqual([])
	})

	test('is ISLE_EXPIRED when merging has dropped what had not expired in it yet', async () => {
		const [store, host] = await stage(34)
		// Nothing is due here yet, and no commit comes later: merging alone changes what there is.
		const patient = await opened(store, host, { ...options, compaction: { ...options.compaction, l0Tables: 64 } })
		await patient.put('short-lived', 'v'.repeat(5000) + Buffer.from(host.random.bytes(5000)).toString('hex'), {
			ttlMs: 60_000,
		})
		await ingest(patient, host, 4)
		await using reader = await elsewhere(store, host)
		await using snapshot = reader.snapshot()
		// What it has read may stay in memory: this one has read nothing yet.
		await using other = await elsewhere(store, host)
		await using same = other.snapshot()
		await patient.close()
		await host.clock.advance(HOUR_MS)
		expect((await same.get('short-lived'))?.length).toBe(15_000)
		await using db = await opened(store, host, options)
		await host.clock.advance(HOUR_MS)
		expect(db.stats()).toMatchObject({ l0Tables: 0, garbageObjects: 0 })
		await expect(snapshot.get('short-lived')).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		expect(await reader.get('short-lived')).toBeUndefined()
	})
})
