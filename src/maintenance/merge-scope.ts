/** What lies outside a merge and decides what may be dropped in it. */
import { compareBytes } from '../bytes/compare.ts'
import { isIsleError } from '../errors.ts'
import type { Manifest, TableRef } from '../manifest/manifest.ts'
import { TableIndex } from '../manifest/table-index.ts'
import { type Chain, firstAtOrBehind, type KeyRange } from './merge-ranges.ts'
import { keyBehind, overlaps } from './merge-segments.ts'
import type { MergeTask } from './merge-task.ts'

/** Below this part of the target a table does not stay alone: merged with its neighbours it becomes fewer. */
const SMALL_PART = 1 / 4

export class MergeScope {
	readonly #chains: readonly Chain[]
	readonly #older: readonly Chain[]

	/** Of a merge of `chains`. What is committed later is newer: the scope need not be made again. */
	constructor(manifest: Manifest, chains: readonly Chain[]) {
		this.#chains = chains
		this.#older = olderChains(manifest, chains.flat())
	}

	/** True when no table outside the inputs may hold an older version of one of their keys of this range. */
	isBottomOf({ lower, upper }: KeyRange): boolean {
		for (const chain of this.#chains) {
			for (let i = lower === null ? 0 : firstAtOrBehind(chain, lower); i < chain.length; i++) {
				const { smallestKey, largestKey } = (chain[i] as TableRef).meta
				if (upper !== null && compareBytes(smallestKey, upper) >= 0) break
				const end = keyBehind(largestKey)
				// Beyond the keys of the inputs nothing is dropped: what lies there does not matter.
				const keys = {
					lower: lower === null || compareBytes(smallestKey, lower) > 0 ? smallestKey : lower,
					upper: upper === null || compareBytes(end, upper) < 0 ? end : upper,
				}
				if (this.#older.some(older => overlaps(older, keys))) return false
			}
		}
		return true
	}

	/** True when no tombstone of the table would be dropped, most of it is alive, and it is large enough to stay alone. */
	isSound({ meta }: TableRef, { output, expireBeforeMs }: Pick<MergeTask, 'output' | 'expireBeforeMs'>): boolean {
		if (meta.storedBytes < output.targetBytes * SMALL_PART || meta.keyCount !== meta.entryCount) return false
		if (meta.halfExpiresAtMs !== 0 && meta.halfExpiresAtMs <= expireBeforeMs) return false
		const keys = { lower: meta.smallestKey, upper: keyBehind(meta.largestKey) }
		return meta.tombstoneCount === 0 || !this.isBottomOf(keys)
	}
}

/** The edit surely stands nowhere: the state did not take it, or the log has another owner. What it named may be deleted. */
export function isRefused(error: unknown): boolean {
	return isIsleError(error, 'ISLE_CONFLICT') || isIsleError(error, 'ISLE_FENCED')
}

/** All of `tables` are part of what is read. */
export function areLive({ l0, runs }: Manifest, tables: readonly TableRef[]): boolean {
	const inL0 = new Set(l0.map(table => table.id))
	const index = TableIndex.of(runs)
	return tables.every(({ id }) => inL0.has(id) || index.withId(id).length > 0)
}

/** What a merge has recorded is still there: whoever gives it up lets these tables be deleted. */
export function holdsProgress({ pendingMerges }: Manifest, runId: string, outputs: number): boolean {
	return outputs === 0 || pendingMerges.find(merge => merge.runId === runId)?.outputs.length === outputs
}

/** Tables outside `inputs` that may hold older versions of their keys, as chains. */
function olderChains({ l0, runs }: Manifest, inputs: readonly TableRef[]): Chain[] {
	const ids = new Set(inputs.map(table => table.id))
	const maxSeq = inputs.reduce((max, table) => Math.max(max, table.meta.maxSeq), 0)
	const isOlder = (table: TableRef): boolean => !ids.has(table.id) && table.meta.minSeq < maxSeq
	const chains = [...l0.map(table => [table]), ...runs.map(run => run.tables)].map(chain => chain.filter(isOlder))
	return chains.filter(chain => chain.length > 0)
}
