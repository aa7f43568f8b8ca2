import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/host/clock.ts'
import { ManualClock } from '../support/manual-clock.ts'

describe('the hand-driven clock', () => {
	test('fires timers in order of time, then of scheduling, and only when moved', async () => {
		const clock = new ManualClock()
		const fired: string[] = []
		clock.schedule(20, () => fired.push('c at 20'))
		clock.schedule(10, () => fired.push('a at 10'))
		clock.schedule(10, () => fired.push('b at 10'))
		clock.schedule(0, () => fired.push('now'))
		expect(fired).toEqual([])
		await clock.advance(0)
		expect(fired).toEqual(['now'])
		await clock.advance(19)
		expect(fired).toEqual(['now', 'a at 10', 'b at 10'])
		await clock.advance(1)
		expect(fired).toEqual(['now', 'a at 10', 'b at 10', 'c at 20'])
	})

	test('sees a loop that sleeps again and again within one advance, each at its own time', async () => {
		const clock = new ManualClock()
		const times: number[] = []
		const loop = async (): Promise<void> => {
			for (let round = 0; round < 5; round++) {
				await sleep(clock, 100)
				times.push(clock.monotonicMs())
			}
		}
		const done = loop()
		await clock.advance(350)
		expect(times).toEqual([100, 200, 300])
		expect(clock.monotonicMs()).toBe(350)
		await clock.advance(150)
		await done
		expect(times).toEqual([100, 200, 300, 400, 500])
	})

	test('counts pending timers, and those that would hold the process', () => {
		const clock = new ManualClock()
		const first = clock.schedule(10, () => undefined)
		clock.schedule(5, () => undefined, { background: true })
		expect(clock.pendingTimers).toBe(2)
		expect(clock.pendingForegroundTimers).toBe(1)
		expect(clock.nextTimerMs).toBe(5)
		first.cancel()
		first.cancel()
		expect(clock.pendingTimers).toBe(1)
		expect(clock.pendingForegroundTimers).toBe(0)
	})

	test('lets the wall clock jump without moving spans', async () => {
		const clock = new ManualClock(1_000)
		clock.jumpWallClock(-600)
		expect(clock.nowMs()).toBe(400)
		expect(clock.monotonicMs()).toBe(0)
		await clock.advance(50)
		expect(clock.nowMs()).toBe(450)
		expect(clock.monotonicMs()).toBe(50)
	})

	test('says so when what is under test never reaches its pause', async () => {
		await expect(new ManualClock().untilTimers(1)).rejects.toThrow('expected 1 pending timers, got 0')
	})
})
