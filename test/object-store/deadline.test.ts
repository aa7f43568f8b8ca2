import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { type CallScope, withLimits } from '../../src/object-store/deadline.ts'
import { ManualClock } from '../support/manual-clock.ts'

const NAME = { operation: 'get', key: 'some/key' }
const never = (): Promise<never> => new Promise(() => {})

describe('withLimits', () => {
	test('answers what the work answers, and leaves no timer and no listener behind', async () => {
		const clock = new ManualClock()
		const { signal } = new AbortController()
		expect(await withLimits(clock, NAME, { signal, deadlineMs: 1000 }, 5000, async () => 7)).toBe(7)
		await expect(
			withLimits(clock, NAME, { signal, deadlineMs: 1000 }, 5000, () => Promise.reject(new Error('work failed'))),
		).rejects.toThrow('work failed')
		expect(clock.pendingTimers).toBe(0)
		expect(getEventListeners(signal, 'abort')).toHaveLength(0)
	})

	test('rejects at the deadline with ISLE_UNAVAILABLE that names operation and key, not a millisecond before', async () => {
		const clock = new ManualClock()
		let failure: unknown
		withLimits(clock, NAME, { deadlineMs: 1000 }, 5000, never).catch((error: unknown) => {
			failure = error
		})
		await clock.advance(999)
		expect(failure).toBeUndefined()
		await clock.advance(1)
		expect(isIsleError(failure, 'ISLE_UNAVAILABLE')).toBe(true)
		expect(String(failure)).toContain('operation=`get` key=`some/key` deadlineMs=`1000`')
	})

	test('uses the default deadline when the caller names none, and none at all when that is Infinity', async () => {
		const clock = new ManualClock()
		const limited = withLimits(clock, NAME, {}, 50, never)
		const check = expect(limited).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		withLimits(clock, NAME, undefined, Number.POSITIVE_INFINITY, never).catch(() => {})
		withLimits(clock, NAME, { deadlineMs: 2 ** 40 }, 50, never).catch(() => {})
		expect(clock.pendingTimers).toBe(1)
		await clock.advance(50)
		await check
	})

	test('rejects with the reason of an abort at once, whatever the work does', async () => {
		const controller = new AbortController()
		const running = withLimits(new ManualClock(), NAME, { signal: controller.signal }, 1000, never)
		controller.abort('reason')
		await expect(running).rejects.toBe('reason')
	})

	test('does no work when the call is over before it begins', async () => {
		let works = 0
		const work = async (): Promise<void> => {
			works++
		}
		const clock = new ManualClock()
		await expect(withLimits(clock, NAME, { signal: AbortSignal.abort('early') }, 1000, work)).rejects.toBe('early')
		await expect(withLimits(clock, NAME, { deadlineMs: 0 }, 1000, work)).rejects.toMatchObject({
			code: 'ISLE_UNAVAILABLE',
		})
		await expect(withLimits(clock, NAME, { deadlineMs: Number.NaN }, 1000, work)).rejects.toThrow(RangeError)
		expect(works).toBe(0)
	})

	test('tells the work that it is over, by flag, by throwing and by signal', async () => {
		const clock = new ManualClock()
		const scopes: CallScope[] = []
		const running = withLimits(clock, NAME, { deadlineMs: 10 }, 1000, scope => {
			scopes.push(scope)
			expect(scope.isOver).toBe(false)
			scope.throwIfOver()
			expect(scope.signal.aborted).toBe(false)
			return never()
		})
		const check = expect(running).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await clock.advance(10)
		await check
		const [scope] = scopes
		expect(scope?.isOver).toBe(true)
		expect(scope?.signal.aborted).toBe(true)
		expect(() => scope?.throwIfOver()).toThrow(/no answer from the store in time/)
	})

	test('gives the answer that stands for being over, and rejects where there is none', async () => {
		const controller = new AbortController()
		const limits = { signal: controller.signal }
		const clock = new ManualClock()
		const instead = withLimits<unknown>(clock, NAME, limits, 1000, never, cause => ({ kind: 'unknown', cause }))
		const nothing = withLimits<unknown>(clock, NAME, limits, 1000, never, () => undefined)
		controller.abort('why')
		expect(await instead).toEqual({ kind: 'unknown', cause: 'why' })
		await expect(nothing).rejects.toBe('why')
	})

	test('drops what the work says later, its failure too', async () => {
		const controller = new AbortController()
		let fail = (_error: Error): void => {}
		const running = withLimits(
			new ManualClock(),
			NAME,
			{ signal: controller.signal },
			1000,
			() =>
				new Promise<never>((_, reject) => {
					fail = reject
				}),
		)
		controller.abort('gone')
		await expect(running).rejects.toBe('gone')
		fail(new Error('too late: an unhandled rejection would end this run'))
		await new Promise(resolve => setImmediate(resolve))
	})
})
