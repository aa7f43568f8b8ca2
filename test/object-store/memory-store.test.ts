import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { compareKeys } from '../../src/object-store/object-key.ts'
import { manualHost } from '../support/manual-clock.ts'

const BODY = new Uint8Array([1, 2, 3])

describe('MemoryStore', () => {
	test('of one name is one store, and keeps its objects when a view of it is closed', async () => {
		const [one, two] = [new MemoryStore({ name: 'shared' }), new MemoryStore({ name: 'shared' })]
		await one.put('a', BODY)
		expect(await two.get('a')).toEqual(BODY)
		await one.close()
		await expect(one.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		expect(await two.get('a')).toEqual(BODY)
		expect(await new MemoryStore({ name: 'shared' }).get('a')).toEqual(BODY)
		expect(await new MemoryStore({ name: 'another' }).get('a')).toBeUndefined()
	})

	test('without a name is a store of its own', async () => {
		await new MemoryStore().put('a', BODY)
		expect(await new MemoryStore().get('a')).toBeUndefined()
	})

	test('tells the time of its host', async () => {
		const host = manualHost()
		const store = new MemoryStore({ host })
		await store.put('a', BODY)
		await host.clock.advance(5000)
		await store.createIfAbsent('b', BODY)
		const times = (await store.list()).objects.map(object => object.lastModifiedMs)
		expect(times).toEqual([host.clock.nowMs() - 5000, host.clock.nowMs()])
	})

	test('lists what a sorted map would, after any history of puts and deletions', async () => {
		const key = fc.integer({ min: 0, max: 40 }).map(String)
		const step = fc.oneof(
			fc.record({ kind: fc.constant('put' as const), keys: fc.array(key, { maxLength: 30 }) }),
			fc.record({ kind: fc.constant('delete' as const), keys: fc.array(key, { maxLength: 30 }) }),
			fc.record({ kind: fc.constant('list' as const), startAfter: key, limit: fc.integer({ min: 1, max: 50 }) }),
		)
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 20 }), async steps => {
				const store = new MemoryStore()
				const model = new Set<string>()
				for (const next of steps) {
					if (next.kind === 'list') {
						const page = await store.list(next)
						const expected = [...model].filter(name => compareKeys(name, next.startAfter) > 0).toSorted(compareKeys)
						expect(page.objects.map(object => object.key)).toEqual(expected.slice(0, next.limit))
						expect(page.isTruncated).toBe(expected.length > next.limit)
						continue
					}
					for (const name of next.keys) {
						await (next.kind === 'put' ? store.put(name, BODY) : store.delete(name))
						if (next.kind === 'put') model.add(name)
						else model.delete(name)
					}
				}
			}),
		)
	})
})
