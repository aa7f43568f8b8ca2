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
import { compareLargestKey, compareSmallestKey } from '../manifest/packed-table.ts'
import { sumsOf } from '../manifest/run-parts.ts'
import { commonPrefixBytes, keyNumber } from './key-number.ts'
import { type RunEnds, RunSlots } from './run-slots.ts'

/** Tables that do not overlap, in ascending key order; in memory only those that were asked for have a slot. */
export interface TableChain {
	readonly tables: readonly TableRef[]
	/** Newest sequence number of all of them. */
	readonly maxSeq: number
	slotAt(index: number): TableSlot
}

/** A chain that lookups search: a table of L0, or a run. */
interface Level extends TableChain {
	/** Where the tables of a run end. */
	readonly ends: RunEnds | undefined
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
	/** All tables in groups that do not overlap: what a scan merges. Made at the first call. */
	chains(): readonly TableChain[]
}

interface LevelDraft {
	readonly tables: readonly TableRef[]
	readonly maxSeq: number
	readonly run: SortedRun | undefined
}

export function planSearch(manifest: Manifest, source: TableSource): SearchPlan {
	const drafts: LevelDraft[] = manifest.l0.map(table => ({
		tables: [table],
		maxSeq: table.meta.maxSeq,
		run: undefined,
	}))
	for (const run of manifest.runs) {
		if (run.tables.length > 0) drafts.push({ tables: run.tables, maxSeq: sumsOf(run).maxSeq, run })
	}
	drafts.sort((a, b) => b.maxSeq - a.maxSeq)
	const prefix = commonPrefix(drafts)
	const skip = prefix.length
	const levels = drafts.map(draft => levelOf(draft, skip, source))
	const smallestOf = (draft: LevelDraft): number => keyNumber((draft.tables[0] as TableRef).meta.smallestKey, skip)
	const largestOf = ({ tables }: LevelDraft): number =>
		keyNumber((tables[tables.length - 1] as TableRef).meta.largestKey, skip)
	let chains: readonly TableChain[] | undefined
	return {
		prefix,
		count: drafts.length,
		levels,
		singles: levels.map(level => (level.tables.length === 1 ? level.slotAt(0) : undefined)),
		maxSeqs: Float64Array.from(drafts, draft => draft.maxSeq),
		lowest: Float64Array.from(drafts, smallestOf),
		highest: Float64Array.from(drafts, largestOf),
		chains: () => {
			chains ??= chainLevels(levels)
			return chains
		},
	}
}

/** The first table of `chain` that may reach `key`, or beyond it; their count when none does. By binary search. */
export function firstTableFrom({ tables }: TableChain, key: Uint8Array): number {
	return firstWhere(tables.length, index => compareLargestKey(tables[index] as TableRef, key) >= 0)
}

/** The first table of `chain` that begins at `key` or beyond it; their count when none does. */
export function firstTableBeyond({ tables }: TableChain, key: Uint8Array): number {
	return firstWhere(tables.length, index => compareSmallestKey(tables[index] as TableRef, key) >= 0)
}

/** `isTrue` holds from some index on. */
function firstWhere(count: number, isTrue: (index: number) => boolean): number {
	let low = 0
	let high = count
	while (low < high) {
		const middle = (low + high) >>> 1
		if (isTrue(middle)) high = middle
		else low = middle + 1
	}
	return low
}

function levelOf({ tables, maxSeq, run }: LevelDraft, skip: number, source: TableSource): Level {
	if (run !== undefined) {
		const slots = RunSlots.of(run, source)
		return { tables, maxSeq, ends: slots.endsBehind(skip), slotAt: index => slots.at(index) }
	}
	const slot = source.slot(tables[0] as TableRef)
	return { tables, maxSeq, ends: undefined, slotAt: () => slot }
}

function chainLevels(levels: readonly Level[]): readonly TableChain[] {
	const runs = levels.filter(level => level.tables.length > 1)
	const singles = levels.filter(level => level.tables.length === 1).map(level => level.slotAt(0))
	return [...runs, ...chainTables(singles).map(chainOf)]
}

function chainOf(slots: readonly TableSlot[]): TableChain {
	const maxSeq = slots.reduce((newest, { ref }) => Math.max(newest, ref.meta.maxSeq), 0)
	return { tables: slots.map(slot => slot.ref), maxSeq, slotAt: index => slots[index] as TableSlot }
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
 * By binary search over the numbers.
 */
export function slotForKey(plan: SearchPlan, index: number, key: Uint8Array, number: number): TableSlot | undefined {
	if (number < (plan.lowest[index] as number) || number > (plan.highest[index] as number)) return undefined
	const level = plan.levels[index] as Level
	if (level.ends === undefined) return level.slotAt(0)
	const first = level.ends.firstFrom(key, number)
	return first < level.tables.length ? level.slotAt(first) : undefined
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
