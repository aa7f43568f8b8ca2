import { expect, test } from 'vitest'
import { MergeInputs } from '../../src/maintenance/merge-inputs.ts'
import { MergeMemory } from '../../src/maintenance/merge-memory.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { Rig } from './rig.ts'
import { rows } from './rig-histories.ts'

test('what was offered does not make room for tables that are kept whole', async () => {
	const rig = new Rig()
	await rig.commit(rows(0, 50, 'a'), 'object')
	await rig.commit(rows(100, 10, 'b'), 'object')
	const [first, second] = (await rig.manifest()).l0
	if (first === undefined || second === undefined) throw new Error('two tables were committed')
	const bytes = await rig.store.get(first.objectKey)
	const read: number[] = []
	const store = new FaultyStore(rig.store)
	const getRange = store.getRange.bind(store)
	store.getRange = (key, range, options) => {
		read.push(range.bytes)
		return getRange(key, range, options)
	}
	const memory = new MergeMemory(0, 1024)
	const inputs = new MergeInputs({ store, memory, offered: ref => (ref.id === first.id ? bytes : undefined) })
	await inputs.open(first, undefined)
	inputs.release(() => true)
	await inputs.open(second, undefined)
	expect(read).toEqual([second.meta.storedBytes - second.meta.metaOffset])
})
