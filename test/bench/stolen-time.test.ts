import { expect, test } from 'vitest'
import { parseStolenMs, stolenMs } from '../../bench/stolen-time.ts'

test('the time that the host took is the eighth number of all cores, in ticks of 10 ms', () => {
	const stat =
		'cpu  6178284 718950 1305409 1223395 52339 0 29170 11215 3 4\ncpu0 3109767 363274 616176 646499 12621 0 5788 5669 0 0\n'
	expect(parseStolenMs(stat)).toBe(112_150)
	expect(parseStolenMs('cpu  1 2 3 4\n')).toBeUndefined()
	expect(parseStolenMs('')).toBeUndefined()
})

test('Linux tells it, and others do not', () => {
	expect(stolenMs() !== undefined).toBe(process.platform === 'linux')
})
