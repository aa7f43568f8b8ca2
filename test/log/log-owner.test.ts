import { describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { encodeRecord } from '../../src/log/record.ts'
import type { CreateOutcome } from '../../src/object-store/object-store.ts'
import { settle } from '../support/manual-clock.ts'
import { gate, lostReply, ScriptedStore, unknownOutcome } from '../support/scripted-store.ts'
import { appendText, claimText, deleteCommitsBelow, writeTextCheckpoint } from '../support/text-log.ts'

const BUDGET = { maxAttempts: 3, budgetMs: 10_000, basePauseMs: 100, maxPauseMs: 1_000 }

function failureOf(promise: Promise<unknown>): Promise<unknown> {
	return promise.then(
		() => undefined,
		error => error,
	)
}

describe('an owner', () => {
	test('without a verdict within its budget fails for ever, each later append with the same error', async () => {
		const store = new ScriptedStore()
		const { owner, host } = await claimText(store, { retryBudget: BUDGET })
		store.onCreate = async () => unknownOutcome()
		const first = failureOf(appendText(owner, 'a'))
		await host.clock.untilTimers()
		await host.clock.advance(BUDGET.budgetMs)
		const failure = await first
		expect(isIsleError(failure, 'ISLE_INDETERMINATE')).toBe(true)
		expect(failure).toMatchObject({ cause: { code: 'ISLE_UNAVAILABLE' } })
		expect(owner.failure).toBe(failure)
		store.onCreate = (_key, run) => run()
		store.calls.length = 0
		expect(await failureOf(appendText(owner, 'b'))).toBe(failure)
		expect(await failureOf(appendText(owner, 'c'))).toBe(failure)
		expect(store.calls, 'a failed owner asks the store for nothing').toEqual([])
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('whose slots cannot be read either asks again until the budget is spent', async () => {
		const store = new ScriptedStore()
		const { owner, host } = await claimText(store, { retryBudget: BUDGET })
		store.onCreate = async () => unknownOutcome()
		store.onGet = async () => {
			throw lostReply()
		}
		const append = failureOf(appendText(owner, 'a'))
		await host.clock.untilTimers()
		await host.clock.advance(BUDGET.budgetMs)
		expect(await append).toMatchObject({ code: 'ISLE_INDETERMINATE' })
		expect(store.count('createIfAbsent', 'log/0000000000000001/')).toBe(BUDGET.maxAttempts)
	})

	test('that the store denies fails at once, without an attempt more', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		store.onCreate = async () => {
			throw new IsleError('ISLE_DENIED', 'read-only')
		}
		expect(await failureOf(appendText(owner, 'a'))).toMatchObject({ code: 'ISLE_DENIED' })
		expect(await failureOf(appendText(owner, 'b'))).toMatchObject({ code: 'ISLE_DENIED' })
		expect(store.count('createIfAbsent', 'log/0000000000000001/')).toBe(1)
	})

	test('that meets a seal is fenced, for ever, and its record is not in the log', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store)
		await appendText(first.owner, 'a')
		const second = await claimText(store)
		expect(second.texts).toEqual(['a'])
		const listsBefore = store.count('list', 'checkpoint/')
		const failure = await failureOf(appendText(first.owner, 'late'))
		expect(failure).toMatchObject({ code: 'ISLE_FENCED', details: { epoch: 1 } })
		expect(store.count('list', 'checkpoint/'), 'no doubt, no look').toBe(listsBefore)
		expect(await failureOf(appendText(first.owner, 'later'))).toBe(failure)
		await appendText(second.owner, 'b')
		expect((await claimText(store)).texts).toEqual(['a', 'b'])
	})

	test('fenced in the middle of pipelined appends is told so for the first one behind the seal and all after it', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store)
		const held = gate()
		store.onCreate = async (key, run) => {
			if (key === first.log.key({ epoch: 1, slot: 1 })) await held.opened
			return run()
		}
		const appends = ['a', 'b', 'c', 'd'].map(text => appendText(first.owner, text))
		const verdicts = Promise.allSettled(appends)
		await appends[0]
		// Slots 2 and 3 are taken already, slot 1 is not: the claimer seals there.
		const second = await claimText(new ScriptedStore(store.inner))
		expect(second.texts).toEqual(['a'])
		held.open()
		expect((await verdicts).map(verdict => verdict.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected'])
		expect(first.owner.failure).toMatchObject({ code: 'ISLE_FENCED' })
		await appendText(second.owner, 'e')
		expect((await claimText(store)).texts).toEqual(['a', 'e'])
	})

	test('acknowledges pipelined appends in slot order, whatever the order of the replies', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		const gates = Array.from({ length: 4 }, () => gate())
		store.onCreate = async (key, run) => {
			const outcome = await run()
			await gates[Number(key.slice(-1))]?.opened
			return outcome
		}
		const acknowledged: string[] = []
		const appends = ['a', 'b', 'c', 'd'].map(text => appendText(owner, text).then(() => acknowledged.push(text)))
		const expected = [[], [], ['a', 'b'], ['a', 'b', 'c', 'd']]
		for (const [index, slot] of [3, 1, 0, 2].entries()) {
			gates[slot]?.open()
			await settle()
			expect(acknowledged).toEqual(expected[index])
		}
		await Promise.all(appends)
	})

	test('never acknowledges what follows a failed append, and a later open works', async () => {
		const store = new ScriptedStore()
		const { owner, host, log } = await claimText(store, { retryBudget: { ...BUDGET, maxAttempts: 1 } })
		store.onCreate = async (key, run) => (key === log.key({ epoch: 1, slot: 1 }) ? unknownOutcome() : run())
		const verdicts = await Promise.allSettled(['a', 'b', 'c'].map(text => appendText(owner, text)))
		expect(verdicts.map(verdict => verdict.status)).toEqual(['fulfilled', 'rejected', 'rejected'])
		expect(host.clock.pendingTimers).toBe(0)
		store.onCreate = (_key, run) => run()
		const next = await claimText(store)
		expect(next.texts, 'c stands behind a free slot: nobody reads it').toEqual(['a'])
		await appendText(next.owner, 'd')
		expect((await claimText(store)).texts).toEqual(['a', 'd'])
	})

	test('that finds a record of somebody else in its slot reports damage', async () => {
		const store = new ScriptedStore()
		const { owner, log } = await claimText(store)
		const position = { epoch: 1, slot: 0 }
		const owners = { owner: new Uint8Array(16), nonce: new Uint8Array(8), body: new Uint8Array(0), sections: [] }
		await store.inner.put(log.key(position), encodeRecord({ kind: 'commit', position, ...owners }).pieces)
		expect(await failureOf(appendText(owner, 'a'))).toMatchObject({ code: 'ISLE_CORRUPT' })
		expect(await failureOf(appendText(owner, 'b'))).toMatchObject({ code: 'ISLE_CORRUPT' })
	})

	test('that wakes up after its log was sealed, checkpointed and deleted is fenced', async () => {
		const store = new ScriptedStore()
		const first = await claimText(store)
		await appendText(first.owner, 'a')
		const second = await claimText(store)
		for (const text of ['b', 'c']) await appendText(second.owner, text)
		await writeTextCheckpoint(store, { epoch: 2, slot: 2 }, ['a', 'b', 'c'])
		await deleteCommitsBelow(second.log, store, { epoch: 2, slot: 2 })
		expect(await store.keys('log/0000000000000002/')).toEqual([])
		expect(await failureOf(appendText(first.owner, 'late'))).toMatchObject({ code: 'ISLE_FENCED' })
		expect((await claimText(store)).texts).toEqual(['a', 'b', 'c'])
	})

	test('whose commit was checkpointed and deleted before it could be settled is told the truth: nobody knows', async () => {
		// Grace 0: the reply is lost, the record is folded into a checkpoint and deleted, and a stalled claimer that read
		// the log before all this puts its (void) seal into the slot. A seal there does not mean "not committed".
		const store = new ScriptedStore()
		const { owner, log } = await claimText(store)
		store.onCreate = async (key, run): Promise<CreateOutcome> => {
			await run()
			const end = { epoch: 1, slot: 1 }
			await writeTextCheckpoint(store.inner, end, ['a'])
			await store.inner.delete(key)
			const seal = { owner: new Uint8Array(16), nonce: new Uint8Array(8), body: new Uint8Array(0), sections: [] }
			await store.inner.put(key, encodeRecord({ kind: 'seal', position: { epoch: 1, slot: 0 }, ...seal }).pieces)
			return unknownOutcome()
		}
		const key = log.key({ epoch: 1, slot: 0 })
		expect(await failureOf(appendText(owner, 'a'))).toMatchObject({ code: 'ISLE_INDETERMINATE', details: { key } })
		expect((await claimText(new ScriptedStore(store.inner))).texts).toEqual(['a'])
	})

	test('whose reply was lost and whose slot is truly sealed is fenced, after one look', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		store.onCreate = async () => {
			await claimText(store.inner)
			return unknownOutcome()
		}
		expect(await failureOf(appendText(owner, 'a'))).toMatchObject({ code: 'ISLE_FENCED' })
		expect((await claimText(store.inner)).texts).toEqual([])
	})

	test('has settled once none of its requests is on its way, also those behind a failed append', async () => {
		const store = new ScriptedStore()
		const { owner } = await claimText(store)
		const held = gate()
		store.onCreate = async (key, run) => {
			if (key.endsWith('0')) throw new IsleError('ISLE_DENIED', 'no')
			await held.opened
			return run()
		}
		const verdicts = await Promise.allSettled(['a', 'b'].map(text => appendText(owner, text)))
		expect(verdicts.map(verdict => verdict.status)).toEqual(['rejected', 'rejected'])
		let hasSettled = false
		const settled = owner.settled().then(() => {
			hasSettled = true
		})
		await settle()
		expect(hasSettled).toBe(false)
		held.open()
		await settled
	})
})
