import { expect, test } from 'vitest'
import { Ending } from '../../src/host/ending.ts'

test('a signal that was taken before is aborted with the reason of the end, and no other', () => {
	const ending = new Ending()
	const { signal } = ending
	expect([ending.isOver, signal.aborted, ending.signal === signal]).toEqual([false, false, true])
	ending.end('enough')
	ending.end('more than enough')
	expect([ending.isOver, signal.aborted, signal.reason]).toEqual([true, true, 'enough'])
})

test('a signal that is taken afterwards is aborted already', () => {
	const ending = new Ending()
	ending.end('enough')
	expect([ending.signal.aborted, ending.signal.reason]).toEqual([true, 'enough'])
})
