/** Options of maintenance: what they mean, their defaults and bounds, and what contradicts what. */
import { choiceOption, describe, integerOption, refuseUnknownOptions } from '../arguments.ts'

export interface CompactionOptions {
	/**
	 * L0 is merged when it holds as many large tables as this, or as much in smaller ones: a table counts by its bytes, 1 from
	 * 1/32 of `targetTableBytes` on, at least 1/32. So 8 tables of 1 MiB, or 256 tiny ones, by default. Default 8; 2 to 64.
	 */
	readonly l0Tables?: number | undefined
	/** As many runs of like size are merged into one. More: fewer rewrites, more runs to read. Default 4; 2 to 16. */
	readonly runs?: number | undefined
	/** Tables made by a merge are about this large, as stored. Default 32 MiB; 1 MiB to 512 MiB. */
	readonly targetTableBytes?: number | undefined
	/** Memory for all merges at once. Default 256 MiB, and at least 4 × `targetTableBytes`. */
	readonly mergeMemoryBytes?: number | undefined
	/** Merges at once; one place is kept for small ones. Default 2; 2 to 16. */
	readonly concurrentMerges?: number | undefined
}

/** First in, first out: whole tables go when their newest entry is older than the period. */
export interface AgeRetention {
	readonly mode: 'age'
	/** How long data is kept at least. 1 ms to 100 years. */
	readonly retentionPeriodMs: number
	/** So many tables are kept, the newest, whatever their age. Default 10; 0: age alone decides. */
	readonly retentionCount?: number | undefined
}

/** Whole segments of time go when they ended longer ago than the period. */
export interface TimeWindowRetention {
	readonly mode: 'time-window'
	/** How long data is kept at least. 1 ms to 100 years. */
	readonly retentionPeriodMs: number
	/** Segments begin at whole multiples of this since the epoch. Default an hour, or the period if that is shorter. */
	readonly segmentDurationMs?: number | undefined
	/** A tenth of it, rounded down and at least 1, is how many segments are kept, the newest, whatever their age. Default 10. */
	readonly retentionCount?: number | undefined
}

export interface MaintenanceOptions {
	/** Whether this process maintains the database when nobody else does. Default true. */
	readonly maintenance?: boolean | undefined
	/** `false`: nothing is merged; needs `retention`, which then is all that shrinks L0. */
	readonly compaction?: false | CompactionOptions | undefined
	/** Default: everything is kept. */
	readonly retention?: AgeRetention | TimeWindowRetention | undefined
	/** For how long commits stay readable for tails that lag and for the past. Default an hour; 0 to 100 years. */
	readonly changeRetentionMs?: number | undefined
	/** What was removed stays on the store this long for those who still read it. Default 15 minutes; 0 to 100 years. */
	readonly gracePeriodMs?: number | undefined
}

export interface CompactionSettings {
	readonly l0Tables: number
	readonly runs: number
	readonly targetTableBytes: number
	readonly mergeMemoryBytes: number
	readonly concurrentMerges: number
}

export interface RetentionSettings {
	readonly mode: 'age' | 'time-window'
	readonly retentionPeriodMs: number
	/** Merges keep to buckets of this: the segment, or a tenth of the period. */
	readonly bucketMs: number
	/** Newest tables (age) or segments (time window) that are kept in any case. */
	readonly keepCount: number
}

export interface MaintenanceSettings {
	/** `undefined`: nothing is merged. */
	readonly compaction: CompactionSettings | undefined
	readonly retention: RetentionSettings | undefined
	readonly changeRetentionMs: number
	readonly gracePeriodMs: number
}

export const MAINTENANCE_OPTION_NAMES: readonly (keyof MaintenanceOptions)[] = [
	'maintenance',
	'compaction',
	'retention',
	'changeRetentionMs',
	'gracePeriodMs',
]

const MIB = 1_048_576
const HOUR_MS = 3_600_000
/** 100 years of 365.25 days. */
const SPAN_MAX_MS = 100 * 365.25 * 24 * HOUR_MS
/** A merge holds input, output and raw bytes of one range beside the next range's input. */
const TABLES_IN_MEMORY_MIN = 4
/** Parts of the period by which merges keep old and new apart in mode `age`: what falls out is at most a tenth too old. */
const AGE_BUCKETS = 10
const TABLES_PER_KEPT_SEGMENT = 10

/**
 * @throws TypeError, RangeError, naming the option. `undefined`: this process maintains nothing.
 */
export function maintenanceSettings(options: MaintenanceOptions): MaintenanceSettings | undefined {
	const { maintenance = true } = options
	if (typeof maintenance !== 'boolean') {
		throw new TypeError(`Expected \`maintenance\` to be a boolean, got ${describe(maintenance)}`)
	}
	const compaction = compactionSettings(options.compaction)
	const retention = retentionSettings(options.retention)
	if (compaction === undefined && retention === undefined) {
		throw new TypeError('Expected `retention` to be given with `compaction: false`, which leaves nothing else to do')
	}
	const settings = {
		compaction,
		retention,
		changeRetentionMs: spanOption('changeRetentionMs', options.changeRetentionMs, HOUR_MS, 0),
		gracePeriodMs: spanOption('gracePeriodMs', options.gracePeriodMs, HOUR_MS / 4, 0),
	}
	if (maintenance) return settings
	const useless = MAINTENANCE_OPTION_NAMES.find(name => name !== 'maintenance' && options[name] !== undefined)
	if (useless === undefined) return undefined
	throw new TypeError(`Expected \`${useless}\` not to be given with \`maintenance: false\``)
}

function compactionSettings(options: unknown): CompactionSettings | undefined {
	if (options === false) return undefined
	const names: readonly (keyof CompactionOptions)[] = [
		'l0Tables',
		'runs',
		'targetTableBytes',
		'mergeMemoryBytes',
		'concurrentMerges',
	]
	const given = record('compaction', options ?? {}, names)
	const number = (name: keyof CompactionOptions, fallback: number, min: number, max: number): number =>
		integerOption(`compaction.${name}`, given[name], fallback, min, max)
	const targetTableBytes = number('targetTableBytes', 32 * MIB, MIB, 512 * MIB)
	const memoryMinBytes = TABLES_IN_MEMORY_MIN * targetTableBytes
	return {
		l0Tables: number('l0Tables', 8, 2, 64),
		runs: number('runs', 4, 2, 16),
		targetTableBytes,
		mergeMemoryBytes: number('mergeMemoryBytes', Math.max(256 * MIB, memoryMinBytes), memoryMinBytes, 65_536 * MIB),
		concurrentMerges: number('concurrentMerges', 2, 2, 16),
	}
}

function retentionSettings(options: unknown): RetentionSettings | undefined {
	if (options === undefined) return undefined
	const common = ['mode', 'retentionPeriodMs', 'retentionCount']
	const given = record('retention', options, [...common, 'segmentDurationMs'])
	if (given['mode'] === undefined) throw new TypeError("Expected `retention.mode` to be 'age' or 'time-window'")
	const mode = choiceOption('retention.mode', given['mode'], 'age', ['age', 'time-window'])
	if (given['retentionPeriodMs'] === undefined) {
		throw new TypeError('Expected `retention.retentionPeriodMs` to be a number, got undefined')
	}
	const retentionPeriodMs = spanOption('retention.retentionPeriodMs', given['retentionPeriodMs'], 0, 1)
	const retentionCount = integerOption('retention.retentionCount', given['retentionCount'], 10, 0, 1_000_000_000)
	if (mode === 'age') {
		record('retention', options, common)
		const bucketMs = Math.ceil(retentionPeriodMs / AGE_BUCKETS)
		return { mode, retentionPeriodMs, bucketMs, keepCount: retentionCount }
	}
	const fallbackMs = Math.min(HOUR_MS, retentionPeriodMs)
	const bucketMs = integerOption(
		'retention.segmentDurationMs',
		given['segmentDurationMs'],
		fallbackMs,
		1,
		// A longer segment than the period would be dropped a whole segment late: two options that contradict each other.
		retentionPeriodMs,
	)
	const keepCount = Math.max(1, Math.floor(retentionCount / TABLES_PER_KEPT_SEGMENT))
	return { mode, retentionPeriodMs, bucketMs, keepCount }
}

function spanOption(name: string, value: unknown, fallback: number, min: number): number {
	return integerOption(name, value, fallback, min, SPAN_MAX_MS)
}

/** `value` as something whose properties may be looked at, all of them among `names`. */
function record(where: string, value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
	refuseUnknownOptions(where, value, names)
	return Object.fromEntries(Object.entries(Object(value)))
}
