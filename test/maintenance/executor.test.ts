import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Choice } from '../../src/maintenance/choice.ts'
import type { MergeProgress } from '../../src/maintenance/merge-task.ts'
import { holdsView, viewOf } from '../../src/reader/read-view.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { everything, executing, mergeOf, Rig, settleStore } from './rig.ts'
import { deletions, expectClean, rows } from './rig-histories.ts'

describe('a merge', () => {
	test('keeps the newest version of every key, in tables of about the target size, and leaves nothing behind', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 100, 'a'))
		await rig.commit(rows(50, 100, 'b'), 'object')
		await rig.commit([{ key: 'key-0003', value: undefined }])
		const crew = await rig.hire()
		const progress: MergeProgress[] = []
		const done = await crew.executor.execute(
			everything(crew),
			executing({ onProgress: step => void progress.push(step) }),
		)
		expect(done).toMatchObject({ kind: 'done', tombstonesDropped: 1, entriesWritten: 149 })
		const { l0, runs } = await rig.manifest()
		expect(l0).toEqual([])
		expect(runs).toHaveLength(1)
		expect(runs[0]?.tables.length).toBeGreaterThan(3)
		expect(progress.length).toBeGreaterThan(3)
		expect(progress.at(-1)?.doneBytes).toBeLessThanOrEqual(progress.at(-1)?.inputBytes ?? 0)
		await expectClean(rig, crew)
	})

	test('in any order of merges, over any history, equals a plain map, and the store holds what the state needs', async () => {
		const key = fc.integer({ min: 0, max: 60 }).map(n => `key-${n}`)
		const mutation = fc.record({
			key,
			value: fc.option(fc.string({ maxLength: 40 }), { nil: undefined }),
			expiresAtMs: fc.constantFrom(0, 0, 1_700_000_000_000 + 5),
			isBlob: fc.boolean(),
		})
		const step = fc.oneof(
			fc.record({
				kind: fc.constant('commit' as const),
				mutations: fc.array(mutation, { minLength: 1, maxLength: 40 }),
				place: fc.constantFrom('inline' as const, 'object' as const),
			}),
			fc.record({
				kind: fc.constant('merge' as const),
				l0: fc.nat(6),
				from: fc.nat(3),
				runs: fc.nat(3),
				isExpiring: fc.boolean(),
			}),
			fc.constant({ kind: 'writer' as const }),
			fc.constant({ kind: 'maintainer' as const }),
			fc.constant({ kind: 'collect' as const }),
			fc.constant({ kind: 'stale' as const }),
		)
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async steps => {
				const rig = new Rig({ codec: 'none' })
				await rig.commit([{ key: 'first', value: 'x' }])
				let crew = await rig.hire()
				let stale = crew
				for (const next of steps) {
					await rig.host.clock.advance(1)
					if (next.kind === 'commit') await rig.commit(next.mutations, next.place)
					else if (next.kind === 'writer') await rig.takeOver()
					else if (next.kind === 'maintainer') {
						stale = crew
						crew = await rig.hire()
					} else if (next.kind === 'collect') await settleStore(crew)
					else if (next.kind === 'stale' && stale !== crew) {
						// It was fenced and does not know yet: it may delete what is garbage, and commit nothing.
						await stale.collector.collect().catch(() => undefined)
						await stale.executor.execute(everything(stale), executing()).catch(() => undefined)
						await settleStore(stale).catch(() => undefined)
						expect(stale.owner.manifest.maintenancePosition.epoch).toBeLessThan(crew.owner.epoch)
					} else if (next.kind === 'merge') {
						await crew.owner.follow()
						const { l0, runs } = crew.owner.manifest
						const isPrefix = next.l0 > 0
						const taken = runs.slice(isPrefix ? 0 : next.from, (isPrefix ? 0 : next.from) + next.runs)
						const inputs = [...l0.slice(0, next.l0), ...taken.flatMap(run => run.tables)]
						if (inputs.length === 0) continue
						const expireBeforeMs = next.isExpiring ? rig.host.clock.nowMs() : 0
						await crew.executor.execute(mergeOf(inputs), executing({ expireBeforeMs }))
					}
					expect(await rig.rows()).toEqual(rig.expected())
				}
				await expectClean(rig, crew)
			}),
			{ numRuns: 40 },
		)
	})

	test('of which nothing is left removes its inputs', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 10, 'a'))
		await rig.commit(deletions(0, 10))
		const crew = await rig.hire()
		await crew.executor.execute(everything(crew), executing())
		const { l0, runs } = await rig.manifest()
		expect([l0, runs]).toEqual([[], []])
		await expectClean(rig, crew)
	})

	test('keeps a tombstone while something older has its key, and drops it where nothing has', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 50, 'a'))
		const crew = await rig.hire()
		await crew.executor.execute(everything(crew), executing())
		await rig.commit([...deletions(40, 20), ...rows(60, 20, 'b')])
		await crew.owner.follow()
		// Of key-0040 to key-0059 the older run has the first ten.
		const done = await crew.executor.execute(mergeOf(crew.owner.manifest.l0), executing())
		expect(done.kind).toBe('done')
		expect(await rig.rows()).toEqual(rig.expected())
		const { runs } = await rig.manifest()
		const kept = runs[0]?.tables.reduce((sum, table) => sum + table.meta.tombstoneCount, 0) ?? 0
		expect(kept).toBeGreaterThanOrEqual(10)
		const last = await crew.executor.execute(everything(crew), executing())
		expect(last.kind).toBe('done')
		const after = (await rig.manifest()).runs.flatMap(run => run.tables)
		expect(after.reduce((sum, table) => sum + table.meta.tombstoneCount, 0)).toBe(0)
		await expectClean(rig, crew)
	})

	test('never stands for an older view when it has dropped a tombstone with what that deleted', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 5, 'a'))
		const before = viewOf(await rig.manifest())
		const crew = await rig.hire()
		await crew.executor.execute(everything(crew), executing())
		expect(holdsView(await rig.manifest(), before)).toBe(true)
		await rig.commit(deletions(2, 1))
		await crew.owner.follow()
		expect(holdsView(await rig.manifest(), before)).toBe(true)
		await crew.executor.execute(everything(crew), executing())
		// No table that is left holds anything newer than the view.
		const after = await rig.manifest()
		expect(after.runs.flatMap(run => run.tables).every(table => table.meta.maxSeq <= before.maxSeq)).toBe(true)
		expect(holdsView(after, before)).toBe(false)
	})

	test('makes a tombstone of an expired entry that hides an older value, and never brings that back', async () => {
		const rig = new Rig()
		await rig.commit([{ key: 'k', value: 'old' }, ...rows(0, 20, 'a')])
		const crew = await rig.hire()
		await crew.executor.execute(everything(crew), executing())
		const nowMs = rig.host.clock.nowMs()
		await rig.commit([{ key: 'k', value: 'new', expiresAtMs: nowMs + 10 }])
		await rig.host.clock.advance(20)
		await crew.owner.follow()
		const options = executing({ expireBeforeMs: rig.host.clock.nowMs() })
		await crew.executor.execute(mergeOf(crew.owner.manifest.l0), options)
		expect((await rig.rows()).has('k')).toBe(false)
		await crew.executor.execute(everything(crew), options)
		expect((await rig.manifest()).runs[0]?.tables[0]?.meta.tombstoneCount).toBe(0)
		await expectClean(rig, crew)
	})

	test('passes a table on by reference that no other input overlaps, without reading its blocks', async () => {
		const rig = new Rig({ targetBytes: 2048 })
		await rig.commit(rows(0, 40, 'a'), 'object')
		await rig.commit(rows(100, 40, 'b'), 'object')
		await rig.commit(rows(120, 5, 'c'))
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const done = await crew.executor.execute(everything(crew), executing())
		expect(done.tablesPassed).toBe(1)
		expect(faulty.count('getRange', 'sst/w1-0')).toBe(0)
		expect((await rig.manifest()).runs[0]?.tables.map(table => table.id)).toContain('w1-0')
		await expectClean(rig, crew)
	})

	test('never holds more than its memory, whatever its inputs are', async () => {
		const rig = new Rig({ memoryBytes: 16 * 1024, targetBytes: 4096 })
		for (let i = 0; i < 6; i++) await rig.commit(rows(i * 7, 300, `v${i}`), 'object')
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		let largest = 0
		faulty.before = call => {
			if (call.operation === 'put') largest = Math.max(largest, crew.memory.heldBytes)
			return undefined
		}
		await crew.executor.execute(everything(crew), executing())
		expect(largest).toBeGreaterThan(4096)
		expect(largest).toBeLessThanOrEqual(16 * 1024)
		await expectClean(rig, crew)
	})

	test('is void when an input went meanwhile, and leaves nothing behind', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 60, 'a'))
		await rig.commit(rows(30, 60, 'b'))
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const held = faulty.hold({ operation: 'put', key: 'sst/' })
		const merge = crew.executor.execute(everything(crew), executing())
		await held.reached
		const [oldest] = crew.owner.manifest.l0
		const drop: Choice = { kind: 'drop', tables: oldest === undefined ? [] : [oldest], bytes: 0, why: 'retention' }
		expect((await crew.executor.execute(drop, executing())).tablesDropped).toBe(1)
		held.release()
		expect((await merge).kind).toBe('void')
		for (const { key } of rows(0, 30, 'a')) rig.model.delete(key)
		await expectClean(rig, crew)
	})
})

test('a move changes the place of tables and nothing else', async () => {
	const rig = new Rig()
	await rig.commit(rows(0, 10, 'a'))
	await rig.commit(rows(20, 10, 'b'))
	const crew = await rig.hire()
	const { l0 } = crew.owner.manifest
	const before = l0.map(table => table.id)
	await crew.executor.execute({ kind: 'move', tables: l0, runId: undefined, why: 'disjoint' }, executing())
	const { runs } = await rig.manifest()
	expect(runs.map(run => run.tables.map(table => table.id))).toEqual([before])
	await expectClean(rig, crew)
})
