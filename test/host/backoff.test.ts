import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { DEFAULT_RETRY_BUDGET, pauseMs, Retry, type RetryBudget, retryIdempotent } from '../../src/host/backoff.ts'
import type { Host } from '../../src/host/host.ts'
import { ManualClock, manualHost, settle } from '../support/manual-clock.ts'

const BUDGET: RetryBudget = { maxAttempts: 4, budgetMs: 1_000, basePauseMs: 100, maxPauseMs: 250 }
const unavailable = (what = 'no answer'): IsleError => new IsleError('ISLE_UNAVAILABLE', what)

/** A host whose jitter is always `uniform`: 1 gives the ceilings. */
function hostWithJitter(uniform: number): Host & { readonly clock: ManualClock } {
	return { clock: new ManualClock(), random: { next: () => uniform, bytes: count => new Uint8Array(count) } }
}

describe('a pause', () => {
	test('doubles its ceiling up to the highest one, and jitters over all of it', () => {
		const ceilings = [0, 1, 2, 3, 40].map(attempt => pauseMs(attempt, BUDGET, 1))
		expect(ceilings).toEqual([100, 200, 250, 250, 250])
		expect([0, 0.25, 0.5].map(uniform => pauseMs(1, BUDGET, uniform))).toEqual([0, 50, 100])
	})

	test('is never negative, never above its ceiling and always finite', () => {
		fc.assert(
			fc.property(
				fc.nat(100_000),
				fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
				(attempt, uniform) => {
					const pause = pauseMs(attempt, DEFAULT_RETRY_BUDGET, uniform)
					expect(Number.isInteger(pause)).toBe(true)
					expect(pause).toBeGreaterThanOrEqual(0)
					expect(pause).toBeLessThanOrEqual(DEFAULT_RETRY_BUDGET.maxPauseMs)
				},
			),
		)
	})
})

describe('a retry', () => {
	test('pauses between attempts, one time less than there are attempts', async () => {
		const host = hostWithJitter(1)
		const retry = new Retry(host, BUDGET)
		const times: number[] = []
		const run = (async () => {
			do times.push(host.clock.monotonicMs())
			while (await retry.pause())
		})()
		await host.clock.advance(10_000)
		await run
		expect(times).toEqual([0, 100, 300, 550])
		expect(retry.attempts).toBe(BUDGET.maxAttempts)
	})

	test('starts no attempt later than its budget, to the millisecond', async () => {
		for (const [budgetMs, expected] of [
			[300, [0, 100, 300]],
			[299, [0, 100]],
			[0, [0]],
		] as const) {
			const host = hostWithJitter(1)
			const retry = new Retry(host, { ...BUDGET, budgetMs })
			const times: number[] = []
			const run = (async () => {
				do times.push(host.clock.monotonicMs())
				while (await retry.pause())
			})()
			await host.clock.advance(10_000)
			await run
			expect(times).toEqual(expected)
		}
	})

	test('counts the time of the attempts themselves into the budget', async () => {
		const host = hostWithJitter(1)
		const retry = new Retry(host, BUDGET)
		await host.clock.advance(901)
		expect(await retry.pause()).toBe(false)
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('is not disturbed by a wall clock that jumps', async () => {
		const host = hostWithJitter(1)
		const retry = new Retry(host, BUDGET)
		host.clock.jumpWallClock(3_600_000)
		const pause = retry.pause()
		await host.clock.advance(100)
		expect(await pause).toBe(true)
	})

	test('that is aborted rejects with the reason at once and leaves no timer', async () => {
		const host = manualHost()
		const controller = new AbortController()
		const reason = new Error('stop')
		const pause = new Retry(host, BUDGET).pause(controller.signal)
		await host.clock.untilTimers()
		controller.abort(reason)
		await expect(pause).rejects.toBe(reason)
		expect(host.clock.pendingTimers).toBe(0)
		await expect(new Retry(host, BUDGET).pause(controller.signal)).rejects.toBe(reason)
		expect(host.clock.pendingTimers).toBe(0)
	})
})

describe('what is idempotent', () => {
	test('is tried again while the store is unavailable, and gives the first answer', async () => {
		const host = manualHost()
		let attempts = 0
		const run = retryIdempotent(host, async () => {
			if (++attempts < 3) throw unavailable()
			return 'answer'
		})
		await host.clock.advance(60_000)
		expect(await run).toBe('answer')
		expect(attempts).toBe(3)
		expect(host.clock.pendingTimers).toBe(0)
	})

	test.each(['ISLE_DENIED', 'ISLE_CORRUPT', 'ISLE_NOT_FOUND', 'ISLE_CLOSED'] as const)(
		'fails at once with %s, as it is',
		async code => {
			const error = new IsleError(code, 'no')
			let attempts = 0
			const run = retryIdempotent(manualHost(), async () => {
				attempts++
				throw error
			})
			await expect(run).rejects.toBe(error)
			expect(attempts).toBe(1)
		},
	)

	test('is not tried again after a bug of ours', async () => {
		const bug = new TypeError('x is not a function')
		await expect(retryIdempotent(manualHost(), () => Promise.reject(bug))).rejects.toBe(bug)
	})

	test('fails as unavailable once the budget is spent, with the last error as cause', async () => {
		const host = manualHost()
		let attempts = 0
		const run = retryIdempotent(host, () => Promise.reject(unavailable(`attempt ${++attempts}`)), { budget: BUDGET })
		const failure = run.catch((error: unknown) => error)
		await host.clock.advance(60_000)
		expect(await failure).toMatchObject({
			code: 'ISLE_UNAVAILABLE',
			message: 'no answer in 4 attempts: attempt 4',
			cause: { message: 'attempt 4' },
		})
		expect(attempts).toBe(BUDGET.maxAttempts)
	})

	test('that was aborted during an attempt rejects with the reason and not with the error of the attempt', async () => {
		const controller = new AbortController()
		const reason = new Error('stop')
		const host = manualHost()
		const run = retryIdempotent(
			host,
			async () => {
				controller.abort(reason)
				throw unavailable()
			},
			{ signal: controller.signal },
		)
		await expect(run).rejects.toBe(reason)
		await settle()
		expect(host.clock.pendingTimers).toBe(0)
	})
})
