import { describe, expect, test } from 'vitest'
import { FaultyStore } from '../support/faulty-store.ts'
import { LateClockStore } from '../support/late-clock-store.ts'
import { auditStore } from '../support/store-audit.ts'
import { everything, executing, mergeOf, Rig, settleStore } from './rig.ts'
import { collectAll, commitSome, merged } from './rig-histories.ts'

const MINUTE = 60_000
const GRACE = 15 * MINUTE
const HOUR = 60 * MINUTE

describe('what was removed', () => {
	test('stays until a checkpoint that covers it is announced, also at grace 0', async () => {
		const { rig, crew } = await merged()
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toHaveLength(2)
		await crew.owner.checkpoint()
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
		expect(await rig.rows()).toEqual(rig.expected())
	})

	test('stays for the grace period after this owner saw the announcement, to the millisecond', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.owner.checkpoint()
		const first = await collectAll(crew)
		expect(first.nextInMs).toBeLessThanOrEqual(GRACE)
		await rig.host.clock.advance(GRACE - 1)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toHaveLength(2)
		await rig.host.clock.advance(1)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('goes at once when the times of the store show that the grace period has passed', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.collector.collect()
		await crew.owner.checkpoint()
		await crew.collector.collect()
		await crew.owner.checkpoint()
		await rig.host.clock.advance(GRACE)
		const next = await rig.hire()
		await collectAll(next)
		expect(await rig.keys('sst/w')).toEqual([])
		expect(await rig.rows()).toEqual(rig.expected())
	})

	test('in a record of the log stays for the grace period after the floor has passed it', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.owner.checkpoint()
		await rig.host.clock.advance(GRACE)
		const next = await rig.hire()
		await collectAll(next)
		expect(await rig.keys('sst/w')).toEqual([])
		// The floor has moved only now: a tail that began before it may still read the record.
		const record = 'log/0000000000000001/0000000000000001'
		expect(await rig.keys(record)).toEqual([record])
		await rig.host.clock.advance(GRACE)
		await collectAll(next)
		expect(await rig.keys(record)).toEqual([])
	})

	test('goes where owners take turns more often than the grace period passes, none of which ever sees it pass', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.collector.collect()
		await crew.owner.checkpoint()
		for (let turn = 1; turn <= 4; turn++) {
			expect(await rig.keys('sst/w')).toHaveLength(2)
			await rig.host.clock.advance(GRACE / 3)
			const next = await rig.hire()
			await collectAll(next)
			await next.owner.checkpoint()
		}
		// The second checkpoint calls the first one announced, and was a grace period old at the last turn.
		expect(await rig.keys('sst/w')).toEqual([])
		expect(await rig.rows()).toEqual(rig.expected())
	})

	test('stays when they show that it has not', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.collector.collect()
		await crew.owner.checkpoint()
		await rig.host.clock.advance(GRACE - 1)
		await collectAll(await rig.hire())
		expect(await rig.keys('sst/w')).toHaveLength(2)
	})

	test('stays while a reader of this process may need it', async () => {
		const { rig, crew } = await merged()
		const before = crew.owner.manifest.removed[0]?.removedAt
		await crew.owner.checkpoint()
		await crew.collector.collect({ protectedPosition: before })
		expect(await rig.keys('sst/w')).toHaveLength(2)
		await crew.collector.collect({ protectedPosition: crew.owner.manifest.maintenancePosition })
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('stays for change retention, with the commits that brought it', async () => {
		const { rig, crew } = await merged({ changeRetentionMs: HOUR })
		await crew.owner.checkpoint()
		await rig.host.clock.advance(HOUR - 1)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toHaveLength(2)
		expect(await rig.keys('log/0000000000000001/')).toHaveLength(3)
		await rig.host.clock.advance(1)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
		expect(await rig.keys('log/0000000000000001/')).toEqual([])
		expect(crew.owner.manifest.changeFloor).toEqual({ epoch: 1, slot: 3 })
	})

	test('by a commit that is younger than the floor stays until the floor has passed it', async () => {
		const { rig, crew } = await merged({ changeRetentionMs: HOUR })
		await crew.owner.checkpoint()
		await rig.host.clock.advance(MINUTE)
		await commitSome(rig, 'd')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await rig.host.clock.advance(5 * MINUTE)
		await commitSome(rig, 'e')
		await crew.owner.follow()
		await crew.owner.checkpoint()
		// Its removal is older than retention, the mark behind it is not: a tail from the floor reads it.
		await rig.host.clock.advance(HOUR - 3 * MINUTE)
		await collectAll(crew)
		expect(await rig.keys('sst/w1-3')).toEqual(['sst/w1-3'])
		expect(crew.owner.manifest.changeFloor).toEqual({ epoch: 1, slot: 3 })
		await rig.host.clock.advance(3 * MINUTE)
		await collectAll(crew)
		expect(await rig.keys('sst/w1-3')).toEqual([])
	})

	test('goes as well after the host has slept, when both clocks agree again', async () => {
		const { rig, crew } = await merged({ changeRetentionMs: HOUR })
		await crew.owner.checkpoint()
		await rig.host.clock.advance(HOUR)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
		await commitSome(rig, 'd')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await crew.owner.checkpoint()
		// The clock that counts spans stood still.
		rig.host.clock.jumpWallClock(2 * HOUR)
		expect((await collectAll(crew)).nextInMs).toBe(10 * MINUTE)
		const { slot } = crew.owner.manifest.maintenancePosition
		await rig.host.clock.advance(10 * MINUTE - 1)
		expect((await collectAll(crew)).nextInMs).toBe(1)
		expect(crew.owner.manifest.maintenancePosition.slot).toBe(slot)
		expect(await rig.keys('sst/w')).toHaveLength(1)
		await rig.host.clock.advance(1)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('late stays for change retention from then on, however old its commit is', async () => {
		const rig = new Rig({ changeRetentionMs: HOUR })
		await commitSome(rig, 'a')
		await rig.host.clock.advance(2 * HOUR)
		await commitSome(rig, 'b')
		await rig.host.clock.advance(59 * MINUTE)
		const crew = await rig.hire()
		await crew.executor.execute(everything(crew), executing())
		await crew.owner.checkpoint()
		await rig.host.clock.advance(MINUTE)
		await collectAll(crew)
		expect(crew.owner.manifest.changeFloor).toEqual({ epoch: 1, slot: 2 })
		expect(await rig.keys('sst/w')).toHaveLength(2)
		await rig.host.clock.advance(59 * MINUTE)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('stays when the checkpoint whose grace period has passed is an earlier one', async () => {
		const { rig, crew } = await merged({ gracePeriodMs: GRACE })
		await crew.owner.checkpoint()
		await collectAll(crew)
		await rig.host.clock.advance(MINUTE)
		await commitSome(rig, 'd')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await crew.owner.checkpoint()
		await collectAll(crew)
		await rig.host.clock.advance(GRACE - MINUTE)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual(['sst/w1-3'])
		await rig.host.clock.advance(MINUTE)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('is not told old by a clock that is wrong', async () => {
		const { rig } = await merged({ changeRetentionMs: HOUR, gracePeriodMs: GRACE })
		const store = new LateClockStore(rig.store)
		const crew = await rig.hire(store)
		await crew.owner.checkpoint()
		await crew.collector.collect()
		rig.host.clock.jumpWallClock(10 * HOUR)
		store.lateMs = 10 * HOUR
		expect((await crew.collector.collect()).nextInMs).toBe(10 * MINUTE)
		for (let hours = 0; hours < 5; hours++) {
			await rig.host.clock.advance(GRACE)
			await collectAll(crew)
		}
		expect(await rig.keys('sst/w')).toHaveLength(2)
		expect(crew.owner.manifest.changeFloor).toEqual({ epoch: 0, slot: 0 })
	})

	test('is not told old by a clock that is wrong behind what an owner before has removed by one that was more so', async () => {
		const rig = new Rig({ changeRetentionMs: HOUR })
		for (const tag of ['a', 'b', 'c']) await commitSome(rig, tag)
		const before = await rig.hire()
		rig.host.clock.jumpWallClock(10 * HOUR)
		await before.executor.execute(mergeOf(before.owner.manifest.l0.slice(0, 2).toReversed()), executing())
		rig.host.clock.jumpWallClock(-10 * HOUR)
		await rig.host.clock.advance(2 * HOUR)
		const store = new LateClockStore(rig.store)
		const crew = await rig.hire(store)
		await crew.executor.execute(everything(crew), executing())
		await crew.owner.checkpoint()
		await collectAll(crew)
		expect(crew.owner.manifest.changeFloor).toEqual({ epoch: 1, slot: 3 })
		rig.host.clock.jumpWallClock(3 * HOUR)
		store.lateMs = 3 * HOUR
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual(['sst/w1-0', 'sst/w1-1', 'sst/w1-2'])
		rig.host.clock.jumpWallClock(-3 * HOUR)
		store.lateMs = 0
		await rig.host.clock.advance(HOUR)
		await collectAll(crew)
		expect(await rig.keys('sst/w')).toEqual(['sst/w1-0', 'sst/w1-1'])
	})

	test('twice deleted is no harm: a crash between deletion and its record is repaired by the next owner', async () => {
		for (let at = 0; at < 100; at++) {
			const { rig, crew: before } = await merged()
			await before.owner.checkpoint()
			const faulty = new FaultyStore(rig.store)
			faulty.crashAt(at, at % 2 === 0 ? 'after-effect' : 'before-effect')
			await rig
				.hire(faulty)
				.then(collectAll, () => undefined)
				.catch(() => undefined)
			expect(await rig.rows()).toEqual(rig.expected())
			const next = await rig.hire()
			await settleStore(next)
			expect(await rig.rows()).toEqual(rig.expected())
			expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
			if (!faulty.isCrashed) return
		}
		throw new Error('a collection of more than 100 requests')
	})
})
