import { describe, expect, test } from 'vitest'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { type Crew, executing, mergeOf, Rig, settleStore } from './rig.ts'
import { expectClean, rows } from './rig-histories.ts'

/** A table with two versions of each key, so that it is rewritten whole. */
async function commitTwice(rig: Rig, from: number, count: number): Promise<void> {
	await rig.commit([...rows(from, count, 'old'), ...rows(from, count, 'new')], 'object')
}

/** All of L0 becomes a run, by reference. */
async function moveToRun({ owner, executor }: Crew): Promise<string> {
	await owner.follow()
	const tables = owner.manifest.l0
	await executor.execute({ kind: 'move', tables, runId: undefined, why: 'the test says so' }, executing())
	return owner.manifest.runs[0]?.id ?? 'none'
}

function tableAt({ owner }: Crew, index: number): TableRef {
	const table = owner.manifest.runs[0]?.tables[index]
	if (table === undefined) throw new Error(`the run has no table ${index}`)
	return table
}

describe('merges whose outputs join one run', () => {
	test('do not end one another', async () => {
		const rig = new Rig()
		await commitTwice(rig, 0, 150)
		await commitTwice(rig, 200, 150)
		const crew = await rig.hire()
		const runId = await moveToRun(crew)
		const [first, second] = [tableAt(crew, 0), tableAt(crew, 1)]
		let ranges = 0
		const isOver = (): boolean => ++ranges > 4
		const paused = await crew.executor.execute(mergeOf([first], { runId }), executing({ isOver }))
		expect(paused.kind).toBe('paused')
		const [pending] = crew.owner.manifest.pendingMerges
		expect(pending?.outputs.length).toBeGreaterThan(0)
		ranges = 0
		const other = await crew.executor.execute(mergeOf([second], { runId }), executing({ isOver }))
		expect(other.kind).toBe('paused')
		expect(crew.owner.manifest.pendingMerges).toContainEqual(pending)
		expect((await crew.executor.execute(mergeOf([second], { runId }), executing())).kind).toBe('done')
		expect(crew.owner.manifest.pendingMerges).toEqual([pending])
		expect((await crew.executor.execute(mergeOf([first], { runId }), executing())).kind).toBe('done')
		const { runs, pendingMerges } = await rig.manifest()
		expect([runs.length, pendingMerges]).toEqual([1, []])
		expect(runs[0]?.tables.map(table => table.id)).toEqual(
			expect.arrayContaining(pending?.outputs.map(table => table.id) ?? ['none']),
		)
		await expectClean(rig, crew)
	})

	test('put nothing in place once they were given up and their tables deleted', async () => {
		const rig = new Rig()
		await commitTwice(rig, 0, 300)
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const runId = await moveToRun(crew)
		let uploads = 0
		let reached: (() => void) | undefined
		const reaching = new Promise<void>(resolve => {
			reached = resolve
		})
		let held: ReturnType<FaultyStore['hold']> | undefined
		faulty.before = call => {
			// Progress is recorded with the eighth table.
			if (call.operation === 'put' && ++uploads === 14) {
				held = faulty.hold({ operation: 'put', key: 'sst/' })
				reached?.()
			}
			return undefined
		}
		const slow = crew.executor.execute(mergeOf([tableAt(crew, 0)], { runId }), executing())
		await reaching
		await held?.reached
		const [merge] = crew.owner.manifest.pendingMerges
		if (merge === undefined) throw new Error('nothing was recorded')
		expect(merge.outputs.length).toBeGreaterThanOrEqual(8)
		await crew.executor.execute({ kind: 'abandon', merge, why: 'the test says so' }, executing())
		await settleStore(crew)
		held?.release()
		expect((await slow).kind).toBe('void')
		await expectClean(rig, crew)
	})

	test('find another place when the run that they were to join has changed while they rested', async () => {
		const rig = new Rig()
		const between = rows(150, 1, 'between')
		await rig.commit(between, 'object')
		const crew = await rig.hire()
		await moveToRun(crew)
		await rig.commit(rows(0, 20, 'a'), 'object')
		await rig.commit(rows(400, 20, 'b'), 'object')
		const runId = await moveToRun(crew)
		await commitTwice(rig, 100, 150)
		await crew.owner.follow()
		const inputs = crew.owner.manifest.l0
		let ranges = 0
		const paused = await crew.executor.execute(mergeOf(inputs, { runId }), executing({ isOver: () => ++ranges > 4 }))
		expect(paused.kind).toBe('paused')
		const older = crew.owner.manifest.runs[1]?.tables ?? []
		await crew.executor.execute({ kind: 'move', tables: older, runId, why: 'they overlap nowhere' }, executing())
		const [resume] = crew.owner.manifest.pendingMerges
		const done = await crew.executor.execute(mergeOf(inputs, { resume }), executing())
		expect(done.kind).toBe('done')
		const { runs, pendingMerges } = await rig.manifest()
		expect([runs.length, runs[1]?.id, pendingMerges]).toEqual([2, runId, []])
		await expectClean(rig, crew)
	})
})
