import { afterEach, describe, expect, test, vi } from 'vitest'
import { sleep, systemClock } from '../../src/host/clock.ts'
import { ManualClock } from '../support/manual-clock.ts'

const DAY_MS = 86_400_000

describe('sleeping', () => {
	test('ends when its time has come, and not before', async () => {
		const clock = new ManualClock()
		let isAwake = false
		const slept = sleep(clock, 100).then(() => {
			isAwake = true
		})
		await clock.advance(99)
		expect(isAwake).toBe(false)
		await clock.advance(1)
		await slept
		expect(isAwake).toBe(true)
	})

	test('ends at once with the reason when aborted, before or during, and leaves no timer', async () => {
		const clock = new ManualClock()
		const reason = new Error('stop')
		await expect(sleep(clock, 100, AbortSignal.abort(reason))).rejects.toBe(reason)
		const controller = new AbortController()
		const slept = sleep(clock, 100, controller.signal)
		controller.abort(reason)
		await expect(slept).rejects.toBe(reason)
		expect(clock.pendingTimers).toBe(0)
	})

	test('leaves no listener on a signal that outlives it', async () => {
		const clock = new ManualClock()
		const { signal } = new AbortController()
		const added = vi.spyOn(signal, 'addEventListener')
		const removed = vi.spyOn(signal, 'removeEventListener')
		const slept = sleep(clock, 1, signal)
		await clock.advance(1)
		await slept
		expect(added).toHaveBeenCalledTimes(1)
		expect(removed.mock.calls.map(call => call[1])).toEqual(added.mock.calls.map(call => call[1]))
	})

	test('holds the process: somebody waits for it', () => {
		const clock = new ManualClock()
		void sleep(clock, 100)
		expect(clock.pendingForegroundTimers).toBe(1)
	})
})

describe('the clock of the system', () => {
	afterEach(() => void vi.useRealTimers())

	test('fires once after the delay, and not when cancelled', async () => {
		vi.useFakeTimers()
		const fired: string[] = []
		systemClock.schedule(50, () => fired.push('a'))
		systemClock.schedule(50, () => fired.push('b')).cancel()
		await vi.advanceTimersByTimeAsync(49)
		expect(fired).toEqual([])
		await vi.advanceTimersByTimeAsync(1_000)
		expect(fired).toEqual(['a'])
	})

	test('waits for delays longer than a 32-bit timer holds, and can cancel them', async () => {
		vi.useFakeTimers()
		const fired: string[] = []
		systemClock.schedule(60 * DAY_MS, () => fired.push('after 60 days'))
		const cancelled = systemClock.schedule(60 * DAY_MS, () => fired.push('cancelled'))
		const endless = systemClock.schedule(Number.POSITIVE_INFINITY, () => fired.push('never'))
		await vi.advanceTimersByTimeAsync(30 * DAY_MS)
		expect(fired).toEqual([])
		cancelled.cancel()
		await vi.advanceTimersByTimeAsync(30 * DAY_MS - 1)
		expect(fired).toEqual([])
		await vi.advanceTimersByTimeAsync(1)
		expect(fired).toEqual(['after 60 days'])
		await vi.advanceTimersByTimeAsync(100 * DAY_MS)
		expect(fired).toEqual(['after 60 days'])
		endless.cancel()
		expect(vi.getTimerCount()).toBe(0)
	})

	test('lets background timers go, and holds the process for others', () => {
		const unref = vi.fn()
		const setTimer = vi.spyOn(globalThis, 'setTimeout').mockImplementation((() => ({ unref })) as never)
		systemClock.schedule(10, () => undefined)
		expect(unref).not.toHaveBeenCalled()
		systemClock.schedule(10, () => undefined, { background: true })
		expect(unref).toHaveBeenCalledTimes(1)
		setTimer.mockRestore()
	})

	test('yields in a macrotask: promises that are ready, and messages that wait, come first', async () => {
		const order: string[] = []
		const yielded = systemClock.yieldToIo().then(() => order.push('yielded'))
		void Promise.resolve()
			.then(() => undefined)
			.then(() => order.push('promise'))
		await yielded
		expect(order).toEqual(['promise', 'yielded'])
	})

	test('measures spans that never go back', () => {
		let before = systemClock.monotonicMs()
		for (let round = 0; round < 1_000; round++) {
			const now = systemClock.monotonicMs()
			expect(now).toBeGreaterThanOrEqual(before)
			before = now
		}
		expect(Number.isInteger(systemClock.nowMs())).toBe(true)
	})
})
