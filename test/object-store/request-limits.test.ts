import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { DEFAULT_RETRY_BUDGET } from '../../src/host/backoff.ts'
import { SINGLE_MAX_BYTES } from '../../src/object-store/cloud-parts.ts'
import { RequestLimits } from '../../src/object-store/request-limits.ts'
import { manualHost } from '../support/manual-clock.ts'

const MIB = 1024 * 1024
const NAME = { operation: 'get', key: 'k' }
const AWAY = new IsleError('ISLE_UNAVAILABLE', 'away')

describe('the deadline of a request', () => {
	test('grows with what it sends, and is always shorter than an outage is sat out', () => {
		const limits = new RequestLimits(manualHost())
		expect([0, MIB, 8 * MIB].map(bytes => limits.deadlineMs(bytes))).toEqual([10_000, 11_000, 18_000])
		expect(limits.deadlineMs(SINGLE_MAX_BYTES)).toBeLessThan(DEFAULT_RETRY_BUDGET.budgetMs)
		const own = new RequestLimits(manualHost(), { answerMs: 500, uploadMsPerMib: 20 })
		expect([own.answerMs, own.deadlineMs(5 * MIB)]).toEqual([500, 600])
	})

	test('ends it with ISLE_UNAVAILABLE, and aborts what was sent', async () => {
		const host = manualHost()
		let signal: AbortSignal | undefined
		const asking = new RequestLimits(host).once(NAME, undefined, 10_000, inner => {
			signal = inner
			return new Promise(() => {})
		})
		const outcome = expect(asking).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await host.clock.advance(9_999)
		expect(signal?.aborted).toBe(false)
		await host.clock.advance(1)
		await outcome
		expect(signal?.aborted).toBe(true)
		expect(host.clock.pendingTimers).toBe(0)
	})
})

describe('a request that may be repeated', () => {
	const controller = new AbortController()
	const options = { signal: controller.signal, repeatSignal: controller.signal, deadlineMs: 18_000 }

	test('gets twice the time after each that was late, at most eight times, and four attempts in all', async () => {
		const host = manualHost()
		const began: number[] = []
		const asking = new RequestLimits(host).repeated(NAME, options, () => {
			began.push(host.clock.monotonicMs())
			return new Promise(() => {})
		})
		const outcome = expect(asking).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await host.clock.advance(400_000)
		await outcome
		const waits = began.slice(1).map((at, i) => Math.floor((at - (began[i] ?? 0)) / 18_000))
		expect(waits).toEqual([1, 2, 4])
	})

	test('keeps its time after refusals, which are not late, and is asked ten times', async () => {
		const host = manualHost()
		let asked = 0
		const asking = new RequestLimits(host).repeated(NAME, options, () => {
			asked++
			return Promise.reject(AWAY)
		})
		const outcome = expect(asking).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await host.clock.advance(60_000)
		await outcome
		expect(asked).toBe(10)
	})

	test('is not repeated once that is over, while the request under way may end', async () => {
		const host = manualHost()
		const stop = new AbortController()
		let answer = (): void => {}
		const asking = new RequestLimits(host).repeated(NAME, { ...options, repeatSignal: stop.signal }, async () => {
			await new Promise<void>(resolve => {
				answer = resolve
			})
			throw AWAY
		})
		const outcome = expect(asking).rejects.toBe('over')
		stop.abort('over')
		answer()
		await outcome
		expect(host.clock.pendingTimers).toBe(0)
	})
})
