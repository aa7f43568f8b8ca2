/** Resuming: from every cursor the exact rest follows, in the state and behind it; cursors that lead nowhere are typed errors. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { checkpointKey, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, type Mutation, put } from '../support/commit-fixture.ts'
import { collect, expected, seen } from '../support/tail-model.ts'

const mutation: fc.Arbitrary<Mutation> = fc.record({
	key: fc.constantFrom('a', 'ab', 'b', 'b\u0000', 'c', 'é', 'z'),
	value: fc.option(fc.string({ maxLength: 5 }), { nil: undefined, freq: 4 }),
})
interface PlannedCommit {
	readonly mutations: Mutation[]
	readonly tables: number
	readonly place: 'inline' | 'object'
	readonly takesOver: boolean
}
const commits: fc.Arbitrary<PlannedCommit[]> = fc.array(
	fc.record({
		mutations: fc.array(mutation, { maxLength: 12 }),
		tables: fc.integer({ min: 1, max: 3 }),
		place: fc.constantFrom('inline', 'object'),
		takesOver: fc.boolean(),
	}),
	{ minLength: 1, maxLength: 6 },
)
const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

async function build(plan: readonly PlannedCommit[]): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	for (const { mutations, tables, place, takesOver } of plan) {
		if (takesOver) await fixture.takeOver()
		await fixture.commit(mutations, { tables, place, blockBytes: 64 })
		await fixture.host.clock.advance(1)
	}
	return fixture
}

describe('resuming', () => {
	test('from any cursor of a history gives exactly what follows it, and cursors ascend', async () => {
		await fc.assert(
			fc.asyncProperty(commits, async plan => {
				const fixture = await build(plan)
				const { tails } = await fixture.readerTails({ recentBytes: 0 })
				const all = await collect(tails.changes({ from: BEGINNING }), fixture.history.length)
				expect(all.map(seen)).toEqual(fixture.history.map(expected))
				for (const [i, change] of all.entries()) {
					if (i > 0) expect(change.cursor > (all[i - 1]?.cursor ?? '')).toBe(true)
					const rest = await collect(tails.changes({ from: change.cursor }), all.length - i - 1)
					expect(rest).toEqual(all.slice(i + 1))
				}
			}),
			{ numRuns: 60 },
		)
	})

	test('in the middle of a state gives the rest of the state and then what follows, also after more commits', async () => {
		await fc.assert(
			fc.asyncProperty(commits, commits, async (before, after) => {
				const fixture = await build(before)
				const stateSeq = fixture.manifest.lastSeq
				const rows = fixture.stateAt(stateSeq)
				const { tails } = await fixture.readerTails()
				const first = await collect(tails.changes({ from: 'start' }), rows.length)
				for (const { mutations } of after) await fixture.commit(mutations)
				const later = fixture.history.length - stateSeq
				const { tails: newer } = await fixture.readerTails()
				for (const [i, row] of first.entries()) {
					const rest = await collect(newer.changes({ from: row.cursor }), first.length - i - 1 + later)
					expect(rest.slice(0, first.length - i - 1)).toEqual(first.slice(i + 1))
					expect(rest.slice(first.length - i - 1).map(seen)).toEqual(
						fixture.history.slice(fixture.history.length - later).map(expected),
					)
				}
			}),
			{ numRuns: 40 },
		)
	})
})

describe('cursors that lead nowhere', () => {
	async function errorOf(fixture: CommitFixture, from: string): Promise<unknown> {
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		return await collect(tails.changes({ from }), 1).then(
			() => undefined,
			(error: unknown) => error,
		)
	}

	test('below what is retained: ISLE_EXPIRED with the earliest one, never a silent skip', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 6; i++) await fixture.commit([put('k', `${i}`)])
		const cursors = (await collect((await fixture.readerTails()).tails.changes({ from: BEGINNING }), 6)).map(
			change => change.cursor,
		)
		await fixture.collect(2)
		const error = await errorOf(fixture, cursors[1] ?? '')
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details['cursor']).toBe(cursors[1])
		const { tails } = await fixture.readerTails()
		const earliest = isIsleError(error) ? String(error.details['earliest']) : ''
		expect((await collect(tails.changes({ from: earliest }), 2)).map(change => change.seq)).toEqual([5, 6])
		// The last change before the floor needs nothing that is gone.
		expect((await collect(tails.changes({ from: cursors[3] ?? '' }), 2)).map(change => change.seq)).toEqual([5, 6])
	})

	test('of the future, or of another database: ISLE_CONFLICT', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1'), put('b', '2')])
		const cursors = [
			{ seq: 3, position: { epoch: 1, slot: 1 } },
			{ seq: 2, position: { epoch: 1, slot: 2 } },
			{ seq: 2, position: { epoch: 2, slot: 0 } },
			{ seq: 1, position: { epoch: 1, slot: 1 } },
		]
		for (const { seq, position } of cursors) {
			const error = await errorOf(fixture, encodeCursor({ kind: 'change', seq, position }))
			expect(isIsleError(error, 'ISLE_CONFLICT')).toBe(true)
		}
	})

	test('into another commit than the one that it names: ISLE_CONFLICT', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 4; i++) await fixture.commit([put('a', '1'), put('b', '2')])
		for (const seq of [1, 6]) {
			const error = await errorOf(fixture, encodeCursor({ kind: 'change', seq, position: { epoch: 1, slot: 1 } }))
			expect(isIsleError(error, 'ISLE_CONFLICT')).toBe(true)
		}
	})

	test('a cursor that is ahead of a stale reader is waited for by looking at the log, not refused', async () => {
		const fixture = await CommitFixture.create()
		const { tails } = await fixture.readerTails()
		await fixture.commit([put('a', '1'), put('b', '2')])
		const [first] = await collect(fixture.writerTails().changes({ from: BEGINNING }), 1)
		const rest = await collect(tails.changes({ from: first?.cursor }), 1)
		expect(rest.map(change => change.key)).toEqual(['b'])
	})

	test('a row whose state was merged away: from the commits, while they are there, then ISLE_EXPIRED', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1'), put('b', '2'), put('c', '3')])
		const rows = await collect((await fixture.readerTails()).tails.changes({ from: 'start' }), 3)
		await fixture.commit([put('b', '4')])
		const { l0, ...rest } = fixture.manifest
		const merged = { ...rest, l0: [], runs: [{ id: 'm1-0', tables: l0.slice(1) }] }
		await fixture.store.inner.put(checkpointKey(merged), encodeCheckpoint(merged))
		const again = (await fixture.readerTails()).tails.changes({ from: rows[0]?.cursor })
		expect((await collect(again, 3)).map(change => [change.key, change.value])).toEqual([
			['b', '2'],
			['c', '3'],
			['b', '4'],
		])
		await fixture.store.inner.delete(fixture.log.key({ epoch: 1, slot: 0 }))
		const error = await errorOf(fixture, rows[0]?.cursor ?? '')
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details['cursor']).toBe(rows[0]?.cursor)
		// Behind its last row nothing of the state is needed.
		const { tails } = await fixture.readerTails()
		expect((await collect(tails.changes({ from: rows[2]?.cursor }), 1)).map(change => change.seq)).toEqual([4])
	})
})
