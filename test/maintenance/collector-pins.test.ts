import { describe, expect, test } from 'vitest'
import { createPin, listPinKeys, releasePin } from '../../src/manifest/pin.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { auditStore } from '../support/store-audit.ts'
import { type Crew, everything, executing, Rig, rowsOf, settleStore } from './rig.ts'
import { collectAll, commitSome, merged } from './rig-histories.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('pins', () => {
	async function pinned(rig: Rig, crew: Crew, expiresMs = 0): Promise<string> {
		const { store, host } = rig
		const { manifest } = crew.owner
		const pin = await createPin({ store, host, name: 'p', expiresMs, manifest, refresh: () => rig.manifest() })
		return pin.key
	}

	test('keep the objects of their state, and nothing else', async () => {
		const rig = new Rig()
		await commitSome(rig, 'a')
		await commitSome(rig, 'b', 'inline')
		const crew = await rig.hire()
		const state = crew.owner.manifest
		const then = rig.expected()
		const key = await pinned(rig, crew)
		await commitSome(rig, 'c')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await settleStore(crew)
		expect(await rig.keys('sst/w')).toEqual(['sst/w1-0'])
		expect(await rowsOf(rig.store, state, rig.host.clock.nowMs())).toEqual(then)
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
		await releasePin(rig.store, key)
		await settleStore(crew)
		expect(await rig.keys('sst/w')).toEqual([])
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
	})

	test('that have expired are deleted, five minutes later, and then what they kept', async () => {
		const rig = new Rig()
		await commitSome(rig, 'a')
		const crew = await rig.hire()
		await pinned(rig, crew, rig.host.clock.nowMs() + MINUTE)
		await commitSome(rig, 'b')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await rig.host.clock.advance(6 * MINUTE - 1)
		await settleStore(crew)
		expect(await listPinKeys(rig.store)).toHaveLength(1)
		expect(await rig.keys('sst/w')).toEqual(['sst/w1-0'])
		await rig.host.clock.advance(1)
		await settleStore(crew)
		expect(await listPinKeys(rig.store)).toEqual([])
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('are looked at again while they keep something: what one kept goes within the hour that it ends in', async () => {
		const { rig, crew } = await merged()
		const faulty = new FaultyStore(rig.store)
		await commitSome(rig, 'd')
		const next = await rig.hire(faulty)
		const key = await pinned(rig, next)
		await next.executor.execute(everything(next), executing())
		await settleStore(next)
		expect(crew.owner.manifest.removed.length).toBeGreaterThan(0)
		expect((await next.collector.collect()).nextInMs).toBe(HOUR)
		await releasePin(rig.store, key)
		await rig.host.clock.advance(HOUR)
		faulty.calls.length = 0
		expect((await next.collector.collect()).objectsDeleted).toBeGreaterThan(0)
		expect(faulty.calls.map(call => call.operation)).toEqual(['list', 'deleteMany', 'createIfAbsent'])
		expect((await next.collector.collect()).nextInMs).toBeUndefined()
		expect(next.owner.manifest.removed).toEqual([])
	})

	test('are looked at when the first of them may be deleted, if that is sooner', async () => {
		const { rig } = await merged()
		const crew = await rig.hire()
		await pinned(rig, crew, rig.host.clock.nowMs() + MINUTE)
		await commitSome(rig, 'd')
		await crew.owner.follow()
		await crew.executor.execute(everything(crew), executing())
		await settleStore(crew)
		expect((await crew.collector.collect()).nextInMs).toBe(6 * MINUTE)
	})

	test('that cannot be read keep everything', async () => {
		const { rig, crew } = await merged()
		await rig.store.put('pins/00', new Uint8Array(40))
		await settleStore(crew)
		expect(await rig.keys('sst/w')).toHaveLength(2)
		const { unreadablePins } = await crew.collector.collect()
		expect(unreadablePins).toMatchObject([{ key: 'pins/00', error: { code: 'ISLE_CORRUPT' } }])
		await rig.store.delete('pins/00')
		await settleStore(crew)
		expect(await rig.keys('sst/w')).toEqual([])
	})

	test('are listed only when something is to be deleted', async () => {
		const { rig } = await merged()
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		await settleStore(crew)
		expect(faulty.count('list', 'pins/')).toBeGreaterThan(0)
		const before = faulty.count('list', 'pins/')
		await crew.owner.checkpoint()
		await collectAll(crew)
		expect(faulty.count('list', 'pins/')).toBe(before)
	})
})
