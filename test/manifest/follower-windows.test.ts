/** How many slots a follower asks for at once, and when it makes known what it has found. */
import { describe, expect, test } from 'vitest'
import type { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { CommitWriter } from '../support/commit-writer.ts'
import { follow, GRACE_MS, replayed, sharedStore } from '../support/followed-prefix.ts'
import { lostReply, type ScriptedStore } from '../support/scripted-store.ts'

test('reads in one round trip what comes as before, and in windows that double what does not', async () => {
	const { shared, writer } = await sharedStore(0)
	const { store, follower } = await follow(shared)
	let onTheirWay = 0
	let roundTrips = 0
	store.onGet = (_key, run) => {
		if (onTheirWay++ === 0) roundTrips++
		return run().finally(() => onTheirWay--)
	}
	const cost = async (commits: number): Promise<{ readonly roundTrips: number; readonly requests: number }> => {
		for (let made = 0; made < commits; made++) await writer.commit()
		store.calls.length = 0
		roundTrips = 0
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe((await replayed(shared)).lastSeq)
		return { roundTrips, requests: store.calls.length }
	}
	// Nothing is expected: windows of 1, 2 and 4 slots.
	expect(await cost(6)).toEqual({ roundTrips: 3, requests: 7 })
	expect(await cost(6)).toEqual({ roundTrips: 3, requests: 7 })
	// Both found six: six are expected, and half as many more, and the free slot behind them.
	expect(await cost(6)).toEqual({ roundTrips: 1, requests: 10 })
	expect(await cost(9)).toEqual({ roundTrips: 1, requests: 10 })
	expect(await cost(10)).toEqual({ roundTrips: 2, requests: 10 + 20 })
	// It ends: one window too many, once.
	expect(await cost(0)).toEqual({ roundTrips: 1, requests: 15 })
	expect(await cost(0)).toEqual({ roundTrips: 1, requests: 1 })
	expect(await cost(1)).toEqual({ roundTrips: 2, requests: 3 })
})

test('asks for 64 slots at once at the most because of what came before', async () => {
	const { shared, writer } = await sharedStore(0)
	const { store, follower } = await follow(shared)
	for (let poll = 0; poll < 3; poll++) {
		for (let made = 0; made < 60; made++) await writer.commit()
		store.calls.length = 0
		await follower.poll()
	}
	// And of the next window, which doubles, none: 60 of 64 were there.
	expect(store.calls).toHaveLength(64)
})

describe('what a window has found', () => {
	/** Of each manifest that `act` makes known: its last sequence number, and the windows that were asked for until then. */
	async function published(
		follower: ManifestFollower,
		store: ScriptedStore,
		act: () => Promise<void>,
	): Promise<string[]> {
		const told: string[] = []
		let windows = 0
		let onTheirWay = 0
		store.onGet = (key, run) => {
			if (key.startsWith('log/') && onTheirWay++ === 0) windows++
			return run().finally(() => onTheirWay--)
		}
		const stop = follower.onChange(({ lastSeq }) => told.push(`${lastSeq} after ${windows}`))
		await act()
		stop()
		return told
	}

	test('is known before the next one is asked for', async () => {
		const { shared, writer } = await sharedStore(0)
		const { store, follower } = await follow(shared)
		for (let made = 0; made < 3; made++) await writer.commit()
		expect(await published(follower, store, () => follower.poll())).toEqual(['1 after 1', '3 after 2'])
		expect(await published(follower, store, () => follower.poll())).toEqual([])
	})

	test('stays known when the next one fails, and is not read again', async () => {
		const { shared, writer } = await sharedStore(0)
		const { store, follower, loaded } = await follow(shared)
		for (let made = 0; made < 3; made++) await writer.commit()
		const asked: string[] = []
		store.onGet = async (key, run) => {
			asked.push(key)
			if (asked.length > 1) throw lostReply()
			return await run()
		}
		await expect(follower.poll()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(follower.manifest.lastSeq).toBe(1)
		store.onGet = (_key, run) => run()
		await follower.poll()
		expect(follower.manifest).toEqual(await replayed(shared))
		expect(loaded).toEqual(['1/0', '1/1', '1/2'])
	})

	test('waits for the look, where one is to come', async () => {
		for (const why of ['a refresh', 'grace 0', 'half the grace period is over', 'a seal was followed'] as const) {
			const { shared, writer } = await sharedStore(0)
			const { store, follower, host } = await follow(shared, why === 'grace 0' ? 0 : GRACE_MS)
			const next = why === 'a seal was followed' ? await CommitWriter.claim(shared) : writer
			for (let made = 0; made < 3; made++) await next.commit()
			if (why === 'half the grace period is over') await host.clock.advance(GRACE_MS / 2)
			const read = (): Promise<void> => (why === 'a refresh' ? follower.refresh() : follower.poll())
			const told = await published(follower, store, read)
			expect(told, why).toHaveLength(1)
			expect(store.count('list'), why).toBe(1)
			expect(follower.manifest, why).toEqual(await replayed(shared))
		}
	})
})
