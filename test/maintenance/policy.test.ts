/** Single decisions of the policies, at their limits and one past them. */
import { describe, expect, test } from 'vitest'
import { nextDueMs } from '../../src/maintenance/policy.ts'
import { EXPIRY_MARGIN_MS } from '../../src/manifest/expiry-margin.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { defaults, l0Of, MIB, manifestOf, NOW_MS, pick, table } from './policy-tables.ts'

describe('L0', () => {
	test('8 large tables are merged, 7 are not', () => {
		expect(pick(manifestOf(l0Of(7)))).toBeUndefined()
		expect(pick(manifestOf(l0Of(8)))).toMatchObject({
			kind: 'merge',
			trigger: 'l0',
			ids: expect.objectContaining({ length: 8 }),
		})
	})

	test('tiny ones wait until there are 256, and then go all at once', () => {
		expect(pick(manifestOf(l0Of(255, { storedBytes: 300 })))).toBeUndefined()
		expect(pick(manifestOf(l0Of(256, { storedBytes: 300 })))).toMatchObject({
			trigger: 'l0',
			ids: expect.objectContaining({ length: 256 }),
		})
	})

	test('one merge is bounded: 256 MiB, 1,024 tables', () => {
		expect(pick(manifestOf(l0Of(40)))).toMatchObject({ ids: expect.objectContaining({ length: 32 }) })
		expect(pick(manifestOf(l0Of(2000, { storedBytes: 300 })))).toMatchObject({
			ids: expect.objectContaining({ length: 1024 }),
		})
	})

	test('a small run goes along, one that is large does not', () => {
		const small = [table(1, { storedBytes: MIB })]
		const large = [table(2, { storedBytes: 17 * MIB })]
		const fitting = [table(2, { storedBytes: 16 * MIB })]
		expect(pick(manifestOf(l0Of(8, { storedBytes: MIB }), [small]))).toMatchObject({
			ids: expect.arrayContaining(['t1']),
		})
		expect(pick(manifestOf(l0Of(8), [fitting]))).toMatchObject({ ids: expect.arrayContaining(['t2']) })
		expect(pick(manifestOf(l0Of(8), [large]))).toMatchObject({ ids: expect.not.arrayContaining(['t2']) })
	})

	test('large tables that overlap nothing move by reference into the run beside them', () => {
		const l0 = Array.from({ length: 8 }, (_, i) => table(10 + i, {}, [100 + i, 100 + i]))
		expect(pick(manifestOf(l0, [[table(1, {}, [0, 99])]]))).toMatchObject({ kind: 'move', runId: 'run0' })
		expect(pick(manifestOf(l0, [[table(1, {}, [0, 100])]]))).toMatchObject({ kind: 'move', runId: undefined })
	})

	test('small ones that append are merged into the run beside them', () => {
		const l0 = Array.from({ length: 8 }, (_, i) => table(10 + i, { storedBytes: 2 * MIB }, [100 + i, 100 + i]))
		const old = [table(1, { storedBytes: 900 * MIB }, [0, 99])]
		expect(pick(manifestOf(l0, [old]))).toMatchObject({ kind: 'merge', trigger: 'l0', runId: 'run0' })
	})

	test('a damaged table makes way when it is the oldest, and ends the merge before it otherwise', () => {
		const l0 = l0Of(20)
		expect(pick(manifestOf(l0), { quarantined: new Set(['t1000']) })).toEqual({
			kind: 'move',
			trigger: undefined,
			runId: undefined,
			ids: ['t1000'],
		})
		expect(pick(manifestOf(l0), { quarantined: new Set(['t1009']) })).toMatchObject({
			kind: 'merge',
			ids: l0
				.slice(0, 9)
				.map(({ id }) => id)
				.reverse(),
		})
	})

	test('nothing is taken out of order while the oldest is busy', () => {
		expect(pick(manifestOf(l0Of(20)), { busy: new Set(['t1000']) })).toBeUndefined()
	})
})

describe('runs', () => {
	/** Bytes of runs, newest first; each one table that overlaps all others. */
	const runsOf = (...mib: readonly number[]): Manifest =>
		manifestOf(
			[],
			mib.map((size, i) => [table(100 - i, { storedBytes: size * MIB })]),
		)

	test('4 of like size are merged, 3 are not', () => {
		expect(pick(runsOf(64, 64, 64, 9999))).toBeUndefined()
		expect(pick(runsOf(64, 64, 64, 64, 9999))).toMatchObject({
			trigger: 'similar-runs',
			ids: ['t100', 't99', 't98', 't97'],
		})
		expect(pick(runsOf(1, 64, 64, 64, 64, 9999))).toMatchObject({ ids: ['t99', 't98', 't97', 't96'] })
	})

	test('newer ones that hold half of the oldest are merged into it', () => {
		expect(pick(runsOf(99, 200))).toBeUndefined()
		expect(pick(runsOf(100, 200))).toMatchObject({ trigger: 'space', ids: ['t100', 't99'] })
	})

	test('a tombstone counts as what it deletes', () => {
		const old = table(1, { storedBytes: 1000 * MIB, entryCount: 1_000_000 })
		const deletions = (count: number): TableRef =>
			table(2, { storedBytes: MIB, entryCount: count, tombstoneCount: count })
		expect(pick(manifestOf([], [[deletions(490_000)], [old]]))).toBeUndefined()
		expect(pick(manifestOf([], [[deletions(500_000)], [old]]))).toMatchObject({ trigger: 'space' })
	})

	test('only the part that overlaps counts', () => {
		const old = [table(1, { storedBytes: 500 * MIB }, [0, 9]), table(2, { storedBytes: 20 * MIB }, [10, 19])]
		expect(pick(manifestOf([], [[table(3, { storedBytes: 9 * MIB }, [12, 13])], old]))).toBeUndefined()
		expect(pick(manifestOf([], [[table(3, { storedBytes: 10 * MIB }, [12, 13])], old]))).toMatchObject({
			trigger: 'space',
		})
	})

	test('neighbours that overlap nowhere become one by reference', () => {
		const old = [table(1, {}, [0, 9]), table(2, {}, [20, 29])]
		expect(pick(manifestOf([], [[table(3, {}, [10, 19])], old]))).toMatchObject({
			kind: 'move',
			runId: 'run1',
			ids: ['t3'],
		})
		expect(pick(manifestOf([], [[table(3, { storedBytes: MIB }, [9, 9])], old]))).toBeUndefined()
	})

	test('a large merge makes way for a small one when no more large ones may run', () => {
		const manifest = runsOf(64, 64, 64, 64, 400, 400, 400, 400, 99_999)
		expect(pick(runsOf(400, 400, 400, 400, 99_999), { isLargeAllowed: false })).toBeUndefined()
		expect(pick(manifest, { isLargeAllowed: false })).toMatchObject({ ids: ['t100', 't99', 't98', 't97'] })
		expect(pick(manifest, { busy: new Set(['t96', 't95', 't94', 't93']) })).toMatchObject({
			ids: ['t100', 't99', 't98', 't97'],
		})
	})

	test('a damaged table sets its run aside, and both sides go on', () => {
		const manifest = runsOf(64, 64, 64, 64, 64, 64, 64, 64, 64, 9999)
		expect(pick(manifest, { quarantined: new Set(['t98']) })).toMatchObject({
			ids: ['t97', 't96', 't95', 't94', 't93', 't92'],
		})
	})

	test('more than 24 are too many: the cheapest neighbours are merged', () => {
		const growing = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => 1.3 ** i)
		expect(pick(runsOf(...growing(24), 99_999))).toMatchObject({ trigger: 'too-many-runs', ids: ['t100', 't99'] })
		expect(pick(runsOf(...growing(23), 99_999))).toBeUndefined()
	})
})

describe('tables of a run', () => {
	test('tombstones that hide nothing are dropped from a tenth on', () => {
		const heavy = (tombstoneCount: number): Manifest =>
			manifestOf([], [[table(1, {}, [0, 9]), table(2, { entryCount: 1000, tombstoneCount }, [10, 19])]])
		expect(pick(heavy(99))).toBeUndefined()
		expect(pick(heavy(100))).toEqual({ kind: 'merge', trigger: 'tombstones', runId: 'run0', ids: ['t2'] })
	})

	test('8 small neighbours become one, 7 do not, and a large one parts them', () => {
		const run = (count: number, largeAt = -1): Manifest =>
			manifestOf(
				[],
				[Array.from({ length: count }, (_, i) => table(i + 1, { storedBytes: i === largeAt ? 8 * MIB : MIB }, [i, i]))],
			)
		expect(pick(run(7))).toBeUndefined()
		expect(pick(run(8))).toMatchObject({
			trigger: 'small-tables',
			runId: 'run0',
			ids: expect.objectContaining({ length: 8 }),
		})
		expect(pick(run(15, 7))).toBeUndefined()
	})

	test('what has expired whole goes without a rewrite, 5 minutes after it did', () => {
		const expired = (agoMs: number): Manifest => manifestOf([], [[table(1, { maxExpiresAtMs: NOW_MS - agoMs })]])
		expect(pick(expired(EXPIRY_MARGIN_MS - 1))).toBeUndefined()
		expect(nextDueMs(expired(EXPIRY_MARGIN_MS - 1), NOW_MS, defaults())).toBe(NOW_MS + 1)
		expect(pick(expired(EXPIRY_MARGIN_MS))).toMatchObject({ kind: 'drop', ids: ['t1'] })
		expect(pick(expired(EXPIRY_MARGIN_MS), { isClockTrusted: false })).toBeUndefined()
		expect(nextDueMs(expired(EXPIRY_MARGIN_MS), NOW_MS, defaults())).toBeUndefined()
	})

	test.each([{ maxExpiresAtMs: 1 }, { halfExpiresAtMs: 1 }])('above something older %j becomes tombstones', meta => {
		const old = table(1, { storedBytes: 900 * MIB })
		const manifest = manifestOf([], [[table(2, meta)], [old]])
		expect(pick(manifest)).toEqual({ kind: 'merge', trigger: 'expired', runId: 'run0', ids: ['t2'] })
		expect(pick(manifest, { isClockTrusted: false })).toBeUndefined()
	})

	test('a table is rewritten 5 minutes after half of it has expired, unless it is small', () => {
		const half = (agoMs: number, storedBytes?: number): Manifest =>
			manifestOf([], [[table(1, { halfExpiresAtMs: NOW_MS - agoMs, ...(storedBytes ? { storedBytes } : {}) })]])
		expect(pick(half(EXPIRY_MARGIN_MS - 1))).toBeUndefined()
		expect(nextDueMs(half(EXPIRY_MARGIN_MS - 1), NOW_MS, defaults())).toBe(NOW_MS + 1)
		expect(pick(half(EXPIRY_MARGIN_MS))).toEqual({ kind: 'merge', trigger: 'expired', runId: 'run0', ids: ['t1'] })
		expect(pick(half(EXPIRY_MARGIN_MS, MIB - 1))).toBeUndefined()
		expect(pick(half(EXPIRY_MARGIN_MS, MIB))).toMatchObject({ trigger: 'expired' })
	})
})
