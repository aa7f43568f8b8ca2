/**
 * Random histories of a database that is maintained, under faults; the controls plant one bug each.
 *
 * What must hold: a view that was refreshed holds every commit that was acknowledged before, in order, each in one table;
 * what is missing on the store is not part of the newest state.
 */
import { expect, test } from 'vitest'
import { type Bug, MaintainedHistory } from './maintained-history.ts'

interface Outcome {
	readonly bad: string[]
	acknowledged: number
	merges: number
	deletions: number
}

async function histories(count: number, firstSeed: number, bug: Bug): Promise<Outcome> {
	const outcome: Outcome = { bad: [], acknowledged: 0, merges: 0, deletions: 0 }
	for (let seed = firstSeed; seed < firstSeed + count; seed++) {
		const history = new MaintainedHistory(seed, bug)
		await history.run().catch(error => history.oracle.problems.push(String(error)))
		outcome.acknowledged += history.oracle.acknowledged.length
		outcome.merges += history.merges
		outcome.deletions += history.deletions
		if (history.oracle.problems.length > 0) outcome.bad.push(`seed ${seed}: ${history.oracle.problems[0]}`)
		if (bug !== 'none' && outcome.bad.length > 0) break
	}
	return outcome
}

/** More by hand: ISLE_LOG_HISTORIES=100000 ISLE_LOG_SEED=7 npm test -- test/manifest/state-histories */
const COUNT = Number(process.env.ISLE_LOG_HISTORIES ?? 300)
const SEED = Number(process.env.ISLE_LOG_SEED ?? 1)

test('no view misses acknowledged data or names what is deleted, in random histories of maintenance', async () => {
	const { bad, acknowledged, merges, deletions } = await histories(COUNT, SEED, 'none')
	expect(bad, `of seeds ${SEED} … ${SEED + COUNT - 1}`).toEqual([])
	expect(acknowledged).toBeGreaterThan(COUNT * 5)
	expect(merges).toBeGreaterThan(COUNT * 3)
	expect(deletions).toBeGreaterThan(COUNT * 3)
})

const BUGS: readonly Bug[] = [
	'deleteBeforeTheEdit',
	'deleteLiveRecords',
	'deleteWithoutGrace',
	'readerDoesNotLook',
	'readerSkipsEdits',
]

test.each(BUGS)('the planted bug %s is found within 300 histories', async bug => {
	const { bad } = await histories(300, 1, bug)
	expect(bad).not.toEqual([])
})
