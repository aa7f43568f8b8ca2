import { describe, expect, test } from 'vitest'
import { auditStore } from '../support/store-audit.ts'
import { everything, executing, mergeOf, Rig, settleStore } from './rig.ts'

const rows = (from: number, count: number, tag: string): { key: string; value: string }[] =>
	Array.from({ length: count }, (_, i) => ({
		key: `key-${String(from + i).padStart(4, '0')}`,
		value: `${tag}-${i}`.padEnd(30, '.'),
	}))

describe('a merge', () => {
	test('keeps the newest version of every key, in tables of about the target size', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 100, 'a'))
		await rig.commit(rows(50, 100, 'b'), 'object')
		await rig.commit([{ key: 'key-0003', value: undefined }])
		const crew = await rig.hire()
		const done = await crew.executor.execute(everything(crew), executing())
		expect(done.kind).toBe('done')
		const { l0, runs } = await rig.manifest()
		expect(l0).toEqual([])
		expect(runs).toHaveLength(1)
		expect(runs[0]?.tables.length).toBeGreaterThan(3)
		expect(await rig.rows()).toEqual(rig.expected())
		await settleStore(crew)
		const audit = await auditStore(rig.store)
		expect(audit).toMatchObject({ missing: [], orphans: [], waiting: [] })
		expect(await rig.rows()).toEqual(rig.expected())
		expect(mergeOf([]).inputs).toEqual([])
	})
})
