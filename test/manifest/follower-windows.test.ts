/** How many slots a follower asks for at once. */
import { expect, test } from 'vitest'
import { follow, replayed, sharedStore } from '../support/followed-prefix.ts'

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
