/** What a database and a compactor say of their work, against what a store has seen; and work of which some has to wait. */
import { describe, expect, test } from 'vitest'
import { createInlinePool, type Database, type ObjectStore, openCompactor } from '../../src/index.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import type { ManualHost } from '../support/manual-clock.ts'
import { heardOn, ingest, keysOf, noGrace, opened, rowsOf, small, sorted, stage } from './resident.ts'

const MIB = 1_048_576

/** Bytes on the store below `prefix`. */
async function storedBytes(store: ObjectStore, prefix: string): Promise<number> {
	return (await store.list({ prefix })).objects.reduce((sum, object) => sum + object.bytes, 0)
}

/** A table of `rows` rows of 20 KB that do not compress, all over the keys. */
async function flushLarge(db: Database, host: ManualHost, model: Map<string, string>, rows: number): Promise<void> {
	for (let i = 0; i < rows; i++) {
		const key = `large ${Math.floor(host.random.next() * 100_000)}`
		const value = Buffer.from(host.random.bytes(10_000)).toString('hex')
		await db.put(key, value)
		model.set(key, value)
	}
	await db.flush()
	await host.clock.advance(300)
}

/** A pool that asks before each merge job. */
function asking(pool: JobPool, ask: () => Promise<void> | undefined): JobPool {
	return {
		async run(name, make, options) {
			if (name === 'merge-tables') await ask()
			return await pool.run(name, make, options)
		},
		stats: () => pool.stats(),
		close: () => pool.close(),
	}
}

describe('figures', () => {
	test('of amplification and garbage are those of the bytes that were written and lie there', async () => {
		const [store, host] = await stage(41)
		// Nothing is deleted: all that was ever written is there.
		await using db = await opened(store, host)
		const model = await ingest(db, host, 17)
		await host.clock.advance(10_000)
		const [flushed, rewritten] = [await storedBytes(store, 'sst/w'), await storedBytes(store, 'sst/m')]
		const stats = db.stats()
		expect(rewritten).toBeGreaterThan(flushed / 4)
		expect(stats.writeAmplification).toBeCloseTo((flushed + rewritten) / flushed, 10)
		expect(stats.storedBytes + stats.garbageBytes).toBe(flushed + rewritten)
		const all = stats.storedBytes + stats.garbageBytes
		expect(stats.spaceAmplification).toBeCloseTo(all / Math.max(...stats.runs.map(run => run.bytes)), 10)
		expect(stats.maintenance?.totals.bytesWritten).toBe(rewritten)
		expect(await rowsOf(db)).toEqual(sorted(model))
	})

	test('of debt are the bytes that a compactor then begins to merge', async () => {
		const [store, host] = await stage(42)
		const compaction = { targetTableBytes: MIB }
		const writer = await opened(store, host, { maintenance: false, compaction: undefined })
		await ingest(writer, host, 20)
		await writer.close()
		const started = heardOn('isledb:compaction')
		const pool = createInlinePool(host)
		await using compactor = await openCompactor(store, {
			host,
			pool,
			compaction,
			pollIntervalMs: 1000,
			takeoverAfterMs: 1000,
		})
		const isWaiting = compactor.stats().compactionDebtBytes
		expect(isWaiting).toBe(0)
		await host.clock.advance(20)
		const first = started.find(event => event.kind === 'started')
		expect(first?.bytesTotal).toBe(await storedBytes(store, 'sst/w'))
		await host.clock.advance(60_000)
		expect(compactor.stats()).toMatchObject({ compactionDebtBytes: 0, l0Tables: 0 })
	})
})

test('small tables are merged from memory, and what they become is read from memory on the same thread', async () => {
	const [inner, host] = await stage(45)
	const store = new FaultyStore(inner)
	// Tables that ride in their records.
	await using db = await opened(store, host, { inlineMaxBytes: MIB })
	const model = await ingest(db, host, 12)
	await host.clock.advance(10_000)
	expect(db.stats()).toMatchObject({ l0Tables: 0, maintenance: { totals: { failures: 0 } } })
	expect(store.count('put', 'sst/m')).toBeGreaterThan(0)
	expect(await rowsOf(db)).toEqual(sorted(model))
	expect(store.count('getRange')).toBe(0)
})

describe('a large merge', () => {
	test('holds up no small one, and its progress is seen while it runs', async () => {
		const [store, host] = await stage(43)
		let open: () => void = () => undefined
		let gate: Promise<void> | undefined
		let isHeld = false
		const heard = heardOn('isledb:compaction')
		const isLarge = (event: { readonly bytesTotal: number }): boolean => event.bytesTotal >= 16 * MIB
		const pool = asking(createInlinePool(host), () => {
			// From the third job of the first large merge on.
			if (isHeld || !heard.some(event => event.kind === 'progress' && isLarge(event))) return undefined
			isHeld = true
			gate = new Promise(resolve => {
				open = resolve
			})
			return gate
		})
		await using db = await opened(store, host, { compaction: { ...small.compaction, runs: 2 }, pool })
		const model = new Map<string, string>()
		for (let tables = 0; tables < 100 && !isHeld; tables++) await flushLarge(db, host, model, 100)
		expect(isHeld).toBe(true)
		const large = heard.findLast(event => event.kind === 'started' && isLarge(event))
		const before = heard.length
		await ingest(db, host, 16, model)
		const running = db.stats().maintenance?.running.find(work => work.id === large?.id)
		expect(running).toMatchObject({ work: 'merge', bytesTotal: large?.bytesTotal })
		expect(running?.bytesDone).toBeGreaterThan(0)
		expect(running?.bytesDone).toBeLessThan(large?.bytesTotal ?? 0)
		const since = heard.slice(before)
		expect(since.filter(event => event.kind === 'finished' && event.id !== large?.id).length).toBeGreaterThan(1)
		expect(since.some(event => event.id === large?.id && event.kind !== 'progress')).toBe(false)
		expect(db.stats().l0Weight).toBeLessThan(8)
		open()
		const ofLarge = () => heard.filter(event => event.id === large?.id)
		for (let i = 0; i < 1000 && ofLarge().at(-1)?.kind === 'progress'; i++) await host.clock.advance(100)
		expect(ofLarge().at(-1)).toMatchObject({ kind: 'finished', bytesDone: large?.bytesTotal })
		const done = ofLarge().map(event => event.bytesDone)
		expect(done).toEqual(done.toSorted((a, b) => a - b))
		expect(ofLarge().length).toBeGreaterThan(5)
		expect(ofLarge().length).toBeLessThanOrEqual(22)
		expect(await rowsOf(db)).toEqual(sorted(model))
	}, 60_000)
})

describe('runOnce', () => {
	test('does what became due before the call, though the maintainer beside it has not looked yet', async () => {
		const [store, host] = await stage(45)
		await using writer = await opened(store, host, { maintenance: false, compaction: undefined })
		await using compactor = await openCompactor(store, {
			...noGrace,
			compaction: { l0Tables: 4 },
			host,
			pool: createInlinePool(host),
		})
		expect(await compactor.runOnce()).toMatchObject({ outcome: 'done', works: 0 })
		for (let tables = 0; tables < 4; tables++) await flushLarge(writer, host, new Map(), 100)
		expect(await compactor.runOnce()).toMatchObject({ outcome: 'done', works: 1 })
		expect(compactor.stats().l0Tables).toBe(0)
	})

	test('is resumed by another process where it stopped: nothing is merged twice beyond a range', async () => {
		const [store, host] = await stage(44)
		const model = new Map<string, string>()
		const writer = await opened(store, host, { maintenance: false, compaction: undefined })
		for (let tables = 0; tables < 4; tables++) await flushLarge(writer, host, model, 100)
		await writer.close()
		const inputBytes = await storedBytes(store, 'sst/w')
		expect(inputBytes).toBeGreaterThan(7 * MIB)
		const compaction = { targetTableBytes: MIB, mergeMemoryBytes: 16 * MIB, l0Tables: 4 }
		const run = async (deadlineMs: number | undefined, jobMs: number) => {
			const counted = new FaultyStore(store)
			const pool = asking(createInlinePool(host), () => (jobMs === 0 ? undefined : host.clock.advance(jobMs)))
			await using compactor = await openCompactor(counted, { ...noGrace, compaction, host, pool, background: false })
			const report = await compactor.runOnce({ deadlineMs })
			return { report, puts: counted.count('put', 'sst/m') }
		}
		const first = await run(10_000, 4000)
		expect(first.report).toMatchObject({ outcome: 'deadline', works: 0, failures: 0, quarantined: [] })
		const { pendingMerges } = await loadManifest(new DatabaseLogs(store))
		expect(pendingMerges).toHaveLength(1)
		const recorded = await keysOf(store, 'sst/m')
		expect(pendingMerges[0]?.outputs.map(table => table.objectKey).sort()).toEqual(recorded)
		expect(recorded.length).toBeGreaterThan(0)
		expect(first.report.bytesRead).toBeLessThan(inputBytes * 0.8)
		const second = await run(undefined, 0)
		expect(second.report).toMatchObject({ outcome: 'done', failures: 0 })
		const bytesRead = first.report.bytesRead + second.report.bytesRead
		expect(bytesRead).toBeGreaterThanOrEqual(inputBytes * 0.99)
		expect(bytesRead).toBeLessThanOrEqual(inputBytes + 2 * MIB)
		await using db = await opened(store, host, { maintenance: false, compaction: undefined })
		expect(db.stats()).toMatchObject({ l0Tables: 0, pendingMerges: 0 })
		// What the first had made became part of the result.
		expect(await keysOf(store, 'sst/m')).toEqual(expect.arrayContaining(recorded))
		expect(first.puts + second.puts).toBe(db.stats().runs.reduce((sum, { tables }) => sum + tables, 0))
		expect(await rowsOf(db)).toEqual(sorted(model))
	})
})
