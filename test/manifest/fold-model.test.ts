/** Folding by index and carried sums against plain passes over all tables: the same states, to the byte, and the same refusals. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { comparePositions } from '../../src/log/log-position.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import type { EditRecord } from '../../src/manifest/edit.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { bytesOf, storedBytesOf, sumsOf } from '../../src/manifest/run-parts.ts'
import { TableIndex } from '../../src/manifest/table-index.ts'
import { tablesChanged } from '../../src/manifest/tables-changed.ts'
import { StateHistory } from '../support/state-history.ts'
import { WideHistory } from '../support/wide-history.ts'
import { liveTables, plainFold, plainRange } from './plain-fold.ts'

type Outcome = { readonly state: Manifest } | { readonly refused: string }

function outcomeOf(fold: () => Manifest): Outcome {
	try {
		return { state: fold() }
	} catch (error) {
		if (!isIsleError(error, 'ISLE_CORRUPT')) throw error
		return { refused: error.message }
	}
}

/** The state after `record`, which both folds agree on; `undefined` when both refuse it for the same reason. */
function foldBoth(before: Manifest, record: EditRecord): Manifest | undefined {
	const encodedBefore = encodeCheckpoint(before)
	const folded = outcomeOf(() => applyEdits(before, [record]))
	const model = outcomeOf(() => plainFold(before, record))
	if ('refused' in folded || 'refused' in model) {
		expect(folded).toEqual(model)
		return undefined
	}
	expect(Buffer.compare(encodeCheckpoint(folded.state), encodeCheckpoint(model.state))).toBe(0)
	// Folding is pure, whatever the two states share.
	expect(Buffer.compare(encodeCheckpoint(before), encodedBefore)).toBe(0)
	return folded.state
}

/** What was carried over from edit to edit is what would be found by looking at all tables. */
function expectKnown(manifest: Manifest): void {
	for (const run of manifest.runs) {
		const { minSeq, maxSeq, storedBytes, parts } = sumsOf(run)
		expect([minSeq, maxSeq]).toEqual(plainRange(run))
		expect(storedBytes).toBe(bytesOf(run.tables))
		let from = 0
		for (const part of parts) {
			const tables = run.tables.slice(from, from + part.count)
			expect([part.minSeq, part.maxSeq]).toEqual(plainRange({ id: '', tables }))
			expect(part.storedBytes).toBe(bytesOf(tables))
			from += part.count
		}
		expect(from).toBe(run.tables.length)
		expect(parts.length).toBeLessThanOrEqual(2 + run.tables.length / 16)
		expect(Math.max(0, ...parts.map(part => part.count))).toBeLessThanOrEqual(128)
	}
	expect(storedBytesOf(manifest)).toBe(bytesOf(liveTables(manifest)))
	const [carried, made] = [TableIndex.of(manifest.runs), TableIndex.of([...manifest.runs])]
	const inRuns = manifest.runs.flatMap(run => run.tables)
	const { removed, l0, blobPacks } = manifest
	const objects = [...removed, ...l0, ...inRuns, ...blobPacks].map(({ objectKey }) => objectKey)
	const ids = [...l0, ...inRuns, ...blobPacks].map(({ id }) => id)
	expect(inRuns.every(table => carried.withId(table.id)[0] === table)).toBe(true)
	expect(objects.map(key => carried.holds(key))).toEqual(objects.map(key => made.holds(key)))
	expect(ids.map(id => carried.uses(id))).toEqual(ids.map(id => made.uses(id)))
	expect(ids.map(id => carried.withId(id).length)).toEqual(ids.map(id => made.withId(id).length))
}

function idsOf(tables: readonly { readonly id: string }[]): string[] {
	return tables.map(({ id }) => id).sort()
}

/** What has changed, as a look at all tables tells. */
function expectChanged(before: Manifest, after: Manifest): void {
	const [old, now] = [idsOf(liveTables(before)), idsOf(liveTables(after))]
	const without = (ids: readonly string[], others: readonly string[]): string[] => {
		const known = new Set(others)
		return ids.filter(id => !known.has(id))
	}
	const { gone, come } = tablesChanged(before, after)
	expect(idsOf(gone)).toEqual(without(old, now))
	expect(idsOf(come)).toEqual(without(now, old))
}

describe('folding edits by what they touch', () => {
	test('gives what plain passes over all tables give, in histories of both logs', () => {
		const histories = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 1, max: 60 }) })
		fc.assert(
			fc.property(histories, ({ seed, steps }) => {
				const { commits, records } = new StateHistory(seed).run(steps)
				let state = EMPTY_MANIFEST
				for (const record of records) {
					const known = state.writerPosition
					const due = commits.filter(
						({ position }) =>
							comparePositions(position, known) >= 0 && comparePositions(position, record.writerPosition) < 0,
					)
					state = foldBoth(applyCommits(state, due), record) as Manifest
					expect(state).toBeDefined()
				}
				expectKnown(state)
			}),
			{ numRuns: 200 },
		)
	})

	test('gives the same states and the same refusals in wide runs, of records right and wrong', () => {
		const seen = new Set<string>()
		let taken = 0
		fc.assert(
			fc.property(fc.nat(), fc.constantFrom(3, 30, 200), (seed, perRun) => {
				const history = new WideHistory(seed, perRun)
				// As it is kept: with the tables of runs packed.
				let state = decodeCheckpoint(encodeCheckpoint(history.start()), 'test')
				for (let step = 0; step < 25; step++) {
					const record = history.next(state)
					const after = foldBoth(state, record)
					if (after === undefined) {
						const { refused } = outcomeOf(() => applyEdits(state, [record])) as { readonly refused: string }
						seen.add(refused.replace(/`[^`]*`|\b[mpr]\d\S*/g, '…'))
						continue
					}
					taken++
					expectChanged(state, after)
					state = after
				}
				expectKnown(state)
			}),
			{ numRuns: 30 },
		)
		// Each of the checks has refused something, and most records were taken.
		expect(taken).toBeGreaterThan(300)
		expect(seen.size, [...seen.keys()].join('; ')).toBeGreaterThanOrEqual(11)
	})
})
