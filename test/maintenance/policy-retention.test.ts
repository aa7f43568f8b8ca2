/** What goes for its age, at the limit and one past it; and merges that somebody began. */
import { describe, expect, test } from 'vitest'
import type { RetentionSettings } from '../../src/maintenance/options.ts'
import { nextDueMs } from '../../src/maintenance/policy.ts'
import type { PendingMerge, TableRef } from '../../src/manifest/manifest.ts'
import { defaults, HOUR_MS, l0Of, MIB, manifestOf, NOW_MS, pick, table } from './policy-tables.ts'

describe('retention', () => {
	const age = (keepCount = 0): RetentionSettings => ({
		mode: 'age',
		retentionPeriodMs: 10 * HOUR_MS,
		bucketMs: HOUR_MS,
		keepCount,
	})
	const windows: RetentionSettings = { ...age(1), mode: 'time-window' }
	const old = (seq: number, ageMs: number, keys?: readonly [number, number]): TableRef =>
		table(seq, { maxWriteMs: NOW_MS - ageMs }, keys)

	test('by age a table stays at the period and goes one millisecond later', () => {
		const manifest = manifestOf([old(1, 10 * HOUR_MS)])
		expect(pick(manifest, {}, defaults(age()))).toBeUndefined()
		expect(nextDueMs(manifest, NOW_MS, defaults(age()))).toBe(NOW_MS + 1)
		expect(pick(manifest, {}, defaults(age()), NOW_MS + 1)).toMatchObject({ kind: 'drop', ids: ['t1'] })
	})

	test('by time window a segment stays until it ended longer ago than the period', () => {
		const startMs = Math.floor(NOW_MS / HOUR_MS) * HOUR_MS
		const first = table(1, { maxWriteMs: startMs })
		const last = table(2, { maxWriteMs: startMs + HOUR_MS - 1 }, [0, 9])
		const manifest = manifestOf([first, last, table(3, { maxWriteMs: startMs + 20 * HOUR_MS })])
		const dueMs = startMs + HOUR_MS + 10 * HOUR_MS + 1
		expect(nextDueMs(manifest, NOW_MS, defaults(windows))).toBe(dueMs)
		expect(pick(manifest, {}, defaults(windows), dueMs - 1)).toBeUndefined()
		expect(pick(manifest, {}, defaults(windows), dueMs)).toMatchObject({ kind: 'drop', ids: ['t1', 't2'] })
	})

	test('the newest are kept whatever their age', () => {
		const tables = [1, 2, 3, 4, 5].map(seq => old(seq, (100 - seq) * HOUR_MS))
		expect(pick(manifestOf(tables), {}, defaults(age(2)))).toMatchObject({ ids: ['t1', 't2', 't3'] })
		expect(pick(manifestOf(tables), {}, defaults(age(5)))).toBeUndefined()
		expect(pick(manifestOf(tables), {}, defaults(windows))).toMatchObject({ ids: ['t1', 't2', 't3', 't4'] })
		expect(pick(manifestOf(tables.slice(4)), {}, defaults(windows))).toBeUndefined()
	})

	test('what lies above something that stays is kept: nothing comes back', () => {
		const stays = old(1, HOUR_MS, [10, 19])
		const above = old(2, 20 * HOUR_MS, [0, 10])
		const beside = old(3, 20 * HOUR_MS, [20, 29])
		expect(pick(manifestOf([above, beside], [[stays]]), {}, defaults(age()))).toMatchObject({ ids: ['t3'] })
		const busy = new Set(['t1'])
		expect(pick(manifestOf([above], [[old(1, 30 * HOUR_MS, [10, 19])]]), { busy }, defaults(age()))).toBeUndefined()
	})

	test('merges keep to a bucket, and a bucket that is over becomes one run', () => {
		const l0 = [0, 0, 0, 1, 1, 1, 1, 1].map((hour, i) => table(100 + i, { maxWriteMs: NOW_MS + hour * HOUR_MS }))
		expect(pick(manifestOf(l0), {}, defaults(age()))).toMatchObject({ trigger: 'l0', ids: ['t102', 't101', 't100'] })
		const runs = [[old(3, 0)], [old(2, 0)], [old(1, HOUR_MS)]]
		expect(pick(manifestOf([], runs), {}, defaults(age()))).toBeUndefined()
		const overMs = nextDueMs(manifestOf([], runs), NOW_MS, defaults(age())) ?? 0
		expect(overMs).toBe((Math.floor(NOW_MS / HOUR_MS) + 1) * HOUR_MS)
		expect(pick(manifestOf([], runs), {}, defaults(age()), overMs)).toMatchObject({
			trigger: 'closed-bucket',
			ids: ['t3', 't2'],
		})
	})

	test('a clock in doubt drops nothing; without compaction all else is left alone', () => {
		const manifest = manifestOf([old(1, 20 * HOUR_MS), ...l0Of(20)])
		expect(pick(manifest, { isClockTrusted: false }, { ...defaults(age()), compaction: undefined })).toBeUndefined()
		expect(pick(manifest, {}, { ...defaults(age()), compaction: undefined })).toMatchObject({
			kind: 'drop',
			ids: ['t1'],
		})
		expect(pick(manifestOf(l0Of(20)), {}, { ...defaults(age()), compaction: undefined })).toBeUndefined()
	})
})

describe('merges that somebody began', () => {
	const pending = (...inputs: readonly string[]): PendingMerge => ({
		runId: 'm1-9',
		inputs,
		outputs: [],
		resumeKey: Uint8Array.of(1),
	})
	const l0 = l0Of(3)

	test('come first, with the inputs that they had', () => {
		const manifest = { ...manifestOf(l0Of(20)), pendingMerges: [pending('t1000', 't1001', 't1002')] }
		expect(pick(manifest)).toMatchObject({ trigger: 'resume', ids: ['t1002', 't1001', 't1000'] })
	})

	test('keep their inputs from others while they wait', () => {
		const large = table(1, { storedBytes: 9999 * MIB })
		const manifest = { ...manifestOf([], [[table(2)], [table(3)], [large]]), pendingMerges: [pending('t3', 't1')] }
		expect(pick(manifest, { isLargeAllowed: false })).toBeUndefined()
		expect(pick(manifest)).toMatchObject({ trigger: 'resume', ids: ['t3', 't1'] })
	})

	test('are given up when an input is damaged or they fit no more', () => {
		const manifest = { ...manifestOf(l0), pendingMerges: [pending('t1000', 't1001')] }
		expect(pick(manifest, { quarantined: new Set(['t1001']) })).toMatchObject({ kind: 'abandon' })
		expect(pick({ ...manifest, pendingMerges: [pending('t1001', 't1002')] })).toMatchObject({ kind: 'abandon' })
		expect(pick({ ...manifest, pendingMerges: [pending('t1000', 'gone')] })).toMatchObject({ kind: 'abandon' })
		expect(pick(manifest, { busy: new Set(['t1000', 't1001']) })).toBeUndefined()
	})
})
