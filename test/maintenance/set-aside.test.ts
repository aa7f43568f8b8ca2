import { expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { SetAside } from '../../src/maintenance/set-aside.ts'

const HOUR_MS = 3_600_000

test('what is damaged is tried again once a day at the least, and one that was damaged and is dropped is not named any more', () => {
	const aside = new SetAside(seededRandom(1))
	const bad = (table: string): IsleError => new IsleError('ISLE_NOT_FOUND', 'gone', { details: { table, key: table } })
	let nowMs = 0
	const waits: number[] = []
	for (let i = 0; i < 7; i++) {
		expect(aside.put(['bad'], bad('bad'), nowMs)).toEqual({ name: 'bad', table: 'bad', key: 'bad' })
		let hours = 0
		while (aside.quarantinedAt(nowMs + hours * HOUR_MS).has('bad')) hours++
		expect(aside.quarantinedAt(nowMs + hours * HOUR_MS - 1).has('bad')).toBe(true)
		nowMs += hours * HOUR_MS
		waits.push(hours)
	}
	expect(waits).toEqual([1, 2, 4, 8, 16, 24, 24])
	expect(aside.damaged).toEqual(['bad'])
	// What names a table of another work is no damage of these.
	expect(aside.put(['other'], bad('bad'), nowMs)).toBeUndefined()
	expect(aside.restingAt(nowMs)).toEqual(['other'])
	expect(aside.release(['bad', 'other']).map(({ name }) => name)).toEqual(['bad'])
	expect([aside.damaged, aside.release(['bad'])]).toEqual([[], []])
})

test('a pack is named by its object, whatever tables the work was on', () => {
	const aside = new SetAside(seededRandom(1))
	const error = new IsleError('ISLE_CORRUPT', 'damaged', { details: { pack: 'w1-0', key: 'blobs/w1-0' } })
	expect(aside.put(['w1-0'], error, 0)).toEqual({ name: 'blobs/w1-0', table: undefined, key: 'blobs/w1-0' })
	// The table of that id may be merged on.
	expect([...aside.quarantinedAt(0)]).toEqual(['blobs/w1-0'])
	expect(aside.restingAt(0)).toEqual([])
})
