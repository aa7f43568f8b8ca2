/** Single decisions of the policies, at their limits and one past them. */
import { describe, expect, test } from 'vitest'
import type { MaintenanceSettings, RetentionSettings } from '../../src/maintenance/options.ts'
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { choose, nextDueMs } from '../../src/maintenance/policy.ts'
import { EXPIRY_MARGIN_MS, type PolicyContext } from '../../src/maintenance/policy-scene.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

const MIB = 1_048_576
const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000

function defaults(retention?: RetentionSettings): MaintenanceSettings {
	const settings = maintenanceSettings({})
	if (settings === undefined) throw new Error('maintenance is on by default')
	return { ...settings, retention }
}

/** Table `seq` of a database: it has this sequence number alone, and all keys unless told otherwise. */
function table(seq: number, meta: Partial<SstMeta> = {}, keys: readonly [number, number] = [0, 255]): TableRef {
	const plain = tableOf(`t${seq}`, seq, seq)
	const own = {
		storedBytes: 8 * MIB,
		entryCount: 100_000,
		tombstoneCount: 0,
		maxExpiresAtMs: 0,
		minWriteMs: NOW_MS,
		maxWriteMs: NOW_MS,
		smallestKey: Uint8Array.of(keys[0]),
		largestKey: Uint8Array.of(keys[1]),
	}
	return { ...plain, meta: { ...plain.meta, ...own, ...meta } }
}

/** `runs` newest first. Sequence numbers are the caller's business. */
function manifestOf(l0: readonly TableRef[], runs: readonly (readonly TableRef[])[] = []): Manifest {
	return { ...EMPTY_MANIFEST, l0, runs: runs.map((tables, i) => ({ id: `run${i}`, tables })) }
}

function l0Of(count: number, meta: Partial<SstMeta> = {}): TableRef[] {
	return Array.from({ length: count }, (_, i) => table(1000 + i, meta))
}

function pick(
	manifest: Manifest,
	context: Partial<PolicyContext> = {},
	settings = defaults(),
	nowMs = NOW_MS,
): unknown {
	const choice = choose(manifest, nowMs, settings, { busy: new Set(), quarantined: new Set(), ...context })
	if (choice === undefined) return undefined
	const tables = choice.kind === 'merge' ? choice.inputs : choice.kind === 'abandon' ? [] : choice.tables
	const runId = 'runId' in choice ? choice.runId : undefined
	const trigger = choice.kind === 'merge' ? choice.trigger : undefined
	return { kind: choice.kind, trigger, runId, ids: tables.map(({ id }) => id) }
}

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

	test('above something older it becomes tombstones', () => {
		const old = table(1, { storedBytes: 900 * MIB })
		const manifest = manifestOf([], [[table(2, { maxExpiresAtMs: 1 })], [old]])
		expect(pick(manifest)).toEqual({ kind: 'merge', trigger: 'expired', runId: 'run0', ids: ['t2'] })
		expect(pick(manifest, { isClockTrusted: false })).toBeUndefined()
	})
})

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
	const pending = (...inputs: readonly string[]) => ({
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
