import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Database, type DatabaseReader, isIsleError, type PastPoint, type Snapshot } from '../../src/index.ts'
import { Maintained } from './maintained.ts'

const RETENTION_MS = 3_600_000

interface Written {
	readonly key: string
	readonly value: string | undefined
	readonly expiresAtMs: number
	readonly committedAtMs: number
}

/** What was written, and where each state can be asked for. */
class History {
	readonly written: Written[] = []
	readonly points: { readonly point: string; readonly seq: number; readonly nowMs: number }[] = []

	/** Rows at `seq` as seen at `nowMs`. */
	rowsAt(seq: number, nowMs: number): Map<string, Written> {
		const newest = new Map<string, Written>()
		for (const written of this.written.slice(0, seq)) newest.set(written.key, written)
		const live = [...newest].filter(
			([, { value, expiresAtMs }]) => value !== undefined && (expiresAtMs === 0 || expiresAtMs > nowMs),
		)
		return new Map(live.sort(([a], [b]) => (a < b ? -1 : 1)))
	}
}

async function rowsOf(snapshot: Snapshot<string, string>): Promise<[string, string][]> {
	const rows: [string, string][] = []
	for await (const row of snapshot.entries()) rows.push(row)
	return rows
}

/** Writes one batch, and notes its position, the cursor of each of its changes, and its time. */
async function commit(
	maintained: Maintained,
	db: Database,
	history: History,
	changes: readonly { readonly key: string; readonly value: string | undefined; readonly ttlMs?: number | undefined }[],
): Promise<void> {
	const { clock } = maintained.rig.host
	const batch = db.batch()
	for (const { key, value, ttlMs } of changes) {
		if (value === undefined) batch.delete(key)
		else batch.put(key, value, { ttlMs })
	}
	const nowMs = clock.nowMs()
	await db.write(batch)
	const position = await db.flush()
	for (const { key, value, ttlMs } of changes) {
		const expiresAtMs = ttlMs === undefined ? 0 : nowMs + ttlMs
		history.written.push({ key, value, expiresAtMs, committedAtMs: nowMs })
	}
	const seq = history.written.length
	history.points.push({ point: position, seq, nowMs })
	await using reader = await maintained.openReader()
	for await (const found of reader.changes({ from: { timeMs: nowMs } })) {
		for (const change of found) history.points.push({ point: change.cursor, seq: change.seq, nowMs })
		break
	}
}

/** Judges every point that was kept; answers how many were read and how many had expired. */
async function judge(
	history: History,
	past: Pick<DatabaseReader, 'at'>,
	nowMs: number,
): Promise<{ read: number; expired: number }> {
	let [read, expired] = [0, 0]
	for (const { point, seq, nowMs: atMs } of history.points) {
		let snapshot: Snapshot<string, string>
		try {
			snapshot = await past.at(point)
			const found = new Map(await rowsOf(snapshot))
			const expected = history.rowsAt(seq, atMs)
			for (const [key, value] of found) expect([key, value]).toEqual([key, expected.get(key)?.value])
			for (const [key, { expiresAtMs }] of expected) {
				// Where nothing is written any more, what has expired may be gone from the newest state.
				if (!found.has(key)) expect(expiresAtMs > 0 && expiresAtMs <= nowMs, `${key} at ${seq}`).toBe(true)
			}
			await snapshot.close()
			read++
		} catch (error) {
			if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
			expect(nowMs - atMs, 'expired within retention').toBeGreaterThanOrEqual(RETENTION_MS)
			expired++
		}
	}
	return { read, expired }
}

describe('the past', () => {
	test('at every cursor, position and time that is kept is exactly what was there, while all is merged and collected', async () => {
		const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
		const change = fc.record({
			key,
			value: fc.option(fc.string({ maxLength: 3 }), { nil: undefined, freq: 4 }),
			ttlMs: fc.option(fc.constantFrom(60_000, 1_000_000, 5_000_000), { nil: undefined, freq: 4 }),
		})
		const step = fc.oneof(
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
				const history = new History()
				const options = isInline ? { inlineMaxBytes: 1_048_576 } : {}
				let db = await maintained.open(options)
				await using reader = await maintained.openReader()
				for (const { kind, ...rest } of steps) {
					if (kind === 'commit' && 'changes' in rest) await commit(maintained, db, history, rest.changes)
					else if (kind === 'wait' && 'ms' in rest) await clock.advance(rest.ms)
					else if (kind === 'maintain') await maintained.mergeAndCollect()
					else if (kind === 'takeover') {
						const next = await maintained.open(options)
						await db.close()
						db = next
					}
				}
				await maintained.mergeAndCollect()
				const found = await judge(history, reader, clock.nowMs())
				totals = { read: totals.read + found.read, expired: totals.expired + found.expired }
				await judge(history, db, clock.nowMs())
				await db.close()
			}),
			{ numRuns: 40 },
		)
		// A control of the test: both outcomes came up.
		expect(totals.read).toBeGreaterThan(50)
		expect(totals.expired).toBeGreaterThan(5)
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
		const history = new History()
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
