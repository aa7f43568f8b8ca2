import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { comparePositions } from '../../src/log/log-position.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { plainTable } from '../../src/manifest/packed-table.ts'
import { StateHistory } from '../support/state-history.ts'

const histories = fc
	.record({ seed: fc.nat(), steps: fc.integer({ min: 1, max: 60 }) })
	.map(({ seed, steps }) => new StateHistory(seed).run(steps))

/** Folds both logs, one record at a time, from whichever `takesEdit` says, as far as the positions of edits allow it. */
function interleaved(history: StateHistory, takesEdit: () => boolean): Manifest {
	const commits = [...history.commits]
	const records = [...history.records]
	let manifest = EMPTY_MANIFEST
	while (commits.length > 0 || records.length > 0) {
		const [record] = records
		const mayTake = record !== undefined && comparePositions(record.writerPosition, manifest.writerPosition) <= 0
		if (mayTake && (commits.length === 0 || takesEdit())) manifest = applyEdits(manifest, records.splice(0, 1))
		else manifest = applyCommits(manifest, commits.splice(0, 1))
	}
	return manifest
}

describe('folding edits', () => {
	test('gives the same however commits and edits are interleaved, one by one or all at once', () => {
		fc.assert(
			fc.property(histories, fc.infiniteStream(fc.boolean()), (history, choices) => {
				const commitsFirst = applyEdits(applyCommits(EMPTY_MANIFEST, history.commits), history.records)
				expect(commitsFirst).toEqual(history.manifest)
				expect(interleaved(history, () => choices.next().value)).toEqual(history.manifest)
				expect(interleaved(history, () => true)).toEqual(history.manifest)
			}),
			{ numRuns: 400 },
		)
	})

	test('accounts for every object: it is live, or an output of a pending merge, or removed, or deleted, and only one of them', () => {
		let removedOnce = 0
		fc.assert(
			fc.property(histories, ({ manifest, made, deleted }) => {
				const tables = [...manifest.l0, ...manifest.runs.flatMap(run => run.tables)]
				const outputs = manifest.pendingMerges.flatMap(merge => merge.outputs)
				const removed = manifest.removed.map(object => object.objectKey)
				removedOnce += removed.length
				expect(new Set(removed).size).toBe(removed.length)
				const live = new Set([...tables, ...outputs, ...manifest.blobPacks].map(object => object.objectKey))
				for (const key of removed) expect(live.has(key) || deleted.has(key), key).toBe(false)
				expect(new Set([...live, ...removed, ...deleted])).toEqual(made)
				const used = new Set(tables.flatMap(table => table.meta.blobUses.map(use => use.packId)))
				expect(new Set(manifest.blobPacks.map(pack => pack.id))).toEqual(used)
			}),
			{ numRuns: 400 },
		)
		expect(removedOnce).toBeGreaterThan(100)
	})

	test('keeps the order that the manifest promises', () => {
		fc.assert(
			fc.property(histories, ({ manifest }) => {
				const newestFirst = [
					...manifest.l0.toReversed().map(table => [table]),
					...manifest.runs.map(run => run.tables),
				].map(tables => ({
					min: Math.min(...tables.map(table => table.meta.minSeq)),
					max: Math.max(...tables.map(table => table.meta.maxSeq)),
				}))
				for (const [index, newer] of newestFirst.slice(0, -1).entries()) {
					expect(newer.min).toBeGreaterThan(newestFirst[index + 1]?.max ?? 0)
				}
				for (const { tables } of manifest.runs) {
					for (const [index, table] of tables.slice(0, -1).entries()) {
						expect(
							Buffer.compare(table.meta.largestKey, tables[index + 1]?.meta.smallestKey ?? table.meta.largestKey),
						).toBe(-1)
					}
				}
			}),
		)
	})

	test('leaves the manifest that it was given as it was, and shares what it does not touch', () => {
		const { manifest: before, records, commits } = new StateHistory(5).run(40)
		const runs = before.runs.map(run => ({ ...run, tables: run.tables.map(plainTable) }))
		const copy = structuredClone({ ...before, runs })
		const after = applyEdits(before, [
			{
				position: before.maintenancePosition,
				writerPosition: before.writerPosition,
				committedAtMs: 77,
				edits: [{ kind: 'maintainer', note: { policies: [], writerEpoch: 9 } }],
			},
		])
		expect(before).toEqual(copy)
		expect(after.l0).toBe(before.l0)
		expect(after.runs).toBe(before.runs)
		expect(applyEdits(before, [])).toBe(before)
		expect([records.length > 5, commits.length > 5]).toEqual([true, true])
	})
})
