/** As every process of the simulation that writes opens the database. */

import type { Database } from '../../src/index.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Stage } from './stage.ts'

/** Values of so many bytes are stored apart. */
export const BLOB_BYTES = 1024
const MEMTABLE_BYTES = 65_536
/** The least that there may be. */
export const WRITE_BUFFER_BYTES: number = 8 * MEMTABLE_BYTES
/** The least that there may be. */
const CACHE_DIR_BYTES = 1_048_576
/** Tables that nobody has merged, as much as a few large ones: writers slow down, and wait. */
const PRESSURE = { l0SlowdownTables: 2, l0StopTables: 4 } as const

export async function openSimulatedDatabase(
	{ engine, settings }: Pick<Stage, 'engine' | 'settings'>,
	{ store, host, cacheDir }: Pick<SimulatedProcess, 'store' | 'host' | 'cacheDir'>,
): Promise<Database> {
	const { compaction, retention, gracePeriodMs, changeRetentionMs } = settings
	return await engine.open(store, {
		host,
		pool: engine.createInlinePool(host),
		codec: settings.codec,
		inlineMaxBytes: settings.inlineMaxBytes,
		blockCacheBytes: settings.cacheBytes,
		tableCacheBytes: settings.cacheBytes,
		blobThresholdBytes: BLOB_BYTES,
		memtableMaxBytes: MEMTABLE_BYTES,
		flushIntervalMs: settings.flushIntervalMs,
		maxCommitsInFlight: settings.maxCommitsInFlight,
		writeBufferMaxBytes: WRITE_BUFFER_BYTES,
		cacheDir,
		cacheDirMaxBytes: CACHE_DIR_BYTES,
		...(settings.isUnderPressure && settings.isMaintained ? PRESSURE : {}),
		...(settings.isMaintained ? { compaction, retention, gracePeriodMs, changeRetentionMs } : { maintenance: false }),
	})
}
