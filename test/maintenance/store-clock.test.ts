import { expect, test } from 'vitest'
import { CLOCK_CHECK_AGAIN_MS, StoreClock } from '../../src/maintenance/store-clock.ts'
import type { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import { LateClockStore } from '../support/late-clock-store.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { Rig } from './rig.ts'
import { commitSome } from './rig-histories.ts'

const HOUR_MS = 3_600_000

class CountingLateStore extends LateClockStore {
	lists = 0

	override list(...args: Parameters<LateClockStore['list']>): ReturnType<LateClockStore['list']> {
		this.lists++
		return super.list(...args)
	}
}

interface Scene {
	readonly rig: Rig
	readonly clock: ManualClock
	readonly store: CountingLateStore
	readonly storeClock: StoreClock
	/** Records written and LISTs made since it was asked last. */
	readonly cost: () => [number, number]
}

async function scene(): Promise<Scene> {
	const rig = new Rig()
	await commitSome(rig, 'a')
	const store = new CountingLateStore(rig.store)
	const { owner } = await rig.hire(store)
	const storeClock = new StoreClock(store, rig.host, owner)
	let [slot, lists] = [slotOf(owner), store.lists]
	const cost = (): [number, number] => {
		const spent: [number, number] = [slotOf(owner) - slot, store.lists - lists]
		slot = slotOf(owner)
		lists = store.lists
		return spent
	}
	return { rig, clock: rig.host.clock, store, storeClock, cost }
}

const slotOf = (owner: MaintenanceOwner): number => owner.manifest.maintenancePosition.slot

test('clocks that agree cost a LIST when they are first compared, and none for ten minutes', async () => {
	const { clock, storeClock, cost } = await scene()
	expect(await storeClock.isTrusted()).toBe(true)
	expect(cost()).toEqual([0, 1])
	await clock.advance(CLOCK_CHECK_AGAIN_MS - 1)
	expect(await storeClock.isTrusted()).toBe(true)
	expect([storeClock.doubtMs, cost()]).toEqual([0, [0, 0]])
})

test('clocks that differ are in doubt for ten minutes, in which asking costs nothing', async () => {
	const { clock, store, storeClock, cost } = await scene()
	store.lateMs = HOUR_MS
	expect(await storeClock.isTrusted()).toBe(false)
	expect([storeClock.doubtMs, cost()]).toEqual([CLOCK_CHECK_AGAIN_MS, [1, 2]])
	await clock.advance(CLOCK_CHECK_AGAIN_MS - 1)
	storeClock.noteWrite()
	expect(await storeClock.isTrusted()).toBe(false)
	expect([storeClock.doubtMs, cost()]).toEqual([1, [0, 0]])
	await clock.advance(1)
	expect(storeClock.doubtMs).toBe(0)
	expect(await storeClock.isTrusted()).toBe(false)
	expect(storeClock.doubtMs).toBe(CLOCK_CHECK_AGAIN_MS)
	clock.jumpWallClock(-HOUR_MS)
	await clock.advance(CLOCK_CHECK_AGAIN_MS)
	expect(await storeClock.isTrusted()).toBe(true)
})

test.each([0, HOUR_MS])(
	'where the record that shows the time is gone, a new one shows it: %i ms apart',
	async lateMs => {
		const { rig, store, storeClock, cost } = await scene()
		for (const key of await rig.keys('maintenance/')) await rig.store.delete(key)
		store.lateMs = lateMs
		expect(await storeClock.isTrusted()).toBe(lateMs === 0)
		expect([storeClock.doubtMs, cost()]).toEqual([lateMs === 0 ? 0 : CLOCK_CHECK_AGAIN_MS, [1, 2]])
		// Where they differ it is in doubt by this one record.
		expect(await storeClock.isTrusted()).toBe(lateMs === 0)
		expect(cost()).toEqual([0, 0])
	},
)

test('a clock that somebody else has found to differ meanwhile is not trusted', async () => {
	const { clock, storeClock } = await scene()
	// Both see it differ; the record that one of them writes shows that the host only slept.
	clock.jumpWallClock(HOUR_MS)
	const both = await Promise.all([storeClock.isTrusted(), storeClock.isTrusted()])
	expect(both).toEqual([false, false])
	expect(storeClock.doubtMs).toBe(CLOCK_CHECK_AGAIN_MS)
})
