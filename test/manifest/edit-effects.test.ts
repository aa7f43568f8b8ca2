/** What follows from single edits, and which are refused. */
import { describe, expect, test } from 'vitest'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

const at = (name: string, seqs: [number, number], keys: [number, number]): TableRef => {
	const table = tableOf(name, ...seqs)
	return { ...table, meta: { ...table.meta, smallestKey: Uint8Array.of(keys[0]), largestKey: Uint8Array.of(keys[1]) } }
}

function next(manifest: Manifest, ...edits: Edit[]): EditRecord {
	const { epoch, slot } = manifest.maintenancePosition
	const position = epoch === 0 ? { epoch: 1, slot: 0 } : { epoch, slot }
	return { position, writerPosition: manifest.writerPosition, committedAtMs: 77, edits }
}

const STATE: Manifest = {
	...EMPTY_MANIFEST,
	writerPosition: { epoch: 1, slot: 9 },
	maintenancePosition: { epoch: 1, slot: 4 },
	lastSeq: 40,
	l0: [at('a', [21, 30], [1, 9]), at('b', [31, 40], [1, 9])],
	runs: [
		{ id: 'r2', tables: [at('c', [15, 20], [1, 4]), at('d', [11, 14], [5, 9])] },
		{ id: 'r1', tables: [at('e', [1, 10], [1, 9])] },
	],
	pendingMerges: [
		{ runId: 'p', inputs: ['a', 'c'], outputs: [at('o', [11, 30], [1, 3])], resumeKey: Uint8Array.of(4) },
	],
	removed: [{ objectKey: 'sst/gone', bytes: 1, removedAt: { epoch: 1, slot: 1 }, removedAtMs: 5 }],
	announced: { maintenancePosition: { epoch: 1, slot: 2 }, writerPosition: { epoch: 1, slot: 5 } },
	marks: [{ position: { epoch: 1, slot: 5 }, lastSeq: 20, committedAtMs: 3 }],
	sweptWriterEpoch: 1,
}

const replace = (remove: string[], add: [string | null, TableRef][] = []): Edit => ({
	kind: 'replace',
	remove,
	add: add.map(([runId, table]) => ({ runId, table })),
	addPacks: [],
})

describe('what follows from an edit', () => {
	test('a merge that takes an input of another one ends that one, and its outputs are removed with the inputs', () => {
		const after = applyEdits(STATE, [next(STATE, replace(['a'], [['r3', at('n', [21, 30], [1, 9])]]))])
		expect(after.pendingMerges).toEqual([])
		expect(after.l0.map(table => table.id)).toEqual(['b'])
		expect(after.runs.map(run => run.id)).toEqual(['r3', 'r2', 'r1'])
		const facts = { removedAt: { epoch: 1, slot: 4 }, removedAtMs: 77, bytes: 20 }
		expect(after.removed.slice(1)).toEqual([
			{ objectKey: 'sst/a', ...facts },
			{ objectKey: 'sst/o', ...facts },
		])
		expect(after.maintenancePosition).toEqual({ epoch: 1, slot: 5 })
	})

	test('a merge that is completed keeps the outputs that became part of its run', () => {
		const outputs: [string, TableRef][] = [
			['p', at('o', [11, 30], [1, 3])],
			['p', at('q', [11, 30], [4, 9])],
		]
		const after = applyEdits(STATE, [next(STATE, replace(['a', 'c', 'd'], outputs))])
		expect(after.pendingMerges).toEqual([])
		expect(after.removed.map(object => object.objectKey)).toEqual(['sst/gone', 'sst/a', 'sst/c', 'sst/d'])
		expect(after.runs.map(run => run.tables.map(table => table.id))).toEqual([['o', 'q'], ['e']])
	})

	test('a table that moves into a run keeps its object, and merges that take it go on', () => {
		const [a] = STATE.l0
		const after = applyEdits(STATE, [next(STATE, replace(['a'], [['r3', a as TableRef]]))])
		expect(after.removed).toEqual(STATE.removed)
		expect(after.pendingMerges).toEqual(STATE.pendingMerges)
		expect(after.runs[0]).toEqual({ id: 'r3', tables: [a] })
	})

	test('a record object is removed only with the last of its tables', () => {
		const inline = (name: string, seqs: [number, number], offset: number): TableRef => ({
			...at(name, seqs, [1, 9]),
			objectKey: 'log/1/3',
			offset,
		})
		const state = { ...STATE, pendingMerges: [], l0: [inline('x', [21, 25], 100), inline('y', [26, 30], 120)] }
		const first = applyEdits(state, [next(state, replace(['x']))])
		expect(first.removed).toEqual(STATE.removed)
		const second = applyEdits(first, [next(first, replace(['y']))])
		expect(second.removed.at(-1)).toMatchObject({ objectKey: 'log/1/3', bytes: 140 })
	})

	test('marks below a floor are dropped, the one at it stays', () => {
		const marks = [5, 6, 7].map(slot => ({ position: { epoch: 1, slot }, lastSeq: slot, committedAtMs: slot }))
		const state = { ...STATE, marks }
		const after = applyEdits(state, [next(state, { kind: 'floor', position: { epoch: 1, slot: 6 } })])
		expect(after.marks.map(mark => mark.lastSeq)).toEqual([6, 7])
		expect(after.changeFloor).toEqual({ epoch: 1, slot: 6 })
	})

	test('a checkpoint at the place of the last mark makes no second one', () => {
		const [mark] = STATE.marks
		const checkpoint = { maintenancePosition: { epoch: 1, slot: 4 }, writerPosition: { epoch: 1, slot: 5 } }
		const after = applyEdits(STATE, [next(STATE, { kind: 'announce', checkpoint, mark: mark as Manifest['marks'][0] })])
		expect(after.marks).toEqual(STATE.marks)
		expect(after.announced).toEqual(checkpoint)
	})
})

const positions = (maintenance: number, writer: number): Extract<Edit, { kind: 'announce' }> => ({
	kind: 'announce',
	checkpoint: { maintenancePosition: { epoch: 1, slot: maintenance }, writerPosition: { epoch: 1, slot: writer } },
	mark: { position: { epoch: 1, slot: writer }, lastSeq: 1, committedAtMs: 1 },
})

const REFUSED: readonly [string, Edit][] = [
	['removes a table that is not there', replace(['zz'])],
	['removes a table twice', replace(['a', 'a'])],
	['removes an output of a merge', replace(['o'])],
	['adds a table that is there', replace([], [['r9', at('e', [50, 51], [1, 2])]])],
	[
		'adds a table twice',
		replace(
			['a', 'b'],
			[
				['r9', at('n', [21, 22], [1, 2])],
				['r9', at('n', [23, 24], [3, 4])],
			],
		),
	],
	[
		'adds tables that overlap in one run',
		replace(
			['a'],
			[
				['r9', at('n', [21, 22], [1, 5])],
				['r9', at('m', [23, 24], [5, 6])],
			],
		),
	],
	['adds a run within another one', replace(['a'], [['r9', at('n', [12, 22], [1, 5])]])],
	['adds a run that is newer than L0', replace(['b'], [['r9', at('n', [31, 40], [1, 5])]])],
	['adds a table to L0 that overlaps', replace(['a'], [[null, at('n', [25, 35], [1, 5])]])],
	['moves a table elsewhere', replace(['a'], [['r9', { ...at('a', [21, 30], [1, 9]), objectKey: 'sst/other' }]])],
	['brings a removed object back', replace(['a'], [['r9', { ...at('n', [21, 30], [1, 9]), objectKey: 'sst/gone' }]])],
	[
		'adds a pack for no table',
		{
			...replace([]),
			kind: 'replace',
			remove: [],
			add: [],
			addPacks: [{ id: 'k', objectKey: 'blobs/k', bytes: 1, valueCount: 1 }],
		},
	],
	[
		'merges a table that is not there',
		{ kind: 'pending', merge: { runId: 'z', inputs: ['zz'], outputs: [], resumeKey: Uint8Array.of(1) } },
	],
	[
		'merges a table twice',
		{ kind: 'pending', merge: { runId: 'z', inputs: ['a', 'a'], outputs: [], resumeKey: Uint8Array.of(1) } },
	],
	[
		'has outputs that are live',
		{
			kind: 'pending',
			merge: { runId: 'z', inputs: ['a'], outputs: [at('b', [1, 2], [1, 2])], resumeKey: Uint8Array.of(5) },
		},
	],
	[
		'has outputs that reach beyond its place',
		{
			kind: 'pending',
			merge: { runId: 'z', inputs: ['a'], outputs: [at('n', [1, 2], [1, 5])], resumeKey: Uint8Array.of(5) },
		},
	],
	['gives up a merge that is not under way', { kind: 'abandon', runId: 'zz' }],
	['announces a checkpoint of the future', positions(5, 6)],
	['announces an older checkpoint', positions(2, 6)],
	['announces a checkpoint that covers less', positions(3, 4)],
	[
		'announces a mark elsewhere',
		{ ...positions(3, 6), mark: { position: { epoch: 1, slot: 5 }, lastSeq: 1, committedAtMs: 1 } },
	],
	['moves the floor to no mark', { kind: 'floor', position: { epoch: 1, slot: 6 } }],
	['forgets what was not removed', { kind: 'deleted', objectKeys: ['sst/a'] }],
	['forgets twice', { kind: 'deleted', objectKeys: ['sst/gone', 'sst/gone'] }],
	['goes back with swept epochs', { kind: 'swept', writerEpoch: 0, maintenanceEpoch: 5 }],
]

describe('an edit is refused as corrupt, naming its record, when it', () => {
	test.each(REFUSED)('%s', (_what, edit) => {
		expect(() => applyEdits(STATE, [next(STATE, edit)])).toThrow(
			expect.objectContaining({ code: 'ISLE_CORRUPT', message: expect.stringContaining('edit 1/4') }),
		)
	})

	test('positive control: edits of these kinds that are right are taken', () => {
		const edits: Edit[] = [positions(4, 6), { kind: 'deleted', objectKeys: ['sst/gone'] }, replace(['b'])]
		expect(applyEdits(STATE, [next(STATE, ...edits)]).l0).toHaveLength(1)
	})

	test('moves the floor back', () => {
		const state = { ...STATE, changeFloor: { epoch: 1, slot: 6 } }
		expect(() => applyEdits(state, [next(state, { kind: 'floor', position: { epoch: 1, slot: 5 } })])).toThrow(
			'goes back',
		)
	})
})

describe('records of edits', () => {
	test('are folded in order, once, none missing: anything else is a bug of ours', () => {
		const record = next(STATE)
		for (const position of [
			{ epoch: 1, slot: 3 },
			{ epoch: 1, slot: 5 },
			{ epoch: 0, slot: 4 },
			{ epoch: 2, slot: 1 },
		]) {
			expect(() => applyEdits(STATE, [{ ...record, position }])).toThrow('broken invariant')
		}
		expect(applyEdits(STATE, [{ ...record, position: { epoch: 3, slot: 0 } }]).maintenancePosition).toEqual({
			epoch: 3,
			slot: 1,
		})
	})

	test('wait for the commits that they refer to', () => {
		const record = { ...next(STATE), writerPosition: { epoch: 1, slot: 10 } }
		expect(() => applyEdits(STATE, [record])).toThrow('broken invariant')
	})
})
