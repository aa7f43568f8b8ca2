/** Errors on their way between threads. */
import { expect, test } from 'vitest'
import { fromWire, toWire } from '../../src/errors.ts'

test('whatever was thrown crosses, also what cannot be made a text', () => {
	const unprintable: unknown = Object.create(null)
	const refusing = {
		toString() {
			throw new RangeError('no')
		},
	}
	for (const thrown of [undefined, null, 7, 'text', Symbol('thrown'), unprintable, refusing]) {
		const arrived = fromWire(structuredClone(toWire(thrown)))
		expect(arrived).toBeInstanceOf(Error)
	}
	expect(fromWire(toWire('text')).message).toBe('text')
	expect(fromWire(toWire(new Error('outer', { cause: unprintable }))).cause).toBeInstanceOf(Error)
})
