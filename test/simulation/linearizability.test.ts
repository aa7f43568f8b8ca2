import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isLinearizable, type RegisterOperation } from './linearizability.ts'

type Operation = RegisterOperation<number>

const NEVER = Number.POSITIVE_INFINITY
const write = (value: number, calledAt: number, returnedAt: number): Operation => ({
	kind: 'write',
	value,
	calledAt,
	returnedAt,
})
const read = (value: number, calledAt: number, returnedAt: number): Operation => ({
	kind: 'read',
	value,
	calledAt,
	returnedAt,
})

test.each<[name: string, isFine: boolean, operations: Operation[]]>([
	['nothing', true, []],
	['a read of the initial value', true, [read(0, 1, 2)]],
	['a read of what nobody wrote', false, [read(1, 1, 2)]],
	['a read of what was written before it', true, [write(1, 1, 2), read(1, 3, 4)]],
	['a read of what had been overwritten', false, [write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)]],
	[
		'a read that a write overlaps, of the old and of the new value',
		true,
		[write(1, 1, 6), read(0, 2, 3), read(1, 4, 5)],
	],
	['new and then old', false, [write(1, 1, 6), read(1, 2, 3), read(0, 4, 5)]],
	['a lost write', false, [write(1, 1, 2), read(0, 3, 4)]],
	['a write without an answer that took effect', true, [write(1, 1, NEVER), read(0, 2, 3), read(1, 4, 5)]],
	['a write without an answer that never took effect', true, [write(1, 1, NEVER), read(0, 2, 3)]],
	[
		'a write without an answer that took effect late',
		true,
		[write(1, 1, NEVER), write(2, 2, 3), read(2, 4, 5), read(1, 6, 7)],
	],
	[
		'a write without an answer that took effect twice',
		false,
		[write(1, 1, NEVER), write(2, 2, 3), read(1, 4, 5), write(3, 6, 7), read(1, 8, 9)],
	],
	['a write that took effect before it was called', false, [read(1, 1, 2), write(1, 3, 4)]],
])('%s: %s', (_name, isFine, operations) => {
	expect(isLinearizable(operations, 0)).toBe(isFine)
})

/** Tries every order: what the checker must agree with. */
function isLinearizableByForce(left: readonly Operation[], value: number): boolean {
	if (left.every(({ returnedAt }) => returnedAt === NEVER)) return true
	return left.some((next, index) => {
		const others = left.filter((_, other) => other !== index)
		if (others.some(({ returnedAt }) => returnedAt < next.calledAt)) return false
		if (next.kind === 'read' && next.value !== value) return false
		return isLinearizableByForce(others, next.kind === 'write' ? next.value : value)
	})
}

test('agrees with trying every order, on random histories of few values', () => {
	const operation = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 2 }), fc.nat(20), fc.nat(8), fc.boolean())
	const history = fc.array(operation, { maxLength: 6 })
	let accepted = 0
	let refused = 0
	fc.assert(
		fc.property(history, drawn => {
			const operations = drawn.map(([isWrite, value, start, more, isUnknown], index): Operation => {
				// Times are all different.
				const calledAt = start * 20 + index
				const returnedAt = isWrite && isUnknown ? NEVER : calledAt + more * 20 + 10
				return isWrite ? write(value, calledAt, returnedAt) : read(value, calledAt, returnedAt)
			})
			const isFine = isLinearizableByForce(operations, 0)
			if (isFine) accepted++
			else refused++
			expect(isLinearizable(operations, 0)).toBe(isFine)
		}),
		{ numRuns: 2000 },
	)
	expect(Math.min(accepted, refused)).toBeGreaterThan(100)
})

test('a long history without an order that fits is refused in reasonable time', () => {
	const operations = Array.from({ length: 40 }, (_, index) => [
		write(index + 1, index * 10, index * 10 + 25),
		read(index + 1, index * 10 + 3, index * 10 + 28),
	]).flat()
	expect(isLinearizable(operations, 0)).toBe(true)
	expect(isLinearizable([...operations, read(1, 900, 901)], 0)).toBe(false)
})
