/** A database that maintains itself over damaged tables, packs and pins: they are named and set aside, and the rest goes on. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import type { Database, ObjectStore } from '../../src/index.ts'
import type { ManualHost } from '../support/manual-clock.ts'
import {
	HOUR_MS,
	heardOn,
	ingest,
	keysOf,
	noCaches,
	noGrace,
	opened,
	rowsOf,
	small,
	sorted,
	stage,
} from './resident.ts'

const options = { ...noCaches, ...noGrace, compaction: { ...small.compaction, runs: 2 } }

/** A byte of the object is another one; answers what puts it back. */
async function damage(store: ObjectStore, key: string): Promise<() => Promise<void>> {
	const bytes = await store.get(key)
	if (bytes === undefined) throw new Error(`there is no \`${key}\``)
	const whole = bytes.slice()
	// Among the last keys of a table, and in the first value of a pack.
	const at = key.startsWith('blobs/') ? 200 : bytes.length - 30_000
	bytes[at] = (bytes[at] ?? 0) ^ 1
	await store.put(key, bytes)
	return () => store.put(key, whole)
}

async function remove(store: ObjectStore, key: string): Promise<() => Promise<void>> {
	const whole = (await store.get(key))?.slice()
	if (whole === undefined) throw new Error(`there is no \`${key}\``)
	await store.delete(key)
	return () => store.put(key, whole)
}

const random = seededRandom(5)
const precious = Array.from({ length: 200 }, (_, i): [string, string] => [
	`precious ${1000 + i}`,
	Buffer.from(random.bytes(150)).toString('hex'),
])

/** A table of keys that nothing overwrites; what is written here stays in memory, and so whoever wrote it closes. */
async function putPrecious(
	store: ObjectStore,
	host: ManualHost,
	more?: (db: Database) => Promise<void>,
): Promise<void> {
	await using db = await opened(store, host, options)
	for (const [key, value] of precious) await db.put(key, value)
	await db.flush()
	await more?.(db)
}

/** How reads of the precious keys end. */
async function readPrecious(db: Database): Promise<{ right: number; corrupt: number }> {
	const count = { right: 0, corrupt: 0 }
	for (const [key, value] of precious) {
		const read = await db.get(key).catch((error: unknown) => error)
		if (read === value) count.right++
		else {
			expect(read).toMatchObject({ code: 'ISLE_CORRUPT' })
			count.corrupt++
		}
	}
	return count
}

async function expectRows(db: Database, model: ReadonlyMap<string, string>): Promise<void> {
	expect(await rowsOf(db)).toEqual(sorted(new Map([...model, ...precious])))
}

/** It rests: nothing but what is set aside is left to do. */
async function rest(db: Database, host: ManualHost): Promise<void> {
	await host.clock.advance(120_000)
	expect(db.stats().maintenance).toMatchObject({ state: 'active', running: [] })
}

describe('a table that is damaged', () => {
	test('in L0 is named and set aside, everything else is merged and read, and it heals once it is put back', async () => {
		const [store, host] = await stage(21)
		const heard = heardOn('isledb:quarantine')
		await putPrecious(store, host)
		const [key = ''] = await keysOf(store, 'sst/')
		const putBack = await damage(store, key)
		await using db = await opened(store, host, options)
		const model = await ingest(db, host, 12)
		await rest(db, host)
		const table = key.replace('sst/', '')
		expect(heard).toMatchObject([{ kind: 'quarantined', table, key, error: { code: 'ISLE_CORRUPT' } }])
		expect(heard[0]?.kind === 'quarantined' && heard[0].error.message).toContain(key)
		const damaged = db.stats()
		expect(damaged.maintenance).toMatchObject({ quarantined: [table], lastError: { code: 'ISLE_CORRUPT' } })
		expect(damaged.maintenance?.totals.works).toBeGreaterThan(2)
		expect(damaged.l0Weight).toBeLessThan(4)
		// One block is damaged; what lies in the others is read, and so is every other key.
		const { right, corrupt } = await readPrecious(db)
		expect(corrupt).toBeGreaterThan(0)
		expect(right).toBeGreaterThan(100)
		for (const [name, value] of sorted(model)) expect(await db.get(name)).toBe(value)
		await expect(rowsOf(db)).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await putBack()
		await expectRows(db, model)
		await host.clock.advance(HOUR_MS)
		await ingest(db, host, 12, model)
		await rest(db, host)
		expect(heard.slice(1)).toMatchObject([{ kind: 'released', table, key }])
		expect(db.stats().maintenance?.quarantined).toEqual([])
		await expectRows(db, model)
	})

	test.each([
		['damaged', damage, 'ISLE_CORRUPT'],
		['gone', remove, 'ISLE_NOT_FOUND'],
	] as const)('in a run (%s) is named and set aside, and the next owner finds it well again', async (_, harm, code) => {
		const [store, host] = await stage(22)
		const heard = heardOn('isledb:quarantine')
		const model = new Map<string, string>()
		await putPrecious(store, host, async first => {
			await ingest(first, host, 6, model)
			await rest(first, host)
			expect(first.stats().runs.map(run => run.tables)).toEqual([1])
		})
		const [key = ''] = await keysOf(store, 'sst/m')
		const putBack = await harm(store, key)
		const db = await opened(store, host, options)
		await ingest(db, host, 24, model)
		await rest(db, host)
		const table = key.replace('sst/', '')
		expect(heard).toMatchObject([{ kind: 'quarantined', table, key, error: { code } }])
		expect(db.stats().maintenance?.quarantined).toEqual([table])
		expect(db.stats().l0Weight).toBeLessThan(4)
		expect(db.stats().runs.length).toBeGreaterThan(1)
		expect((await readPrecious(db)).corrupt).toBeGreaterThan(0)
		// The object of a live table is never collected for being damaged.
		if (code === 'ISLE_CORRUPT') expect(await keysOf(store, key)).toEqual([key])
		await putBack()
		await expectRows(db, model)
		await db.close()
		await using again = await opened(store, host, options)
		await ingest(again, host, 24, model)
		await rest(again, host)
		expect(heard).toHaveLength(1)
		expect(again.stats().maintenance).toMatchObject({ quarantined: [], totals: { failures: 0 } })
		expect(await keysOf(store, key)).toEqual([])
		await expectRows(again, model)
	})
})

describe('a blob pack that is damaged', () => {
	test('is named and left as it is, its tables are merged on, and it is rewritten once it was put back', async () => {
		const [store, host] = await stage(23)
		const heard = heardOn('isledb:quarantine')
		await using db = await opened(store, host, { ...options, blobThresholdBytes: 2048 })
		const large = (i: number): string => Buffer.from(host.random.bytes(100_000)).toString('hex') + i
		const kept = large(0)
		await db.put('blob kept', kept)
		for (let i = 1; i < 10; i++) await db.put(`blob ${i}`, large(i))
		await db.flush()
		const [key = ''] = await keysOf(store, 'blobs/')
		const putBack = await damage(store, key)
		for (let i = 1; i < 10; i++) await db.put(`blob ${i}`, 'small now')
		await db.flush()
		const model = await ingest(db, host, 12)
		await rest(db, host)
		expect(heard).toMatchObject([{ kind: 'quarantined', table: undefined, key, error: { code: 'ISLE_CORRUPT' } }])
		const stats = db.stats()
		expect(stats.maintenance).toMatchObject({ quarantined: [key], totals: { failures: 1 } })
		expect(stats.l0Weight).toBeLessThan(4)
		// Of what was uploaded for it nothing is left.
		expect(await keysOf(store, 'blobs/')).toEqual([key])
		await expect(db.get('blob kept')).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		expect(await db.get('blob 1')).toBe('small now')
		await putBack()
		expect(await db.get('blob kept')).toBe(kept)
		await host.clock.advance(HOUR_MS)
		await ingest(db, host, 4, model)
		await rest(db, host)
		expect(heard.slice(1)).toMatchObject([{ kind: 'released', table: undefined, key }])
		const packs = await keysOf(store, 'blobs/')
		expect(packs).toHaveLength(1)
		expect(packs).not.toEqual([key])
		expect(await db.get('blob kept')).toBe(kept)
		expect(db.stats().maintenance?.quarantined).toEqual([])
	})
})

describe('a pin that cannot be read', () => {
	test('stops every deletion and is named, until it is gone', async () => {
		const [store, host] = await stage(24)
		const heard = heardOn('isledb:quarantine')
		await using db = await opened(store, host, options)
		const key = 'pins/00000000000000000000000000000000'
		await store.put(key, new Uint8Array(50))
		const model = await ingest(db, host, 12)
		await rest(db, host)
		expect(heard).toMatchObject([{ kind: 'quarantined', table: undefined, key, error: { code: 'ISLE_CORRUPT' } }])
		expect(db.stats().maintenance?.quarantined).toEqual([key])
		expect(db.stats().garbageObjects).toBeGreaterThanOrEqual(12)
		expect((await keysOf(store, 'sst/w')).length).toBe(12)
		await store.delete(key)
		await ingest(db, host, 4, model)
		await rest(db, host)
		expect(heard.slice(1)).toMatchObject([{ kind: 'released', key }])
		expect(db.stats()).toMatchObject({ garbageObjects: 0, maintenance: { quarantined: [] } })
		expect((await keysOf(store, 'sst/w')).length).toBeLessThan(4)
		expect(await rowsOf(db)).toEqual(sorted(model))
	})
})
