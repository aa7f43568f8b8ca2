import { expect, test } from 'vitest'
import { closedLoop, closedLoops } from '../../bench/closed-loops.ts'

const HOUR_MS = 3_600_000

test('clients share the operations: each is done once, no more at once than there are clients', async () => {
	const begun: number[] = []
	let [inFlight, most] = [0, 0]
	const { done, perSecond } = await closedLoops({ clients: 7, count: 100, maxMs: HOUR_MS }, async i => {
		begun.push(i)
		most = Math.max(most, ++inFlight)
		await Promise.resolve()
		inFlight--
	})
	expect(begun).toEqual(Array.from({ length: 100 }, (_, i) => i))
	expect(most).toBe(7)
	expect(done).toBe(100)
	expect(perSecond).toBeGreaterThan(0)
})

test('when time is up nothing more begins, and only what was done counts', async () => {
	const result = await closedLoops({ clients: 3, count: 1_000_000, maxMs: -1, perLook: 10 }, async () => undefined)
	expect(result.done).toBeGreaterThan(0)
	expect(result.done).toBeLessThan(20)
	expect(closedLoop({ count: 1_000, maxMs: -1 }, () => undefined).done).toBe(0)
	expect(closedLoop({ count: 1_000, maxMs: HOUR_MS }, () => undefined).done).toBe(1_000)
})

test('an operation that fails ends all', async () => {
	const failing = closedLoops({ clients: 2, count: 10, maxMs: HOUR_MS }, async i => {
		if (i === 3) throw new Error('no')
	})
	await expect(failing).rejects.toThrow('no')
})
