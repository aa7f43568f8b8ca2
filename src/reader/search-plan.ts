/**
 * A manifest arranged for lookups: which tables may hold a key, in the order in which to ask them.
 *
 * L0 tables and sorted runs become levels, the one with the newest entries first, whatever their order in the manifest.
 * What all keys have in common at the front is compared once; of the rest, six bytes as a number decide for each level
 * in two comparisons of numbers, so that hundreds of L0 tables cost little. The check is wide, never narrow: the
 * table's index has the last word.
 */
import { compareBytes } from '../bytes/compare.ts'
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { Manifest, SortedRun, TableRef } from '../manifest/manifest.ts'
import { commonPrefixBytes, keyNumber } from './key-number.ts'

/** Tables that do not overlap, in ascending key order. */
interface Level {
	readonly slots: readonly TableSlot[]
	/** `keyNumber` of the largest key of each table. */
	readonly largest: Float64Array
}

export interface SearchPlan {
	/** All keys of all tables begin with this. */
	readonly prefix: Uint8Array
	/** Levels with entries; the arrays run in parallel, newest first. */
	readonly count: number
	readonly levels: readonly Level[]
	/** The table of each level that has only one, as those of L0 do. */
	readonly singles: readonly (TableSlot | undefined)[]
	/** Newest sequence number of each level, descending. */
	readonly maxSeqs: Float64Array
	/** `keyNumber`s between which the keys of each level lie, both inclusive. */
	readonly lowest: Float64Array
	readonly highest: Float64Array
	/** All tables in groups that do not overlap, each in ascending key order: what a scan merges. Made at the first call. */
	chains(): readonly (readonly TableSlot[])[]
}

interface LevelDraft {
	readonly tables: readonly TableRef[]
	readonly maxSeq: number
}

export function planSearch(manifest: Manifest, source: TableSource): SearchPlan {
	const drafts: LevelDraft[] = manifest.l0.map(table => ({ tables: [table], maxSeq: table.meta.maxSeq }))
	for (const run of manifest.runs) if (run.tables.length > 0) drafts.push(draftOfRun(run))
	drafts.sort((a, b) => b.maxSeq - a.maxSeq)
	const prefix = commonPrefix(drafts)
	const skip = prefix.length
	const levels = drafts.map(draft => ({
		slots: draft.tables.map(table => source.slot(table)),
		largest: Float64Array.from(draft.tables, table => keyNumber(table.meta.largestKey, skip)),
	}))
	const smallestOf = (draft: LevelDraft): number => keyNumber((draft.tables[0] as TableRef).meta.smallestKey, skip)
	let chains: readonly (readonly TableSlot[])[] | undefined
	return {
		prefix,
		count: drafts.length,
		levels,
		singles: levels.map(({ slots }) => (slots.length === 1 ? slots[0] : undefined)),
		maxSeqs: Float64Array.from(drafts, draft => draft.maxSeq),
		lowest: Float64Array.from(drafts, smallestOf),
		highest: Float64Array.from(levels, level => level.largest[level.largest.length - 1] as number),
		chains: () => {
			chains ??= chainLevels(levels)
			return chains
		},
	}
}

function chainLevels(levels: readonly Level[]): readonly (readonly TableSlot[])[] {
	const runs = levels.filter(level => level.slots.length > 1).map(level => level.slots)
	const singles = levels.filter(level => level.slots.length === 1).map(level => level.slots[0] as TableSlot)
	return [...runs, ...chainTables(singles)]
}

function draftOfRun(run: SortedRun): LevelDraft {
	let maxSeq = 0
	for (const table of run.tables) maxSeq = Math.max(maxSeq, table.meta.maxSeq)
	return { tables: run.tables, maxSeq }
}

function commonPrefix(drafts: readonly LevelDraft[]): Uint8Array {
	const first = drafts[0]?.tables[0]
	if (first === undefined) return new Uint8Array(0)
	const model = first.meta.smallestKey
	let length = model.length
	for (const { tables } of drafts) {
		// Keys of a level lie between its ends, so what the ends share all its keys share.
		length = commonPrefixBytes(model, (tables[0] as TableRef).meta.smallestKey, length)
		length = commonPrefixBytes(model, (tables[tables.length - 1] as TableRef).meta.largestKey, length)
	}
	return model.subarray(0, length)
}

/** `keyNumber` of `key` behind the plan's prefix, or −1 when the key does not begin with it: no table holds it. */
export function numberInPlan(plan: SearchPlan, key: Uint8Array): number {
	const { prefix } = plan
	const skip = prefix.length
	if (key.length < skip) return -1
	for (let i = 0; i < skip; i++) if (key[i] !== prefix[i]) return -1
	return keyNumber(key, skip)
}

/**
 * The one table of level `index` that may hold `key` (whose number in the plan is `number`), or undefined.
 * By binary search over the numbers; keys are compared only where numbers are equal.
 */
export function slotForKey(plan: SearchPlan, index: number, key: Uint8Array, number: number): TableSlot | undefined {
	if (number < (plan.lowest[index] as number) || number > (plan.highest[index] as number)) return undefined
	const { slots, largest } = plan.levels[index] as Level
	if (slots.length === 1) return slots[0]
	let low = 0
	let high = slots.length
	while (low < high) {
		const middle = (low + high) >>> 1
		const end = largest[middle] as number
		const isBelow =
			end < number || (end === number && compareBytes((slots[middle] as TableSlot).ref.meta.largestKey, key) < 0)
		if (isBelow) low = middle + 1
		else high = middle
	}
	return slots[low]
}

/**
 * Puts tables that may overlap into few chains whose tables do not: each goes to the first chain that ends before it
 * begins. In order of their smallest keys this gives as many chains as tables overlap at one key.
 */
function chainTables(slots: readonly TableSlot[]): readonly (readonly TableSlot[])[] {
	const sorted = [...slots].sort((a, b) => compareBytes(a.ref.meta.smallestKey, b.ref.meta.smallestKey))
	const chains: TableSlot[][] = []
	for (const slot of sorted) {
		const { smallestKey } = slot.ref.meta
		const chain = chains.find(others => {
			const last = others[others.length - 1]
			return last !== undefined && compareBytes(last.ref.meta.largestKey, smallestKey) < 0
		})
		if (chain === undefined) chains.push([slot])
		else chain.push(slot)
	}
	return chains
}
