/** The judge of the example `walazblob` must not say that all is well when it is not. */
import { describe, expect, test } from 'vitest'
import { checkDiary } from '../../examples/walazblob/events.ts'

const first = { savedBefore: -1, handledBefore: -1, handled: [0, 1, 2] }

describe('the diary of the consumer', () => {
	test('is well when a life goes on behind what was saved, and repeats are counted', () => {
		expect(checkDiary([first, { savedBefore: 0, handledBefore: 2, handled: [1, 2, 3] }], 4)).toBe(2)
		expect(checkDiary([first, { savedBefore: 0, handledBefore: 2, handled: [] }], 3)).toBe(0)
	})

	test('is not well when an event is skipped, out of order, saved and handled again, or missing at the end', () => {
		expect(() => checkDiary([first, { savedBefore: 1, handledBefore: 2, handled: [4] }], 5)).toThrow(
			'began with event 4',
		)
		expect(() => checkDiary([{ ...first, handled: [0, 2] }], 3)).toThrow('came after 0')
		expect(() => checkDiary([{ ...first, handled: [0, 1, 1] }], 2)).toThrow('came after 1')
		expect(() => checkDiary([first, { savedBefore: 1, handledBefore: 2, handled: [1, 2] }], 3)).toThrow(
			'had been saved',
		)
		expect(() => checkDiary([first], 4)).toThrow('the last event handled is 2')
		expect(() => checkDiary([], 1)).toThrow('the last event handled is -1')
	})
})
