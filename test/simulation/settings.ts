/** What differs between histories: drawn from the seed, so that one number names a history. */

import type { Random } from '../../src/host/random.ts'
import type { AgeRetention, CompactionOptions } from '../../src/index.ts'

export interface SimulationSettings {
	readonly writers: number
	readonly readers: number
	readonly tails: number
	readonly maintainers: number
	readonly operations: number
	readonly keys: number
	/** Share of the requests that meet a fault. */
	readonly faultRate: number
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	readonly retention: AgeRetention | undefined
	readonly compaction: CompactionOptions
	/** Whether writers maintain the database that they write. */
	readonly isMaintained: boolean
	readonly inlineMaxBytes: number
	readonly codec: 'none' | 'lz4'
	/** 0: every read asks the store. */
	readonly cacheBytes: number
	readonly flushIntervalMs: number
	readonly maxCommitsInFlight: number
	/** Processes draw from these how far their wall clocks are ahead. */
	readonly skewsMs: readonly number[]
	/** Share of the values that are stored apart. */
	readonly largeShare: number
	/** Share of the puts that expire. */
	readonly ttlShare: number
	/** Whether everything is brought to rest at the end, and nothing may be left over. */
	readonly comesToRest: boolean
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const OPERATIONS_MIN = 10
const OPERATIONS_MORE = 21
/** Bringing everything to rest costs as much as a history: one in so many. */
const REST_ONE_IN = 4

export function drawSettings(random: Random): SimulationSettings {
	const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random.next() * values.length)] as Value
	const targetTableBytes = pick([1024, 1024, 2048])
	return {
		writers: pick([1, 1, 2]),
		readers: pick([0, 1, 1, 2]),
		tails: pick([0, 1, 1]),
		maintainers: pick([0, 0, 1, 2]),
		operations: OPERATIONS_MIN + Math.floor(random.next() * OPERATIONS_MORE),
		keys: pick([2, 3, 6]),
		faultRate: pick([0, 0.01, 0.03, 0.1]),
		gracePeriodMs: pick([0, 0, 2 * MINUTE_MS, 15 * MINUTE_MS, 3 * HOUR_MS]),
		changeRetentionMs: pick([0, 0, 10 * MINUTE_MS, HOUR_MS]),
		retention:
			random.next() < 0.15 ? { mode: 'age', retentionPeriodMs: HOUR_MS, retentionCount: pick([0, 0, 2]) } : undefined,
		compaction: {
			l0Tables: pick([2, 2, 3]),
			runs: pick([2, 3]),
			targetTableBytes,
			mergeMemoryBytes: 8 * targetTableBytes,
			concurrentMerges: pick([2, 3]),
		},
		isMaintained: random.next() < 0.7,
		inlineMaxBytes: pick([0, 1_048_576, 1_048_576]),
		codec: pick(['none', 'none', 'lz4']),
		cacheBytes: pick([0, 65_536]),
		flushIntervalMs: pick([0, 1000]),
		maxCommitsInFlight: pick([1, 2, 8]),
		skewsMs: pick([[0], [0], [4 * MINUTE_MS, -4 * MINUTE_MS, 0], [3 * HOUR_MS, 0], [-3 * HOUR_MS, 0]]),
		largeShare: pick([0, 0, 0.2]),
		ttlShare: pick([0, 0.3, 0.6]),
		comesToRest: random.next() < 1 / REST_ONE_IN,
	}
}
