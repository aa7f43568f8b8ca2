import { expect, test } from 'vitest'
import { LogSweep } from '../../src/maintenance/log-sweep.ts'
import { openWriterLog } from '../../src/manifest/database-logs.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { Rig } from './rig.ts'

test.each([1, 2, 996, 997, 998, 999, 1000, 1001, 21_000])(
	'of %i records of an ended epoch the seal stays',
	async count => {
		const rig = new Rig()
		await rig.commitMany(count, 10_000)
		await rig.takeOver()
		await rig.commit([{ key: 'k', value: 'v' }])
		const behind = openWriterLog(rig.store).key({ epoch: 1, slot: count + 1 })
		await rig.store.put(behind, new Uint8Array(100))
		const store = new FaultyStore(rig.store)
		const log = openWriterLog(store)
		const sweep = new LogSweep(store, log)
		const end = { epoch: 2, slot: 1 }
		let deleted = 0
		let goes = 0
		for (let hasMore = true; hasMore; goes++) {
			expect(goes).toBeLessThan(4)
			const result = await sweep.sweep(end, () => false, {})
			deleted += result.deleted
			hasMore = result.hasMore
		}
		expect(deleted).toBe(count + 2)
		expect(store.count('list', 'log/')).toBeLessThan(30)
		expect(await rig.keys('log/')).toEqual([log.key({ epoch: 0, slot: 0 }), log.key({ epoch: 1, slot: count })])
		expect((await log.readSlot({ epoch: 1, slot: count }))?.kind).toBe('seal')
	},
)
