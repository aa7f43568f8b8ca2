/** What differs between histories: drawn from the seed, so that one number names a history. */

import type { Random } from '../../src/host/random.ts'
import type { MaintenanceSettings } from '../../src/maintenance/options.ts'

export interface HistorySettings {
	readonly maintenance: MaintenanceSettings
	/** Of the writers: tables up to this size ride in their commit. */
	readonly inlineMaxBytes: number
	readonly codec: 'none' | 'lz4'
	/** 0: every read asks the store. */
	readonly cacheBytes: number
	/** How far the wall clocks of maintainers are ahead. */
	readonly skewsMs: readonly number[]
	readonly commands: number
	/** Keys: few, so that most writes overwrite; or more, so that runs have several tables. */
	readonly keys: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const COMMANDS_MIN = 30
const COMMANDS_MORE = 60

export function historySettings(random: Random): HistorySettings {
	const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random.next() * values.length)] as Value
	const retention = pick([undefined, undefined, undefined, 'age', 'time-window'] as const)
	const targetTableBytes = pick([1024, 2048, 8192])
	const compaction = {
		l0Tables: pick([2, 3, 4]),
		runs: pick([2, 3, 4]),
		targetTableBytes,
		mergeMemoryBytes: pick([4, 64]) * targetTableBytes,
		concurrentMerges: pick([2, 3]),
	}
	const retentionPeriodMs = pick([HOUR_MS, 6 * HOUR_MS])
	return {
		maintenance: {
			compaction: retention !== undefined && random.next() < 0.2 ? undefined : compaction,
			retention:
				retention === undefined
					? undefined
					: {
							mode: retention,
							retentionPeriodMs,
							bucketMs: retentionPeriodMs / 10,
							keepCount: retention === 'age' ? pick([0, 0, 2]) : 1,
						},
			gracePeriodMs: pick([0, 0, 2 * MINUTE_MS, 30 * MINUTE_MS]),
			changeRetentionMs: pick([0, 10 * MINUTE_MS, HOUR_MS]),
		},
		inlineMaxBytes: pick([0, 16_384]),
		codec: pick(['none', 'lz4']),
		cacheBytes: pick([0, 1_048_576]),
		skewsMs: pick([
			[0, 0],
			[0, 0],
			[4 * MINUTE_MS, -4 * MINUTE_MS],
			[0, 3 * HOUR_MS],
		]),
		commands: COMMANDS_MIN + Math.floor(random.next() * COMMANDS_MORE),
		keys: pick([6, 24, 60]),
	}
}
