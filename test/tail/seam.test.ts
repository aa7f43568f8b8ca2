/** The seam between the state and what follows it: no gap and no duplicate, whenever writes happen meanwhile. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/tail/change.ts'
import type { ChangeIterator } from '../../src/tail/change-iterator.ts'
import { decodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, type Mutation, put } from '../support/commit-fixture.ts'
import { expected, expectedRow, seen } from '../support/tail-model.ts'

const mutation: fc.Arbitrary<Mutation> = fc.record({
	key: fc.constantFrom('a', 'ab', 'b', 'c', 'é', 'z'),
	value: fc.option(fc.string({ maxLength: 5 }), { nil: undefined, freq: 4 }),
})
const mutations = fc.array(mutation, { minLength: 1, maxLength: 8 })

/** Checks everything that was emitted against the model; answers the number at which the state ends. */
function checkAgainstModel(fixture: CommitFixture, all: readonly Change[], stateSeq: number): void {
	const rows = fixture.stateAt(stateSeq)
	const stateMs = fixture.history.findLast(({ seq }) => seq <= stateSeq)?.committedAtMs ?? 0
	const following = fixture.history.filter(({ seq }) => seq > stateSeq)
	expect(all.map(seen)).toEqual([...rows.map(row => expectedRow(row, stateMs)), ...following.map(expected)])
	for (const [i, change] of all.entries()) if (i > 0) expect(change.cursor > (all[i - 1]?.cursor ?? '')).toBe(true)
}

/** Whether everything that was committed was given. */
function isAtEnd(fixture: CommitFixture, iterator: ChangeIterator): boolean {
	if (iterator.cursor === undefined) return false
	const cursor = decodeCursor(iterator.cursor)
	return cursor.kind === 'change' && cursor.seq === fixture.manifest.lastSeq
}

describe('the seam', () => {
	test.each(['writer', 'reader'] as const)(
		'holds with a commit at every await point, in the process of a %s',
		async kind => {
			for (let delay = 0; delay < 80; delay++) {
				const fixture = await CommitFixture.create()
				await fixture.commit([put('a', '1'), put('b', '2'), put('c', '3')], { blockBytes: 64 })
				const before = fixture.manifest.lastSeq
				const tails = kind === 'writer' ? fixture.writerTails() : (await fixture.readerTails({ recentBytes: 0 })).tails
				const iterator = tails.changes({ from: 'start', pollIntervalMs: 10 })[Symbol.asyncIterator]()
				const all: Change[] = []
				const first = iterator.next()
				for (let turn = 0; turn < delay; turn++) await Promise.resolve()
				await fixture.commit([put('a', '4'), put('bb', '5')])
				all.push(...((await first).value ?? []))
				const stateSeq = all.find(change => decodeCursor(change.cursor).kind === 'row')
				const seq = stateSeq === undefined ? before : decodeCursor(stateSeq.cursor).seq
				await fixture.commit([put('zz', '6')])
				while (!isAtEnd(fixture, iterator)) all.push(...((await fixture.until(iterator.next())).value ?? []))
				if (kind === 'writer') expect(seq).toBe(before)
				else expect([before, before + 2]).toContain(seq)
				checkAgainstModel(fixture, all, seq)
				await iterator.return()
				expect(fixture.host.clock.pendingTimers).toBe(0)
			}
		},
	)

	test('holds under random writes, takeovers and faults while the state is read', async () => {
		const step = fc.record({
			mutations,
			delay: fc.nat({ max: 40 }),
			takesOver: fc.boolean(),
			place: fc.constantFrom('inline' as const, 'object' as const),
		})
		await fc.assert(
			fc.asyncProperty(
				fc.array(mutations, { minLength: 1, maxLength: 4 }),
				fc.array(step, { maxLength: 5 }),
				fc.boolean(),
				fc.integer({ min: 2, max: 7 }),
				async (earlier, steps, isWriter, faultOneIn) => {
					const fixture = await CommitFixture.create()
					for (const commit of earlier) await fixture.commit(commit, { blockBytes: 64, place: 'object' })
					const before = fixture.manifest.lastSeq
					const tails = isWriter ? fixture.writerTails() : (await fixture.readerTails({ recentBytes: 0 })).tails
					fixture.failOneIn(faultOneIn)
					const iterator = tails.changes({ from: 'start', pollIntervalMs: 10 })[Symbol.asyncIterator]()
					const all: Change[] = []
					let next = iterator.next()
					for (const [i, { mutations: commit, delay, takesOver, place }] of steps.entries()) {
						for (let turn = 0; turn < delay; turn++) await Promise.resolve()
						if (takesOver && !isWriter) await fixture.takeOver()
						// Something of its own, so that something is emitted whichever state the tail begins with.
						await fixture.commit([...commit, put(`step ${i}`, '')], { place })
						all.push(...((await fixture.until(next)).value ?? []))
						next = iterator.next()
					}
					await fixture.commit([put('last', 'one')])
					while (!isAtEnd(fixture, iterator)) {
						all.push(...((await fixture.until(next)).value ?? []))
						next = iterator.next()
					}
					await iterator.return()
					await next
					const row = all.find(change => decodeCursor(change.cursor).kind === 'row')
					const candidates = [before, ...fixture.commits.map(({ commit }) => commit.lastSeq)]
					const stateSeq = row === undefined ? undefined : decodeCursor(row.cursor).seq
					const possible = candidates.filter(seq => seq >= before && (stateSeq === undefined || seq === stateSeq))
					const held = possible.filter(seq => {
						try {
							checkAgainstModel(fixture, all, seq)
							return true
						} catch {
							return false
						}
					})
					if (held.length === 0) checkAgainstModel(fixture, all, possible[0] ?? before)
					expect(fixture.host.clock.pendingTimers).toBe(0)
				},
			),
			{ numRuns: 60 },
		)
	})

	test('positive control: a lost and a repeated change are found', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1'), put('b', '2')])
		const iterator = fixture.writerTails().changes({ from: 'start' })[Symbol.asyncIterator]()
		const all: Change[] = [...((await iterator.next()).value ?? [])]
		checkAgainstModel(fixture, all, 2)
		expect(() => checkAgainstModel(fixture, all.slice(1), 2)).toThrow()
		expect(() => checkAgainstModel(fixture, [...all, ...all.slice(1)], 2)).toThrow()
		await iterator.return()
	})
})
