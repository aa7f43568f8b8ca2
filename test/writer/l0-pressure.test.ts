/** How long writers wait for L0, on a clock that is moved by hand. */
import { describe, expect, test } from 'vitest'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { type L0Listener, L0Pressure } from '../../src/writer/l0-pressure.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { LIMITS, MIB, tables } from './l0-tables.ts'

const SILENT: L0Listener = { onChange: () => undefined, onAwaited: () => undefined }

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
