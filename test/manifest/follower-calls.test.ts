/** Calls to one follower that come together, and who is told of changes. */
import { describe, expect, test } from 'vitest'
import { follow, sharedStore } from '../support/followed-prefix.ts'
import { settle } from '../support/manual-clock.ts'
import { gate, lostReply } from '../support/scripted-store.ts'

describe('calls that come together', () => {
	test('polls share one read', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		await Promise.all([follower.poll(), follower.poll(), follower.poll()])
		expect(store.calls).toHaveLength(1)
		await writer.commit()
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(2)
	})

	test('a refresh that joins late is strong: it reads again after what runs', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		const held = gate()
		store.onList = async (_prefix, run) => {
			const page = await run()
			await held.opened
			return page
		}
		const early = follower.refresh()
		await settle()
		// The running refresh has seen the end of the log. This commit is acknowledged before the late one is called.
		await writer.commit()
		const late = follower.refresh()
		const later = follower.refresh()
		let isLateDone = false
		void late.then(() => {
			isLateDone = true
		})
		held.open()
		await early
		expect(follower.manifest.lastSeq).toBe(1)
		expect(isLateDone).toBe(false)
		await Promise.all([late, later])
		expect(follower.manifest.lastSeq).toBe(2)
		expect(store.count('list'), 'the two late ones share one read').toBe(2)
	})

	test('a refresh is not put off by polls that follow one another at once, whenever it comes', async () => {
		for (let ticks = 0; ticks < 40; ticks++) {
			const { shared, writer } = await sharedStore(1)
			const { follower, store } = await follow(shared)
			let isDone = false
			let polls = 0
			const polling = (async () => {
				while (!isDone && polls < 1_000) {
					await follower.poll()
					polls++
				}
			})()
			await writer.commit()
			for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
			const pollsBefore = polls
			const refreshed = follower.refresh().then(() => {
				isDone = true
			})
			await Promise.all([polling, refreshed])
			expect(polls - pollsBefore, `${ticks} ticks`).toBeLessThan(5)
			expect(store.count('list')).toBe(1)
		}
	})

	test('a refresh after a failed read succeeds by its own', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		const held = gate()
		store.onGet = async () => {
			store.onGet = (_key, run) => run()
			await held.opened
			throw lostReply()
		}
		const poll = follower.poll()
		const refresh = follower.refresh()
		await writer.commit()
		held.open()
		await expect(poll).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await refresh
		expect(follower.manifest.lastSeq).toBe(2)
	})

	test('an abort leaves its own wait at once and nobody else’s', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		await writer.commit()
		const held = gate()
		store.onGet = async (_key, run) => {
			await held.opened
			return run()
		}
		const controller = new AbortController()
		const reason = new Error('enough')
		const waits = [follower.poll(), follower.refresh()]
		const aborted = [follower.poll({ signal: controller.signal }), follower.refresh({ signal: controller.signal })]
		const verdicts = Promise.allSettled(aborted)
		controller.abort(reason)
		expect(await verdicts).toEqual([
			{ status: 'rejected', reason },
			{ status: 'rejected', reason },
		])
		held.open()
		await Promise.all(waits)
		expect(follower.manifest.lastSeq).toBe(2)
	})

	test('a call with a signal that is aborted already makes no request', async () => {
		const { shared } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		const reason = new Error('enough')
		const signal = AbortSignal.abort(reason)
		await expect(follower.poll({ signal })).rejects.toBe(reason)
		await expect(follower.refresh({ signal })).rejects.toBe(reason)
		await settle()
		expect(store.calls).toEqual([])
	})
})

describe('listeners', () => {
	test('are told of each change in order of their subscription, and of nothing else', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower } = await follow(shared)
		const told: string[] = []
		follower.onChange(manifest => told.push(`a ${manifest.lastSeq}`))
		const stop = follower.onChange(manifest => told.push(`b ${manifest.lastSeq}`))
		await follower.poll()
		await writer.commit()
		await follower.poll()
		await follower.poll()
		stop()
		stop()
		await writer.commit()
		await follower.refresh()
		expect(told).toEqual(['a 2', 'b 2', 'a 3'])
	})

	test('see the new manifest on the follower already, and may leave while they are told', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower } = await follow(shared)
		const told: string[] = []
		const stop = follower.onChange(manifest => {
			expect(follower.manifest).toBe(manifest)
			told.push('once')
			stop()
		})
		follower.onChange(() => told.push('each time'))
		for (let round = 0; round < 2; round++) {
			await writer.commit()
			await follower.poll()
		}
		expect(told).toEqual(['once', 'each time', 'each time'])
	})

	test('are not told of a read that failed', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared)
		let told = 0
		follower.onChange(() => told++)
		await writer.commit()
		store.onList = async () => {
			throw lostReply()
		}
		await expect(follower.refresh()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(told).toBe(0)
	})
})
