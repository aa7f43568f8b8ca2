/** Opens what a scan merges: sorted runs of the memtables, and the tables of the manifest as few chains as possible. */
import type { TableSource } from '../cache/table-source.ts'
import type { Ending } from '../host/ending.ts'
import type { SortedEntries } from '../memtable/sorted-entries.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { ChainSource } from './chain-source.ts'
import { commonPrefixBytes } from './key-number.ts'
import type { KeyRange } from './key-range.ts'
import { MemtableSource } from './memtable-source.ts'
import type { ReadView } from './read-view.ts'
import { ScanMerge } from './scan-merge.ts'
import { boundsOf, type ScanSource } from './scan-source.ts'
import type { SearchPlan } from './search-plan.ts'
import { WINDOW_MAX_BYTES } from './table-reader.ts'

/** What all sources of one scan read ahead together, as stored: the windows of many sources are smaller. */
const READ_AHEAD_BYTES = 16 * 1024 * 1024

export interface OpenMergeOptions {
	readonly source: TableSource
	readonly pool: JobPool
	readonly plan: SearchPlan
	/** Its memtables are held by the caller. */
	readonly view: ReadView
	readonly range: KeyRange
	readonly nowMs: number
	/** Rows that are still wanted. */
	readonly remaining: () => number
	/** Ends what the merge reads. */
	readonly ending: Pick<Ending, 'signal'>
}

/** A merge over `view`: at once when there are no memtables, after sorting them otherwise. */
export function openMerge(options: OpenMergeOptions): ScanMerge | Promise<ScanMerge> {
	const { memtables } = options.view
	if (memtables.every(memtable => memtable.entryCount === 0)) return mergeOf(options, [])
	return Promise.all(memtables.map(memtable => memtable.sortedRuns(options.pool))).then(runs =>
		mergeOf(options, runs.flat()),
	)
}

function mergeOf(options: OpenMergeOptions, runs: readonly SortedEntries[]): ScanMerge {
	const { plan, view, range, nowMs, source, ending, remaining } = options
	const { reverse } = range
	const filled = runs.filter(run => run.count > 0)
	const chains = plan.chains()
	const bounds = boundsOf(range, commonBytes(plan, filled))
	const perSource = Math.floor(READ_AHEAD_BYTES / Math.max(1, chains.length))
	const windowMaxBytes = Math.min(WINDOW_MAX_BYTES, perSource)
	const context = { source, ending, reverse, windowMaxBytes, remaining }
	const sources: ScanSource[] = filled.map(run => new MemtableSource(run, bounds))
	for (const chain of chains) sources.push(new ChainSource(chain, bounds, context))
	return new ScanMerge(sources, { reverse, maxSeq: view.maxSeq, nowMs, remaining })
}

/** How many bytes all keys share at the front. */
function commonBytes(plan: SearchPlan, runs: readonly SortedEntries[]): number {
	let model = plan.count > 0 ? plan.prefix : undefined
	let length = model?.length ?? 0
	for (const run of runs) {
		for (const key of [run.keyAt(0), run.keyAt(run.count - 1)]) {
			if (model === undefined) {
				model = key
				length = key.length
			} else length = commonPrefixBytes(model, key, length)
		}
	}
	return length
}
