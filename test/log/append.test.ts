/** What one append costs, and how it is settled when its reply is lost. */
import { describe, expect, test } from 'vitest'
import type { CreateOutcome } from '../../src/object-store/object-store.ts'
import { settle } from '../support/manual-clock.ts'
import { gate, lostReply, ScriptedStore, unknownOutcome } from '../support/scripted-store.ts'
import { appendText, claimText } from '../support/text-log.ts'

/** Answers `unknown` for the next create: after it took effect, or instead of it. */
function loseNextReply(store: ScriptedStore, when: 'after the effect' | 'before the effect'): void {
	store.onCreate = async (_key, run): Promise<CreateOutcome> => {
		store.onCreate = (_next, go) => go()
		if (when === 'after the effect') await run()
		return unknownOutcome()
	}
}

describe('an append', () => {
	test('is one PUT and nothing else', async () => {
		const store = new ScriptedStore()
		const { owner, log } = await claimText(store)
		store.calls.length = 0
		for (const text of ['a', 'b', 'c']) await appendText(owner, text)
		expect(store.calls).toEqual([0, 1, 2].map(slot => `createIfAbsent ${log.key({ epoch: 1, slot })}`))
	})

	test('says where it and its sections will stand', async () => {
		const { owner, log } = await claimText(new ScriptedStore())
		expect(owner.nextPosition).toEqual({ epoch: 1, slot: 0 })
		expect(owner.nextKey).toBe(log.key({ epoch: 1, slot: 0 }))
		const sections = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)]
		const append = owner.append(Uint8Array.of(9), sections)
		expect(append.position).toEqual({ epoch: 1, slot: 0 })
		expect(owner.nextPosition).toEqual({ epoch: 1, slot: 1 })
		await append.committed
		const bytes = await log.store.get(log.key(append.position))
		append.sectionOffsets.forEach((offset, index) => {
			const section = sections[index] as Uint8Array
			expect([...(bytes?.subarray(offset, offset + section.length) ?? [])]).toEqual([...section])
		})
	})

	test('whose PUT won and whose reply was lost is committed, once', async () => {
		const store = new ScriptedStore()
		const { owner, log } = await claimText(store)
		loseNextReply(store, 'after the effect')
		await appendText(owner, 'a')
		await appendText(owner, 'b')
		expect((await claimText(store)).texts).toEqual(['a', 'b'])
		expect(store.count('createIfAbsent', log.key({ epoch: 1, slot: 0 }))).toBe(1)
	})

	test('whose reply was lost is known as ours although later commits followed and were acknowledged by the store', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		const held = gate()
		store.onCreate = async (key, run): Promise<CreateOutcome> => {
			const outcome = await run()
			if (!key.endsWith('0')) return outcome
			await held.opened
			return unknownOutcome()
		}
		const appends = ['a', 'b', 'c'].map(text => appendText(owner, text))
		await settle()
		expect(await store.keys('log/0000000000000001/')).toHaveLength(3)
		held.open()
		await Promise.all(appends)
		expect((await claimText(store)).texts).toEqual(['a', 'b', 'c'])
	})

	test('whose PUT was lost goes out again with the same bytes after a pause', async () => {
		const store = new ScriptedStore()
		const { owner, host } = await claimText(store)
		loseNextReply(store, 'before the effect')
		const append = appendText(owner, 'a')
		await host.clock.untilTimers()
		await host.clock.advance(1_000)
		await append
		expect((await claimText(store)).texts).toEqual(['a'])
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('met by its own late duplicate is committed', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		store.onCreate = async (_key, run): Promise<CreateOutcome> => {
			await run()
			return { kind: 'exists' }
		}
		await appendText(owner, 'a')
		expect((await claimText(store)).texts).toEqual(['a'])
	})

	test('that the store rejects as unavailable, instead of answering unknown, is settled by reading all the same', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		store.onCreate = async (_key, run): Promise<CreateOutcome> => {
			await run()
			throw lostReply()
		}
		await appendText(owner, 'a')
		expect((await claimText(new ScriptedStore(store.inner))).texts).toEqual(['a'])
	})
})
