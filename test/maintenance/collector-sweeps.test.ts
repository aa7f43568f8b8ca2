import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { auditStore } from '../support/store-audit.ts'
import { type Crew, everything, executing, mergeOf, Rig, settleStore } from './rig.ts'
import { collectAll, commitSome, expectClean, merged, rows } from './rig-histories.ts'

const MINUTE = 60_000
const GRACE = 15 * MINUTE
const HOUR = 60 * MINUTE

describe('the logs', () => {
	test('lose what is below the floor and the checkpoint, never a seal, and never a table that is live', async () => {
		const rig = new Rig()
		await commitSome(rig, 'a', 'inline')
		await commitSome(rig, 'b', 'inline')
		await rig.takeOver()
		await rig.commit([{ key: 'other', value: 'stays in its record' }], 'inline')
		const first = await rig.hire()
		await first.executor.execute(mergeOf(first.owner.manifest.l0.slice(0, 2)), executing())
		const crew = await rig.hire()
		await settleStore(crew)
		expect(await rig.keys('log/')).toEqual([
			'log/0000000000000000/0000000000000000',
			'log/0000000000000001/0000000000000002',
			'log/0000000000000002/0000000000000000',
		])
		expect((await rig.keys('maintenance/0000000000000001/')).length).toBe(1)
		expect(await rig.rows()).toEqual(rig.expected())
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
	})

	test('keep one checkpoint when nothing of the past is kept, and one for each mark otherwise', async () => {
		const { rig, crew } = await merged({ changeRetentionMs: HOUR })
		for (let i = 0; i < 4; i++) {
			await crew.owner.checkpoint()
			await rig.host.clock.advance(20 * MINUTE)
			await commitSome(rig, `d${i}`)
			await crew.owner.follow()
		}
		await collectAll(crew)
		// Marks at 0, 20, 40 and 60 minutes; at 80 the floor goes to the second.
		expect(await rig.keys('checkpoints/')).toHaveLength(3)
		await rig.host.clock.advance(2 * HOUR)
		await crew.owner.checkpoint()
		await collectAll(crew)
		expect(await rig.keys('checkpoints/')).toHaveLength(1)
	})
})

describe('orphans', () => {
	test('of an epoch that has ended are deleted once, those of the living epoch are left alone', async () => {
		const rig = new Rig({ gracePeriodMs: GRACE })
		await commitSome(rig, 'a')
		const first = await rig.hire()
		await first.executor.execute(everything(first), executing())
		await rig.takeOver()
		const orphans = ['sst/w1-7', 'blobs/w1-7', 'blobs/s1-0', 'sst/m1-9', 'blobs/m1-9']
		const alive = ['sst/w2-0', 'blobs/s2-0', 'sst/m2-500']
		for (const key of [...orphans, ...alive]) await rig.store.put(key, new Uint8Array(3))
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		await collectAll(crew)
		expect(await rig.keys('sst/w1-7')).toHaveLength(1)
		await rig.host.clock.advance(GRACE)
		await collectAll(crew)
		const left = await rig.keys()
		expect(left.filter(key => orphans.includes(key))).toEqual([])
		expect(left).toEqual(expect.arrayContaining(alive))
		expect(crew.owner.manifest).toMatchObject({ sweptWriterEpoch: 1, sweptMaintenanceEpoch: 1 })
		const listed = faulty.count('list', /^(sst|blobs)/)
		expect(listed).toBe(5)
		await rig.host.clock.advance(GRACE)
		await collectAll(crew)
		expect(faulty.count('list', /^(sst|blobs)/)).toBe(listed)
	})

	test('are not what a merge that was put off has made: it is resumed with them', async () => {
		const rig = new Rig()
		for (const tag of ['a', 'b', 'c']) await rig.commit(rows(0, 200, tag), 'object')
		const first = await rig.hire()
		let ranges = 0
		await first.executor.execute(everything(first), executing({ isOver: () => ++ranges > 4 }))
		const crew = await rig.hire()
		const made = crew.owner.manifest.pendingMerges[0]?.outputs.map(table => table.objectKey) ?? []
		expect(made.length).toBeGreaterThan(1)
		await settleStore(crew)
		expect(crew.owner.manifest.sweptMaintenanceEpoch).toBe(1)
		expect(await rig.keys('sst/m1-')).toEqual(made.toSorted())
		await crew.executor.execute(everything(crew), executing())
		await expectClean(rig, crew)
	})

	test('that arrive late, from a writer that was fenced, go with their epoch', async () => {
		const rig = new Rig()
		await commitSome(rig, 'a')
		const faulty = new FaultyStore(rig.store)
		const stale = await rig.hire(faulty)
		faulty.fail({ operation: 'put', key: 'sst/' }, { kind: 'deliver-later', cause: new Error('late') })
		await stale.executor.execute(everything(stale), executing()).catch(() => undefined)
		const crew = await rig.hire()
		await faulty.deliverLate()
		await settleStore(crew)
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
		expect(await rig.rows()).toEqual(rig.expected())
	})
})

test('an upload that arrives when its epoch was looked through already goes with the next epoch', async () => {
	const rig = new Rig({ gracePeriodMs: GRACE })
	await commitSome(rig, 'a')
	await rig.takeOver()
	const sweep = async (): Promise<Crew> => {
		const crew = await rig.hire()
		await collectAll(crew)
		await rig.host.clock.advance(GRACE)
		await collectAll(crew)
		return crew
	}
	await rig.hire()
	expect((await sweep()).owner.manifest).toMatchObject({ sweptWriterEpoch: 1, sweptMaintenanceEpoch: 1 })
	const late = ['sst/w1-7', 'blobs/w1-8', 'blobs/s1-0', 'sst/m1-9', 'blobs/m1-9']
	for (const key of late) await rig.store.put(key, new Uint8Array(3))
	await rig.takeOver()
	const { owner } = await sweep()
	expect(owner.manifest).toMatchObject({ sweptWriterEpoch: 2, sweptMaintenanceEpoch: 2 })
	expect((await rig.keys()).filter(key => late.includes(key))).toEqual([])
	expect(await rig.rows()).toEqual(rig.expected())
})

describe('requests', () => {
	test('nothing to do costs none, whatever the time', async () => {
		const { rig } = await merged({ changeRetentionMs: HOUR, gracePeriodMs: GRACE })
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		for (let i = 0; i < 6; i++) {
			await crew.owner.checkpoint()
			await rig.host.clock.advance(HOUR)
			await collectAll(crew)
			await crew.keeper.keep(false)
		}
		await rig.host.clock.advance(GRACE)
		await collectAll(crew)
		faulty.calls.length = 0
		for (let i = 0; i < 10; i++) {
			await rig.host.clock.advance(HOUR)
			await collectAll(crew)
			expect(await crew.keeper.keep(false)).toBeUndefined()
		}
		expect(faulty.calls).toEqual([])
		expect(crew.keeper.nextDueMs()).toBeUndefined()
		expect((await crew.collector.collect()).nextInMs).toBeUndefined()
	})

	test('one that has something to do makes few, whatever it deletes', async () => {
		const rig = new Rig()
		for (let i = 0; i < 50; i++) await commitSome(rig, `v${i}`)
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		await crew.executor.execute(everything(crew), executing())
		await crew.owner.checkpoint()
		faulty.calls.length = 0
		const { objectsDeleted } = await collectAll(crew)
		expect(objectsDeleted).toBeGreaterThan(100)
		const made = faulty.calls.map(call => `${call.operation} ${call.key.split('/')[0] ?? ''}`)
		expect(made.length).toBeLessThanOrEqual(12)
	})
})

describe('the audit of a store', () => {
	test('finds an object that nothing refers to, and one that is missing', async () => {
		const { rig, crew } = await merged()
		await settleStore(crew)
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
		await rig.store.put('sst/w1-99', new Uint8Array(1))
		await rig.store.put('blobs/w1-99', new Uint8Array(1))
		const [live] = await rig.keys('sst/m')
		await rig.store.delete(live ?? 'none')
		const audit = await auditStore(rig.store)
		expect(audit.orphans).toEqual(['blobs/w1-99', 'sst/w1-99'])
		expect(audit.missing).toEqual([live])
	})

	test('finds a record and a checkpoint that should have gone', async () => {
		const { rig, crew } = await merged()
		const copy = new MemoryStore()
		for (const key of await rig.keys()) await copy.put(key, (await rig.store.get(key)) ?? new Uint8Array(0))
		await crew.owner.checkpoint()
		const [old] = await rig.keys('checkpoints/')
		const bytes = await rig.store.get(old ?? '')
		await settleStore(crew)
		await rig.store.put(old ?? '', bytes ?? new Uint8Array(0))
		const record = 'log/0000000000000001/0000000000000000'
		await rig.store.put(record, (await copy.get(record)) ?? new Uint8Array(0))
		expect((await auditStore(rig.store)).orphans).toEqual([old, record])
	})
})
