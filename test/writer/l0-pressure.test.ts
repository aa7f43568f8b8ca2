/** How long writers wait for L0, on a clock that is moved by hand. */
import { channel } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { type L0Listener, L0Pressure, type L0Stall } from '../../src/writer/l0-pressure.ts'
import { type StallEvent, stallListener } from '../../src/writer/stall.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

const MIB = 1_048_576
const SILENT: L0Listener = { onChange: () => undefined, onAwaited: () => undefined }
const LIMITS = { l0SlowdownTables: 48, l0StopTables: 96, memtableMaxBytes: 16 * MIB }

/** `count` tables of `storedBytes`, of one commit each. */
function tables(count: number, storedBytes: number = 16 * MIB): readonly TableRef[] {
	return Array.from({ length: count }, (_, i) => {
		const table = tableOf(`w1-${i}`, i + 1, i + 1)
		return { ...table, meta: { ...table.meta, storedBytes } }
	})
}

function pressureOf(l0: readonly TableRef[], clock = new ManualClock()): { pressure: L0Pressure; clock: ManualClock } {
	return { pressure: new L0Pressure(clock, LIMITS, l0, SILENT), clock }
}

/** Milliseconds for which somebody waits who has made a memtable of `parts` parts. */
async function waitsFor(l0: readonly TableRef[], parts = 1): Promise<number> {
	const { pressure, clock } = pressureOf(l0)
	pressure.charge(0)
	pressure.charge(LIMITS.memtableMaxBytes / parts)
	for (let waitedMs = 0; ; ) {
		const wait = pressure.wait()
		if (wait === undefined) return waitedMs
		const nextMs = clock.nextTimerMs
		if (nextMs === undefined) return Infinity
		waitedMs += nextMs
		await clock.advance(nextMs)
		await wait
	}
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
	let isSettled = false
	const mark = (): void => {
		isSettled = true
	}
	promise.then(mark, mark)
	await settle()
	return !isSettled
}

describe('the limits', () => {
	test.each([
		[47, 'none'],
		[48, 'slow'],
		[95, 'slow'],
		[96, 'stopped'],
		[97, 'stopped'],
	] as const)('%i large tables: %s', (count, stall) => {
		expect(pressureOf(tables(count)).pressure.stall).toBe(stall)
	})

	test.each([
		[6143, 'none'],
		[6144, 'slow'],
		[12_287, 'slow'],
		[12_288, 'stopped'],
	] as const)('%i tiny tables: %s', (count, stall) => {
		const { pressure } = pressureOf(tables(count, 300))
		expect(pressure.stall).toBe(stall)
		expect(pressure.depth).toEqual({ l0Tables: count, l0Weight: count / 128 })
	})

	test('a table counts by its bytes between tiny and a megabyte', () => {
		expect(pressureOf(tables(95, MIB / 2)).pressure.stall).toBe('none')
		expect(pressureOf(tables(96, MIB / 2)).pressure.stall).toBe('slow')
		expect(pressureOf(tables(48, MIB - 1)).pressure.stall).toBe('none')
		expect(pressureOf(tables(48, MIB)).pressure.stall).toBe('slow')
	})

	test('follow tables that are added, taken away, and replaced', () => {
		const all = tables(200)
		const { pressure } = pressureOf([])
		const weights = [
			all.slice(0, 50),
			all.slice(0, 120),
			all.slice(8, 120),
			all.slice(8, 130),
			all.slice(119, 130),
			[],
			all.slice(130, 131),
		].map(l0 => {
			pressure.changed(l0)
			return pressure.depth.l0Weight - l0.length
		})
		expect(weights).toEqual([0, 0, 0, 0, 0, 0, 0])
	})
})

describe('while L0 is slow', () => {
	test('a memtable costs nothing at the first limit and more with each table behind it, without a step', async () => {
		const waits: number[] = []
		for (let count = 48; count < 96; count++) waits.push(await waitsFor(tables(count)))
		expect(waits[0]).toBe(0)
		for (const [i, waitMs] of waits.entries()) {
			const level = i / 48
			const expectedMs = (1000 * level) / (1 - level)
			expect(Math.abs(waitMs - expectedMs)).toBeLessThanOrEqual(5)
			if (i > 0) expect(waitMs).toBeGreaterThan(waits[i - 1] ?? 0)
		}
		expect(waits[24]).toBeCloseTo(1000, 0)
		expect(waits[47]).toBeCloseTo(47_000, 0)
	})

	test('whoever writes less waits less', async () => {
		const waits = []
		for (const parts of [1, 2, 4, 8, 16]) waits.push(await waitsFor(tables(72), parts))
		expect(waits).toEqual([1000, 500, 250, 125, 63])
	})

	test('small writes add up before anybody waits', async () => {
		const { pressure, clock } = pressureOf(tables(72))
		pressure.charge(0)
		// 1 s for 16 MiB: 80 KiB are 4.9 ms, two more KiB make 5.
		pressure.charge(80 * 1024)
		expect(pressure.wait()).toBeUndefined()
		pressure.charge(82 * 1024)
		expect(pressure.wait()).toBeDefined()
		expect(clock.nextTimerMs).toBe(6)
	})

	test('each commit costs as much as a tiny table, however little is in it', async () => {
		const { pressure, clock } = pressureOf(tables(72))
		await pressure.admit('written', () => Promise.resolve(1))
		expect(pressure.wait()).toBeDefined()
		expect(clock.nextTimerMs).toBe(Math.ceil(1000 / 128))
	})

	test('a new memtable is charged from its beginning', async () => {
		const { pressure, clock } = pressureOf(tables(72))
		pressure.charge(10 * MIB)
		pressure.charge(12 * MIB)
		pressure.charge(2 * MIB)
		void pressure.wait()
		expect(clock.nextTimerMs).toBe(250)
	})

	test('a pause ends at once when L0 has shrunk below the limit', async () => {
		const { pressure, clock } = pressureOf(tables(90))
		pressure.charge(0)
		pressure.charge(16 * MIB)
		const wait = pressure.wait() ?? Promise.resolve()
		expect(await isPending(wait)).toBe(true)
		pressure.changed(tables(47))
		await wait
		expect(clock.pendingTimers).toBe(0)
		expect(pressure.wait()).toBeUndefined()
	})
})

describe('while L0 is stopped', () => {
	test('mutations wait until it has shrunk below the limit', async () => {
		const { pressure, clock } = pressureOf(tables(96))
		const wait = pressure.wait() ?? Promise.resolve()
		await clock.advance(3_600_000)
		pressure.changed(tables(97))
		expect(await isPending(wait)).toBe(true)
		expect(pressure.stalled).toEqual({ cause: 'l0', isStopped: true, forMs: 3_600_000, heldCommits: 0 })
		pressure.changed(tables(95))
		await wait
		expect(pressure.stalled).toMatchObject({ cause: 'l0', isStopped: false, forMs: 0 })
	})

	test('commits are held and begin in order; the timer has a quarter more', async () => {
		const { pressure } = pressureOf(tables(119))
		const begun: string[] = []
		const admit = (reason: 'written' | 'timer' | 'demanded', name: string): Promise<void> =>
			pressure.admit(reason, async () => void begun.push(name))
		// Behind one that is held even what need not wait stays in its place.
		const all = [admit('timer', 'a'), admit('written', 'b'), admit('timer', 'c')]
		await settle()
		expect(begun).toEqual(['a'])
		expect(pressure.stalled).toMatchObject({ heldCommits: 2 })
		pressure.changed(tables(95))
		all.push(admit('written', 'd'))
		await Promise.all(all)
		expect(begun).toEqual(['a', 'b', 'c', 'd'])
		pressure.changed(tables(120))
		const late = admit('timer', 'e')
		expect(await isPending(late)).toBe(true)
		pressure.release()
		await late
		expect(pressure.stalled).toMatchObject({ heldCommits: 0 })
	})

	test('what is demanded lets everything before it through, in order', async () => {
		const { pressure } = pressureOf(tables(200))
		const begun: number[] = []
		const all = [1, 2, 3].map(i => pressure.admit('written', async () => void begun.push(i)))
		await settle()
		expect(begun).toEqual([])
		pressure.release()
		all.push(pressure.admit('demanded', async () => void begun.push(4)))
		await Promise.all(all)
		expect(begun).toEqual([1, 2, 3, 4])
		const held = pressure.admit('written', async () => void begun.push(5))
		expect(await isPending(held)).toBe(true)
		pressure.end()
		await held
		expect(pressure.stall).toBe('none')
	})

	test('a failure is told to all who wait, and nothing that was held begins', async () => {
		const { pressure, clock } = pressureOf(tables(96))
		const begun: number[] = []
		const held = [1, 2].map(i => pressure.admit('written', async () => void begun.push(i)))
		const wait = pressure.wait() ?? Promise.resolve()
		pressure.fail(new Error('fenced'))
		for (const promise of [...held, wait]) await expect(promise).rejects.toThrow('fenced')
		expect(begun).toEqual([])
		expect(clock.pendingTimers).toBe(0)
	})
})

describe('looking', () => {
	function watched(look: () => Promise<void>): { pressure: L0Pressure; clock: ManualClock } {
		const clock = new ManualClock()
		return { clock, pressure: new L0Pressure(clock, LIMITS, [], stallListener(clock, look)) }
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
			stallListener(clock, async () => undefined),
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

	test('who waits for nobody is warned once, after half a minute', async () => {
		const warnings: Error[] = []
		const listen = (warning: Error): void => void warnings.push(warning)
		process.on('warning', listen)
		const clock = new ManualClock()
		const pressure = new L0Pressure(
			clock,
			LIMITS,
			tables(96),
			stallListener(clock, async () => undefined),
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
	})
})
