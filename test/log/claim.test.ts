import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { claimLog } from '../../src/log/claim.ts'
import { LOG_START } from '../../src/log/log-position.ts'
import { manualHost, settle } from '../support/manual-clock.ts'
import { gate, ScriptedStore, unknownOutcome } from '../support/scripted-store.ts'
import {
	appendText,
	claimText,
	deleteCommitsBelow,
	openTextLog,
	TextReplay,
	writeTextCheckpoint,
} from '../support/text-log.ts'

describe('a claim', () => {
	test('of a log that has no record yet seals (0, 0), owns epoch 1 and costs one LIST', async () => {
		const store = new ScriptedStore()
		const { owner, log } = await claimText(store)
		expect(owner.epoch).toBe(1)
		expect(await store.keys()).toEqual([log.key(LOG_START)])
		expect((await log.readSlot(LOG_START))?.kind).toBe('seal')
		expect(store.count('list')).toBe(1)
		expect(store.count('createIfAbsent')).toBe(1)
	})

	test('asks before the first use of a log, once, and writes nothing when refused', async () => {
		const store = new ScriptedStore()
		const options = { log: openTextLog(store), host: manualHost(), replay: new TextReplay(store) }
		const refused = claimLog({
			...options,
			beforeFirstUse: async () => {
				throw new IsleError('ISLE_FOREIGN_PREFIX', 'no')
			},
		})
		await expect(refused).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect(await store.keys()).toEqual([])
		let asked = 0
		const beforeFirstUse = async (): Promise<void> => void asked++
		await claimLog({ ...options, beforeFirstUse })
		await claimLog({ ...options, beforeFirstUse })
		expect(asked).toBe(1)
	})

	test('of a log in use costs one LIST more, for the look behind its seal', async () => {
		const store = new ScriptedStore()
		await appendText((await claimText(store)).owner, 'a')
		store.calls.length = 0
		const { owner, texts } = await claimText(store)
		expect(owner.epoch).toBe(2)
		expect(texts).toEqual(['a'])
		expect(store.count('list')).toBe(2)
		expect(store.count('createIfAbsent')).toBe(1)
		expect(store.calls.at(-1)).toBe('list checkpoint/')
	})

	test('has the whole history before its epoch, and nothing can be added to it later', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store)
		await appendText(first.owner, 'a')
		const second = await claimText(store)
		await expect(appendText(first.owner, 'b')).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await appendText(second.owner, 'c')
		expect(second.texts).toEqual(['a'])
		expect((await claimText(store)).texts).toEqual(['a', 'c'])
	})

	test('that races another: each epoch has one owner, and the later one knows what the earlier one acknowledged', async () => {
		for (let round = 0; round < 20; round++) {
			const store = new ScriptedStore()
			const claims = await Promise.all([claimText(store), claimText(store), claimText(store)])
			expect(claims.map(claim => claim.owner.epoch).sort((a, b) => a - b)).toEqual([1, 2, 3])
			const verdicts = await Promise.allSettled(claims.map(claim => appendText(claim.owner, `${claim.owner.epoch}`)))
			const winners = verdicts.filter(verdict => verdict.status === 'fulfilled')
			expect(winners).toHaveLength(1)
			expect((await claimText(store)).texts).toEqual(['3'])
		}
	})

	test('whose seal won and whose reply was lost owns the log', async () => {
		const store = new ScriptedStore()
		store.onCreate = async (_key, run) => {
			await run()
			return unknownOutcome()
		}
		const { owner } = await claimText(store)
		expect(owner.epoch).toBe(1)
		expect(store.count('createIfAbsent')).toBe(1)
	})

	test('whose seal was lost sends it again; without any verdict it fails as unavailable and harms nobody', async () => {
		const store = new ScriptedStore()
		let losses = 2
		store.onCreate = async (_key, run) => (losses-- > 0 ? unknownOutcome() : run())
		const host = manualHost(77)
		const claim = claimText(store, { host })
		await host.clock.untilTimers()
		await host.clock.advance(10_000)
		expect((await claim).owner.epoch).toBe(1)
		losses = Number.POSITIVE_INFINITY
		const hopeless = claimText(store, { retryBudget: { maxAttempts: 1, budgetMs: 0, basePauseMs: 0, maxPauseMs: 0 } })
		await expect(hopeless).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE', cause: { code: 'ISLE_UNAVAILABLE' } })
		losses = 0
		expect((await claimText(store)).owner.epoch).toBe(2)
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('that meets a commit in the slot of its seal reads on from there and not from the checkpoint again', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store.inner)
		const texts = ['a', 'b']
		for (const text of texts) await appendText(first.owner, text)
		store.onCreate = async (_key, run) => {
			if (texts.length < 7) {
				texts.push(`raced ${texts.length}`)
				await appendText(first.owner, texts.at(-1) ?? '')
			}
			return run()
		}
		const claimed = await claimText(store)
		expect(claimed.texts).toEqual(texts)
		expect(claimed.replay.restarts).toBe(1)
		expect(store.count('list'), 'one to open, one look behind the seal').toBe(2)
		await expect(appendText(first.owner, 'late')).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await appendText(claimed.owner, 'c')
		expect((await claimText(store)).texts).toEqual([...texts, 'c'])
	})

	test.each([1, 3, 8])('wins against an owner that fills %i slots in each of its round trips', async slots => {
		const store = new ScriptedStore()
		const first = await claimText(store.inner)
		const acknowledged: string[] = []
		let sent = 0
		let isFenced = false
		const fill = async (): Promise<void> => {
			for (let slot = 0; slot < slots && !isFenced; slot++) {
				const text = `${sent++}`
				await appendText(first.owner, text).then(
					() => acknowledged.push(text),
					() => {
						isFenced = true
					},
				)
			}
		}
		// What goes out at once shares a round trip.
		let trip: Promise<void> | undefined
		const outrun = async <Value>(run: () => Promise<Value>): Promise<Value> => {
			trip ??= fill().finally(() => {
				trip = undefined
			})
			await trip
			return run()
		}
		store.onGet = (_key, run) => outrun(run)
		store.onCreate = (_key, run) => outrun(run)
		const claimed = await claimText(store)
		expect(claimed.texts).toEqual(acknowledged)
		expect(acknowledged.length).toBeGreaterThan(0)
		expect(first.owner.failure).toMatchObject({ code: 'ISLE_FENCED' })
		await appendText(claimed.owner, 'after')
		expect((await claimText(store.inner)).texts).toEqual([...acknowledged, 'after'])
	})

	test('that stalls until the slot of its seal was used, folded into a checkpoint and deleted starts over', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store)
		await appendText(first.owner, 'a')
		const stalled = new ScriptedStore(store.inner)
		const wake = gate()
		let sealed = 0
		stalled.onCreate = async (_key, run) => {
			if (sealed++ === 0) await wake.opened
			return run()
		}
		const claim = claimText(stalled)
		await settle()
		for (const text of ['b', 'c']) await appendText(first.owner, text)
		await writeTextCheckpoint(store, { epoch: 1, slot: 3 }, ['a', 'b', 'c'])
		await deleteCommitsBelow(first.log, store, { epoch: 1, slot: 3 })
		wake.open()
		const { owner, texts, replay } = await claim
		expect(texts).toEqual(['a', 'b', 'c'])
		expect(owner.epoch).toBe(2)
		expect(replay.restarts).toBe(2)
		expect(sealed, 'a void seal in slot 1, then the true one in slot 3').toBe(2)
		await expect(appendText(first.owner, 'd')).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await appendText(owner, 'e')
		expect((await claimText(store)).texts).toEqual(['a', 'b', 'c', 'e'])
	})

	test('that crashed between its seal and its look is followed: the next one owns the epoch after', async () => {
		const store = new ScriptedStore()
		await appendText((await claimText(store)).owner, 'a')
		const crashing = new ScriptedStore(store.inner)
		const never = gate()
		let lists = 0
		crashing.onList = async (_prefix, run) => {
			if (++lists > 1) await never.opened
			return run()
		}
		void claimText(crashing)
		await settle()
		const { owner, texts } = await claimText(store)
		expect(owner.epoch).toBe(3)
		expect(texts).toEqual(['a'])
		await appendText(owner, 'b')
		expect((await claimText(store)).texts).toEqual(['a', 'b'])
	})

	test('gives up, typed, after a hundred lost races', async () => {
		const store = new ScriptedStore()
		await appendText((await claimText(store)).owner, 'a')
		store.onList = async (prefix, run) => {
			const page = await run()
			const objects = [{ key: 'checkpoint/0000000000000009/0000000000000000', bytes: 2, lastModifiedMs: 0 }]
			return prefix === 'checkpoint/' && store.count('list') % 2 === 0 ? { ...page, objects } : page
		}
		await expect(claimText(store)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	})
})

describe('an abort', () => {
	const reason = new Error('stop')

	test('before a claim begins costs no request', async () => {
		const store = new ScriptedStore()
		await expect(claimText(store, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
		expect(store.calls).toEqual([])
	})

	test('in the back-off of a claim ends it at once, with the reason, and leaves no timer', async () => {
		const store = new ScriptedStore()
		store.onCreate = async () => unknownOutcome()
		const controller = new AbortController()
		const host = manualHost(5)
		const claim = claimText(store, { signal: controller.signal, host })
		claim.catch(() => undefined)
		await host.clock.untilTimers()
		controller.abort(reason)
		await expect(claim).rejects.toBe(reason)
		expect(host.clock.pendingTimers).toBe(0)
		store.onCreate = (_key, run) => run()
		expect((await claimText(store)).owner.epoch).toBe(1)
	})

	test.each(['list', 'get', 'createIfAbsent', 'look'] as const)(
		'while a claim waits for its %s ends it, and harms neither the owner before nor the claimer after',
		async waitsFor => {
			const store = new ScriptedStore()
			const first = await claimText(store)
			await appendText(first.owner, 'a')
			const aborting = new ScriptedStore(store.inner)
			const controller = new AbortController()
			const abortInstead = async <Value>(isNow: boolean, run: () => Promise<Value>): Promise<Value> => {
				if (isNow) controller.abort(reason)
				if (isNow) throw reason
				return run()
			}
			aborting.onList = (_prefix, run) =>
				abortInstead(aborting.count('list') === (waitsFor === 'list' ? 1 : waitsFor === 'look' ? 2 : 0), run)
			aborting.onGet = (_key, run) => abortInstead(waitsFor === 'get', run)
			aborting.onCreate = (_key, run) => abortInstead(waitsFor === 'createIfAbsent', run)
			await expect(claimText(aborting, { signal: controller.signal })).rejects.toBe(reason)
			const isSealed = waitsFor === 'look'
			const late = appendText(first.owner, 'b')
			if (isSealed) await expect(late).rejects.toMatchObject({ code: 'ISLE_FENCED' })
			else await late
			const { owner, texts } = await claimText(store)
			expect(texts).toEqual(isSealed ? ['a'] : ['a', 'b'])
			await appendText(owner, 'c')
			expect((await claimText(store)).texts).toEqual([...texts, 'c'])
		},
	)
})
