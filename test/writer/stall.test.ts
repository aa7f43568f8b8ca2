/** What happens beside it when writes wait for L0: looking for the end, telling. */
import { channel } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { L0Pressure, type L0Stall } from '../../src/writer/l0-pressure.ts'
import { type StallEvent, stallListener } from '../../src/writer/stall.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { LIMITS, tables } from './l0-tables.ts'

describe('looking', () => {
	function watched(look: () => Promise<void>): { pressure: L0Pressure; clock: ManualClock } {
		const clock = new ManualClock()
		return {
			clock,
			pressure: new L0Pressure(clock, LIMITS, [], stallListener(clock, { look, isMerging: () => false })),
		}
	}

	test('begins with the stall, goes on less and less often whatever it finds, and ends with it', async () => {
		const looks: number[] = []
		const { clock, pressure } = watched(async () => {
			looks.push(clock.monotonicMs())
			throw new Error('the store is away')
		})
		await clock.advance(60_000)
		expect(looks).toEqual([])
		pressure.changed(tables(48))
		await clock.advance(1000 + 1500 + 2250)
		expect(looks.map(ms => ms - 60_000)).toEqual([0, 1000, 2500, 4750])
		await clock.advance(300_000)
		expect((looks.at(-1) ?? 0) - (looks.at(-2) ?? 0)).toBe(30_000)
		pressure.changed(tables(47))
		expect(clock.pendingTimers).toBe(0)
	})

	test('keeps the process alive only while somebody waits', async () => {
		const { clock, pressure } = watched(async () => undefined)
		pressure.changed(tables(96))
		await settle()
		expect(clock.pendingForegroundTimers).toBe(0)
		void pressure.wait()
		expect(clock.pendingForegroundTimers).toBe(1)
		await clock.advance(10_000)
		expect(clock.pendingForegroundTimers).toBe(1)
		pressure.end()
		expect(clock.pendingTimers).toBe(0)
	})
})

describe('telling', () => {
	test('each change of how writers wait is published', () => {
		const seen: unknown[] = []
		const listen = (event: unknown): void => void seen.push(event)
		channel('isledb:stall').subscribe(listen)
		const clock = new ManualClock()
		const pressure = new L0Pressure(
			clock,
			LIMITS,
			[],
			stallListener(clock, { look: async () => undefined, isMerging: () => false }),
		)
		for (const count of [10, 48, 60, 96, 95, 0]) pressure.changed(tables(count))
		channel('isledb:stall').unsubscribe(listen)
		const expected = (stall: L0Stall, count: number): StallEvent => ({
			channel: 'isledb:stall',
			stall,
			l0Tables: count,
			l0Weight: count,
		})
		expect(seen).toEqual([expected('slow', 48), expected('stopped', 96), expected('slow', 95), expected('none', 0)])
		expect(clock.pendingTimers).toBe(0)
	})

	test.each([
		[false, 'does anybody maintain this database?'],
		[true, 'this process merges'],
	])('who waits is warned once, after half a minute, and told whether this process merges: %s', async (merges, why) => {
		const warnings: Error[] = []
		const listen = (warning: Error): void => void warnings.push(warning)
		process.on('warning', listen)
		const clock = new ManualClock()
		const pressure = new L0Pressure(
			clock,
			LIMITS,
			tables(96),
			stallListener(clock, { look: async () => undefined, isMerging: () => merges }),
		)
		await clock.advance(29_999)
		await settle()
		expect(warnings).toEqual([])
		await clock.advance(1)
		pressure.changed(tables(0))
		pressure.changed(tables(96))
		await clock.advance(60_000)
		await settle()
		process.off('warning', listen)
		expect(warnings).toMatchObject([{ code: 'ISLE_STALL', message: expect.stringContaining('tables=`96`') }])
		expect(warnings[0]?.message).toContain(why)
	})
})
