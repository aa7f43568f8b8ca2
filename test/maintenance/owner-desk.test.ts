import { expect, test } from 'vitest'
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { OwnerDesk } from '../../src/maintenance/owner-desk.ts'
import { CLOCK_CHECK_AGAIN_MS } from '../../src/maintenance/store-clock.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { LateClockStore } from '../support/late-clock-store.ts'
import { everything, executing, Rig } from './rig.ts'
import { rows } from './rig-histories.ts'

const MIB = 1_048_576
const HOUR_MS = 3_600_000

test.each([0, 10 * HOUR_MS])(
	'what has expired is rewritten only when the clock that says so is right: %i ms ahead',
	async aheadMs => {
		const rig = new Rig({ targetBytes: MIB })
		await rig.commit(rows(0, 6000, 'old'), 'object')
		const store = new LateClockStore(rig.store)
		const { owner, executor } = await rig.hire(store)
		await executor.execute(everything({ owner }), executing())
		const expiresAtMs = rig.host.clock.nowMs() + HOUR_MS
		await rig.commit(
			rows(0, 1500, 'new').map(row => ({ ...row, expiresAtMs })),
			'object',
		)
		await owner.follow()
		const { l0 } = owner.manifest
		await executor.execute({ kind: 'move', tables: l0, runId: undefined, why: 'the test says so' }, executing())
		const settings = maintenanceSettings({ compaction: { targetTableBytes: MIB, runs: 16 }, gracePeriodMs: 0 })
		if (settings === undefined) throw new Error('maintenance is on')
		const desk = new OwnerDesk({ store, pool: createInlinePool(rig.host), host: rig.host, settings, owner })
		const plan = (): ReturnType<OwnerDesk['plan']> =>
			desk.plan({ nowMs: rig.host.clock.nowMs(), busy: new Set(), quarantined: new Set(), isLargeAllowed: true })
		if (aheadMs === 0) await rig.host.clock.advance(2 * HOUR_MS)
		else rig.host.clock.jumpWallClock(aheadMs)
		store.lateMs = aheadMs
		const work = plan()
		expect(work?.why).toMatch(/^half has expired/)
		const outcome = await work?.run({
			signal: new AbortController().signal,
			isOver: () => false,
			onProgress: () => undefined,
		})
		expect(outcome?.kind).toBe(aheadMs === 0 ? 'done' : 'postponed')
		expect(plan()).toBeUndefined()
	},
)

test('a clock that is wrong keeps nothing but what the time decides from being done, and is looked at again', async () => {
	const rig = new Rig({ targetBytes: MIB })
	for (let i = 0; i < 4; i++) await rig.commit(rows(0, 1500, `table ${i}`), 'object')
	const store = new LateClockStore(rig.store)
	const { owner } = await rig.hire(store)
	const retention = { mode: 'age', retentionPeriodMs: HOUR_MS, retentionCount: 1 } as const
	const settings = maintenanceSettings({
		compaction: { l0Tables: 2, targetTableBytes: MIB },
		retention,
		gracePeriodMs: 0,
		changeRetentionMs: 0,
	})
	if (settings === undefined) throw new Error('maintenance is on')
	const desk = new OwnerDesk({ store, pool: createInlinePool(rig.host), host: rig.host, settings, owner })
	const { clock } = rig.host
	const plan = (): ReturnType<OwnerDesk['plan']> =>
		desk.plan({ nowMs: clock.nowMs(), busy: new Set(), quarantined: new Set(), isLargeAllowed: true })
	const run = { signal: new AbortController().signal, isOver: () => false, onProgress: () => undefined }
	const tend = { signal: run.signal, protectedPosition: undefined, isLast: false }

	clock.jumpWallClock(10 * HOUR_MS)
	store.lateMs = 10 * HOUR_MS
	const drop = plan()
	expect(drop?.kind).toBe('drop')
	expect((await drop?.run(run))?.kind).toBe('postponed')
	const tended = await desk.tend({ ...tend, nowMs: clock.nowMs() })
	expect(tended.nextDueMs).toBe(clock.nowMs() + CLOCK_CHECK_AGAIN_MS)
	const merge = plan()
	expect(merge?.kind).toBe('merge')
	expect((await merge?.run(run))?.kind).toBe('done')

	await rig.commit(rows(0, 100, 'last'), 'object')
	await owner.follow()
	await clock.advance(CLOCK_CHECK_AGAIN_MS - 1)
	await desk.tend({ ...tend, nowMs: clock.nowMs() })
	expect(plan()).toBeUndefined()
	// Both agree again, and what is due was written ten hours ago by both.
	store.lateMs = 0
	await clock.advance(1)
	const again = plan()
	expect(again?.kind).toBe('drop')
	expect((await again?.run(run))?.kind).toBe('done')
})
