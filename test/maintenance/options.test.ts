/** Options of maintenance: defaults, bounds, contradictions. */
import { describe, expect, test } from 'vitest'
import { type MaintenanceOptions, maintenanceSettings } from '../../src/maintenance/options.ts'

const MIB = 1_048_576
const DAY_MS = 86_400_000

function settings(options: unknown): unknown {
	return maintenanceSettings(options as MaintenanceOptions)
}

test('all defaults', () => {
	expect(settings({})).toEqual({
		compaction: {
			l0Tables: 8,
			runs: 4,
			targetTableBytes: 32 * MIB,
			mergeMemoryBytes: 256 * MIB,
			concurrentMerges: 2,
		},
		retention: undefined,
		changeRetentionMs: 3_600_000,
		gracePeriodMs: 900_000,
	})
	expect(settings({ maintenance: false })).toBeUndefined()
	expect(settings({ compaction: { targetTableBytes: 128 * MIB } })).toMatchObject({
		compaction: { mergeMemoryBytes: 512 * MIB },
	})
})

test('by age: buckets of a tenth of the period, ten tables are kept', () => {
	const retention = { mode: 'age', retentionPeriodMs: 7 * DAY_MS }
	expect(settings({ retention })).toMatchObject({
		retention: { mode: 'age', retentionPeriodMs: 7 * DAY_MS, bucketMs: (7 * DAY_MS) / 10, keepCount: 10 },
	})
	expect(settings({ retention: { ...retention, retentionCount: 0 } })).toMatchObject({ retention: { keepCount: 0 } })
	expect(settings({ compaction: false, retention })).toMatchObject({ compaction: undefined })
})

test.each([
	[undefined, 1],
	[0, 1],
	[9, 1],
	[10, 1],
	[19, 1],
	[20, 2],
	[35, 3],
])('by time window: retentionCount %s keeps %i segments', (retentionCount, keepCount) => {
	const retention = { mode: 'time-window', retentionPeriodMs: DAY_MS, retentionCount }
	expect(settings({ retention })).toMatchObject({ retention: { keepCount, bucketMs: 3_600_000 } })
})

test('a segment is as long as the period at most, and is by default where the period is short', () => {
	const of = (retentionPeriodMs: number, segmentDurationMs?: number): unknown =>
		settings({ retention: { mode: 'time-window', retentionPeriodMs, segmentDurationMs } })
	expect(of(1000)).toMatchObject({ retention: { bucketMs: 1000 } })
	expect(of(1000, 1000)).toMatchObject({ retention: { bucketMs: 1000 } })
	expect(() => of(1000, 1001)).toThrow(expect.objectContaining({ name: 'RangeError' }))
	expect(() => of(1000, 1001)).toThrow('retention.segmentDurationMs')
})

describe('refused, naming the option', () => {
	const age = { mode: 'age', retentionPeriodMs: 1000 }
	test.each([
		['RangeError', 'compaction.l0Tables', { compaction: { l0Tables: 1 } }],
		['RangeError', 'compaction.l0Tables', { compaction: { l0Tables: 65 } }],
		['RangeError', 'compaction.runs', { compaction: { runs: 1 } }],
		['RangeError', 'compaction.targetTableBytes', { compaction: { targetTableBytes: MIB - 1 } }],
		['RangeError', 'compaction.mergeMemoryBytes', { compaction: { mergeMemoryBytes: 128 * MIB - 1 } }],
		['RangeError', 'compaction.concurrentMerges', { compaction: { concurrentMerges: 1 } }],
		['TypeError', 'compaction.runs', { compaction: { runs: '4' } }],
		['TypeError', 'fanIn', { compaction: { fanIn: 4 } }],
		['TypeError', 'compaction', { compaction: true }],
		['TypeError', 'retention', { compaction: false }],
		['TypeError', 'retention', { retention: null }],
		['TypeError', 'retention.mode', { retention: { retentionPeriodMs: 1 } }],
		['RangeError', 'retention.mode', { retention: { mode: 'fifo', retentionPeriodMs: 1 } }],
		['TypeError', 'retention.retentionPeriodMs', { retention: { mode: 'age' } }],
		['RangeError', 'retention.retentionPeriodMs', { retention: { mode: 'age', retentionPeriodMs: 0 } }],
		['RangeError', 'retention.retentionPeriodMs', { retention: { mode: 'age', retentionPeriodMs: -1 } }],
		['RangeError', 'retention.retentionCount', { retention: { ...age, retentionCount: 1.5 } }],
		['RangeError', 'retention.retentionCount', { retention: { ...age, retentionCount: -1 } }],
		['TypeError', 'retention.retentionCount', { retention: { ...age, retentionCount: '10' } }],
		['TypeError', 'segmentDurationMs', { retention: { ...age, segmentDurationMs: 100 } }],
		['RangeError', 'changeRetentionMs', { changeRetentionMs: -1 }],
		['RangeError', 'gracePeriodMs', { gracePeriodMs: -1 }],
		['TypeError', 'maintenance', { maintenance: 'yes' }],
		['TypeError', 'compaction', { maintenance: false, compaction: {} }],
		['TypeError', 'retention', { maintenance: false, retention: age }],
		['TypeError', 'gracePeriodMs', { maintenance: false, gracePeriodMs: 0 }],
	])('%s of %s: %j', (name, option, options) => {
		expect(() => settings(options)).toThrow(expect.objectContaining({ name }))
		expect(() => settings(options)).toThrow(option)
	})
})
