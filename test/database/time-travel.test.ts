import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isIsleError, type PastPoint } from '../../src/index.ts'
import { Maintained } from './maintained.ts'
import { commit, judge, PastHistory, RETENTION_MS } from './past-history.ts'

type Step =
	| { kind: 'commit'; changes: { key: string; value: string | undefined; ttlMs: number | undefined }[] }
	| { kind: 'wait'; ms: number }
	| { kind: 'maintain' | 'takeover' }

/** After these steps the first commit is no longer retained. */
const EXPIRING: Step[] = [
	{ kind: 'commit', changes: [{ key: 'a', value: '1', ttlMs: undefined }] },
	{ kind: 'maintain' },
	{ kind: 'wait', ms: 2_000_000 },
	{ kind: 'commit', changes: [{ key: 'a', value: '2', ttlMs: undefined }] },
	{ kind: 'maintain' },
	{ kind: 'wait', ms: 2_000_000 },
	{ kind: 'wait', ms: 2_000_000 },
	{ kind: 'maintain' },
]

describe('the past', () => {
	test.each([true, false])(
		'behind which nothing was committed has what has expired and was dropped since (checkpointed: %s)',
		async has => {
			const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
			const { clock } = maintained.rig.host
			const db = await maintained.open()
			await db.put('stays', '1')
			await db.flush()
			await maintained.mergeAndCollect()
			await db.put('brief', '2', { ttlMs: 60_000 })
			const position = await db.flush()
			const timeMs = clock.nowMs()
			if (has) await maintained.mergeAndCollect()
			await clock.advance(1_000_000)
			await maintained.mergeAndCollect()
			await using reader = await maintained.openReader()
			for (const past of [reader, db]) {
				for (const point of [position, { timeMs }]) {
					await using snapshot = await past.at(point)
					expect(await snapshot.getMany(['stays', 'brief'])).toEqual(['1', '2'])
				}
				await using later = await past.at({ timeMs: timeMs + 60_001 })
				expect(await later.getMany(['stays', 'brief'])).toEqual(['1', undefined])
			}
			await db.close()
		},
	)

	test('at every cursor, position and time that is kept is exactly what was there, while all is merged and collected', async () => {
		const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
		const change = fc.record({
			key,
			value: fc.option(fc.string({ maxLength: 3 }), { nil: undefined, freq: 4 }),
			ttlMs: fc.option(fc.constantFrom(60_000, 1_000_000, 5_000_000), { nil: undefined, freq: 4 }),
		})
		const step: fc.Arbitrary<Step> = fc.oneof(
			{
				weight: 4,
				arbitrary: fc.record({
					kind: fc.constant('commit' as const),
					changes: fc.array(change, { minLength: 1, maxLength: 4 }),
				}),
			},
			{
				weight: 2,
				arbitrary: fc.record({
					kind: fc.constant('wait' as const),
					ms: fc.constantFrom(1, 60_000, 900_000, 2_000_000),
				}),
			},
			{ weight: 2, arbitrary: fc.record({ kind: fc.constant('maintain' as const) }) },
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('takeover' as const) }) },
		)
		let totals = { read: 0, expired: 0 }
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), fc.boolean(), async (steps, isInline) => {
				const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
				const { clock } = maintained.rig.host
				const history = new PastHistory()
				const options = isInline ? { inlineMaxBytes: 1_048_576 } : {}
				let db = await maintained.open(options)
				await using reader = await maintained.openReader()
				for (const next of steps) {
					if (next.kind === 'commit') await commit(maintained, db, history, next.changes)
					else if (next.kind === 'wait') await clock.advance(next.ms)
					else if (next.kind === 'maintain') await maintained.mergeAndCollect()
					else {
						const successor = await maintained.open(options)
						await db.close()
						db = successor
					}
				}
				await maintained.mergeAndCollect()
				const found = await judge(history, reader, clock.nowMs())
				totals = { read: totals.read + found.read, expired: totals.expired + found.expired }
				await judge(history, db, clock.nowMs())
				await db.close()
			}),
			{ numRuns: 40, examples: [[EXPIRING, false]] },
		)
		// A control of the test: both outcomes came up.
		expect(totals.read).toBeGreaterThan(0)
		expect(totals.expired).toBeGreaterThan(0)
	}, 60_000)

	test('says what is left once it is gone', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		const { clock } = maintained.rig.host
		await using db = await maintained.open()
		const positions: string[] = []
		for (let i = 0; i < 3; i++) {
			await db.put('k', `${i}`)
			positions.push(await db.flush())
			await maintained.mergeAndCollect()
			await clock.advance(RETENTION_MS / 2 + 1)
		}
		await maintained.mergeAndCollect()
		await using reader = await maintained.openReader()
		const startMs = clock.nowMs() - 3 * (RETENTION_MS / 2 + 1)
		for (const point of [positions[0] ?? '', { timeMs: startMs }]) {
			const error: unknown = await reader.at(point).catch((thrown: unknown) => thrown)
			if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
			const { earliest, earliestMs } = error.details
			expect(earliestMs).toBe(startMs + RETENTION_MS / 2 + 1)
			await using left = await reader.at(String(earliest))
			expect(await left.get('k')).toBe('1')
			await using same = await reader.at({ timeMs: Number(earliestMs) })
			expect(await same.get('k')).toBe('1')
		}
		await using last = await reader.at(positions[2] ?? '')
		expect(await last.get('k')).toBe('2')
	})

	test('is judged at its own time: what has expired since is there, what had expired by then is not', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		const { clock } = maintained.rig.host
		await using db = await maintained.open()
		await db.put('short', 'lived', { ttlMs: 100 })
		const first = await db.flush()
		const startMs = clock.nowMs()
		await clock.advance(200)
		await db.put('other', 'x')
		const second = await db.flush()
		await maintained.mergeAndCollect()
		await clock.advance(600_000)
		await maintained.mergeAndCollect()
		await using reader = await maintained.openReader()
		const short = async (point: PastPoint): Promise<string | undefined> => {
			await using past = await reader.at(point)
			return await past.get('short')
		}
		expect([await short(first), await short(second)]).toEqual(['lived', undefined])
		expect([await short({ timeMs: startMs + 99 }), await short({ timeMs: startMs + 100 })]).toEqual([
			'lived',
			undefined,
		])
		expect(await short({ timeMs: startMs - 1 })).toBeUndefined()
	})

	test('at a time holds every commit made at or before it, however old the view of the reader', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		const { clock } = maintained.rig.host
		await using db = await maintained.open()
		await using reader = await maintained.openReader()
		const times: number[] = []
		for (let i = 0; i < 20; i++) {
			await db.put('k', `${i}`, { durable: true })
			times.push(clock.nowMs())
			await clock.advance(1 + (i % 3))
		}
		for (const [i, timeMs] of times.entries()) {
			await using past = await reader.at({ timeMs })
			expect(await past.get('k')).toBe(`${i}`)
		}
		await using before = await reader.at({ timeMs: (times[0] ?? 0) - 1 })
		expect(await before.get('k')).toBeUndefined()
		await using future = await reader.at({ timeMs: clock.nowMs() + 1e9 })
		expect(await future.get('k')).toBe('19')
	})

	test('goes on being read when its objects are replaced, and fails typed when they are gone', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		const { clock } = maintained.rig.host
		await using db = await maintained.open()
		await db.put('k', 'old')
		const position = await db.flush()
		await using reader = await maintained.openReader()
		await using past = await reader.at(position)
		await db.put('k', 'new', { durable: true })
		await maintained.mergeAndCollect()
		expect(await past.get('k')).toBe('old')
		await using cold = await reader.at(position)
		await clock.advance(RETENTION_MS + 1)
		await db.put('x', 'y', { durable: true })
		await maintained.mergeAndCollect()
		await clock.advance(RETENTION_MS + 1)
		await maintained.mergeAndCollect()
		await using other = await maintained.openReader()
		await expect(other.at(position)).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		// What is in memory stays.
		expect(await past.get('k')).toBe('old')
		await cold.close()
		await expect(cold.get('k')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})

	test('costs one LIST, one GET and the log behind the checkpoint', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		await using db = await maintained.open()
		for (let i = 0; i < 10; i++) {
			await db.put('k', `${i}`)
			await db.flush()
		}
		await maintained.mergeAndCollect()
		const positions: string[] = []
		for (let i = 10; i < 14; i++) {
			await db.put('k', `${i}`)
			positions.push(await db.flush())
		}
		await using reader = await maintained.openReader()
		const before = reader.requests()
		await using past = await reader.at(positions[2] ?? '')
		expect(await past.get('k')).toBe('12')
		const after = reader.requests()
		expect(after.byKind.list.requests - before.byKind.list.requests).toBe(1)
		// The checkpoint, and one window of eight slots.
		expect(after.byKind.get.requests - before.byKind.get.requests).toBe(9)
	})

	test('tells the time of a cursor and of a position, in one round trip', async () => {
		const maintained = new Maintained({ changeRetentionMs: RETENTION_MS })
		const { clock } = maintained.rig.host
		let db = await maintained.open()
		const history = new PastHistory()
		for (let i = 0; i < 5; i++) {
			await commit(maintained, db, history, [
				{ key: 'a', value: `${i}` },
				{ key: 'b', value: `${i}` },
			])
			await clock.advance(1000)
			if (i === 2) {
				const next = await maintained.open()
				await db.close()
				db = next
				history.points.push({ point: await db.flush(), seq: 6, nowMs: clock.nowMs() - 1000 })
				await maintained.mergeAndCollect()
			}
		}
		await using reader = await maintained.openReader()
		for (const { point, nowMs } of history.points) {
			const before = reader.requests().total.requests
			expect(await reader.timeOf(point)).toBe(nowMs)
			expect(reader.requests().total.requests - before).toBeLessThanOrEqual(12)
			expect(await db.timeOf(point)).toBe(nowMs)
		}
		await db.close()
	})

	test('refuses what is no point, and a point that is not there', async () => {
		const maintained = new Maintained()
		await using db = await maintained.open()
		await db.put('k', 'v', { durable: true })
		for (const point of ['', 'x', '1.', '2'.repeat(29)]) await expect(db.at(point)).rejects.toThrow(RangeError)
		for (const point of [undefined, null, 7, {}, { timeMs: '7' }]) {
			await expect(db.at(point as never)).rejects.toThrow(TypeError)
		}
		await expect(db.at({ timeMs: Number.NaN })).rejects.toThrow(RangeError)
		const beyond = `1${'0'.repeat(13)}9${'0'.repeat(14)}`
		await expect(db.at(beyond)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(db.at(beyond, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
	})
})
