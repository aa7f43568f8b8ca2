/** What a database and a reader tell alike of reads. */
import type { CacheStats } from '../cache/byte-cache.ts'
import type { DiskCacheStats } from '../cache/disk-cache.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { OperationStats } from '../object-store/operation-counts.ts'
import type { OpenSnapshots } from './open-snapshots.ts'
import { type OperationKind, statsOfOperations } from './operations.ts'
import type { ReadCore } from './read-core.ts'

export interface ReadStats {
	readonly blockCache: CacheStats
	readonly tableCache: CacheStats
	/** Undefined without `cacheDir`. */
	readonly diskCache: DiskCacheStats | undefined
	/** What reads came to so far, by kind: also those of snapshots. What follows the log for all of them is not in it. */
	readonly operations: Readonly<Record<OperationKind, OperationStats>>
	readonly openIterators: number
	readonly openSnapshots: number
}

export function readStats<Key, Value>(
	core: ReadCore<Key, Value>,
	source: TableSource,
	snapshots: OpenSnapshots<Key, Value>,
): ReadStats {
	const { blocks, tables, disk } = source.stats()
	return {
		blockCache: blocks,
		tableCache: tables,
		diskCache: disk,
		operations: statsOfOperations(core.operations),
		openIterators: core.openScans,
		openSnapshots: snapshots.size,
	}
}
