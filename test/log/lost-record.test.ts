/** A record that was acknowledged and is gone: opening says so, and seals nothing. */
import { describe, expect, test } from 'vitest'
import { replayLog } from '../../src/log/claim.ts'
import { APPENDS_IN_FLIGHT_MAX } from '../../src/log/fenced-log.ts'
import { settle } from '../support/manual-clock.ts'
import { ScriptedStore } from '../support/scripted-store.ts'
import { appendText, claimText, openTextLog, TextReplay, writeTextCheckpoint } from '../support/text-log.ts'

async function logOf(commits: number): Promise<ScriptedStore> {
	const store = new ScriptedStore()
	const { owner } = await claimText(store.inner)
	for (let i = 0; i < commits; i++) await appendText(owner, `${i}`)
	return store
}

async function keysOf(store: ScriptedStore): Promise<string[]> {
	return (await store.inner.list()).objects.map(object => object.key)
}

async function expectLost(store: ScriptedStore, key: string): Promise<void> {
	const before = await keysOf(store)
	const log = openTextLog(store.inner)
	const lost = { code: 'ISLE_CORRUPT', details: { where: key } }
	await expect(replayLog(log, new TextReplay(store.inner))).rejects.toMatchObject(lost)
	await expect(claimText(store.inner)).rejects.toMatchObject(lost)
	// Nothing was sealed: the object can be put back.
	expect(await keysOf(store)).toEqual(before)
}

describe('a record that is gone', () => {
	test.each([0, 1, 4, 5])('in slot %i of 6 of the newest epoch is missed, and may be put back', async slot => {
		const store = await logOf(7)
		const key = openTextLog(store.inner).key({ epoch: 1, slot })
		const bytes = (await store.inner.get(key)) ?? new Uint8Array(0)
		await store.inner.delete(key)
		await expectLost(store, key)
		await store.inner.put(key, bytes)
		expect((await claimText(store.inner)).texts).toHaveLength(7)
	})

	test.each([0, 2])('in slot %i of 3 of an earlier epoch is missed, also the last one', async slot => {
		const store = await logOf(3)
		const { owner } = await claimText(store.inner)
		await appendText(owner, 'after')
		const log = openTextLog(store.inner)
		await store.inner.delete(log.key({ epoch: 1, slot }))
		// With the last commit its seal still vouches for it; without the seal the commit of the next epoch does.
		await expectLost(store, log.key({ epoch: 1, slot }))
		await store.inner.delete(log.key({ epoch: 1, slot: 3 }))
		await expectLost(store, log.key({ epoch: 1, slot }))
	})

	test('is missed by the commit that follows as many as may be in flight, all made before it was settled', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store.inner)
		// These vouch for nothing: when they were made, none was settled.
		const early = Array.from({ length: APPENDS_IN_FLIGHT_MAX }, (_, i) => appendText(owner, `early-${i}`))
		await Promise.all(early)
		await appendText(owner, 'late')
		const key = openTextLog(store.inner).key({ epoch: 1, slot: 0 })
		await store.inner.delete(key)
		await expectLost(store, key)
	})

	test('below a checkpoint was folded in, and is not missed', async () => {
		const store = await logOf(3)
		const { owner, texts } = await claimText(store.inner)
		await writeTextCheckpoint(store.inner, { epoch: 2, slot: 0 }, texts)
		await appendText(owner, 'after')
		const log = openTextLog(store.inner)
		for (const slot of [0, 1, 2]) await store.inner.delete(log.key({ epoch: 1, slot }))
		expect((await claimText(store.inner)).texts).toEqual(['0', '1', '2', 'after'])
	})

	test('was never acknowledged when nothing behind it says so: a gap that a dead owner left', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store.inner)
		await appendText(owner, 'kept')
		// Both on their way at once; the first never arrives.
		const key = openTextLog(store.inner).key({ epoch: 1, slot: 1 })
		void appendText(owner, 'lost on the way').catch(() => undefined)
		void appendText(owner, 'behind the gap').catch(() => undefined)
		await settle()
		await store.inner.delete(key)
		expect((await claimText(store.inner)).texts).toEqual(['kept'])
	})
})
