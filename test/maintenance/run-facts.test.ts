import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { areLive } from '../../src/maintenance/merge-scope.ts'
import { factsOf } from '../../src/maintenance/run-facts.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { WideHistory } from '../support/wide-history.ts'

/** The state after the next record, or the same where that is refused. */
function next(history: WideHistory, state: Manifest): Manifest {
	try {
		return applyEdits(state, [history.next(state)])
	} catch (error) {
		if (!isIsleError(error, 'ISLE_CORRUPT')) throw error
		return state
	}
}

test('what is known of the parts of a run adds up to what its tables say, after any edits', () => {
	let changes = 0
	fc.assert(
		fc.property(fc.nat(), fc.constantFrom(3, 300), (seed, perRun) => {
			const history = new WideHistory(seed, perRun)
			let state = history.start()
			for (let step = 0; step < 12; step++) {
				const before = state
				state = next(history, state)
				if (state !== before) changes++
				// A run that nobody has seen: its tables are looked at.
				for (const run of state.runs) expect(factsOf(run)).toEqual(factsOf({ ...run }))
				for (const { tables } of [...before.runs, { tables: before.l0 }]) {
					const live = new Set([...state.l0, ...state.runs.flatMap(run => run.tables)].map(({ id }) => id))
					for (const table of tables.slice(0, 20)) expect(areLive(state, [table])).toBe(live.has(table.id))
					expect(areLive(state, tables)).toBe(tables.every(({ id }) => live.has(id)))
				}
			}
		}),
		{ numRuns: 20 },
	)
	expect(changes).toBeGreaterThan(50)
})
