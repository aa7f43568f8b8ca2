/**
 * Where tables stand: taking them out of L0 and runs, and putting others in, in the order that the manifest promises.
 *
 * Invariants, `ISLE_CORRUPT` naming the record that breaks one: L0 ascends in sequence numbers, without overlap; runs stand
 * newest first, disjoint in sequence numbers and below L0; tables of one run ascend in keys, without overlap.
 */
import { compareBytes } from '../bytes/compare.ts'
import { corrupt, type IsleError } from '../errors.ts'
import type { AddedTable } from './edit.ts'
import type { Manifest, SortedRun, TableRef } from './manifest.ts'
import { compareLargestKey, compareSmallestKey } from './packed-table.ts'
import { TableNames } from './table-names.ts'
import { packTables } from './table-ref-codec.ts'

const TABLES_PER_STEP = 4_096

type Placement = Pick<Manifest, 'l0' | 'runs'>

export interface Taken extends Placement {
	/** By id. */
	readonly removed: ReadonlyMap<string, TableRef>
}

/** Takes the tables with `ids` out; a run that has none left is gone. */
export function takeTables({ l0, runs }: Placement, ids: readonly string[], where: string): Taken {
	const wanted = new TableNames(ids)
	const removed = new Map<string, TableRef>()
	if (ids.length === 0) return { l0, runs, removed }
	const takeFrom = (tables: readonly TableRef[]): readonly TableRef[] => {
		const before = removed.size
		for (const table of tables) if (wanted.hasId(table)) removed.set(table.id, table)
		return removed.size === before ? tables : tables.filter(table => !wanted.hasId(table))
	}
	const keptL0 = takeFrom(l0)
	const keptRuns = runs.flatMap(run => {
		const tables = takeFrom(run.tables)
		if (tables === run.tables) return [run]
		return tables.length === 0 ? [] : [{ ...run, tables }]
	})
	if (removed.size !== ids.length) {
		const missing = ids.find(id => !removed.has(id))
		throw corrupt(
			where,
			missing === undefined ? 'a table is removed twice' : `table ${missing} is removed and not there`,
		)
	}
	return { l0: keptL0, runs: keptRuns, removed }
}

/** Puts tables in: one that was just taken out may come back in another place, any other must be new. */
export function placeTables(taken: Taken, added: readonly AddedTable[], where: string): Placement {
	if (added.length === 0) return { l0: taken.l0, runs: taken.runs }
	assertNew(taken, added, where)
	const toL0: TableRef[] = []
	const toRuns = new Map<string, TableRef[]>()
	for (const { runId, table } of added) {
		if (runId === null) {
			toL0.push(table)
			continue
		}
		const tables = toRuns.get(runId)
		if (tables === undefined) toRuns.set(runId, [table])
		else tables.push(table)
	}
	const l0 = toL0.length === 0 ? taken.l0 : [...taken.l0, ...toL0].sort((a, b) => a.meta.minSeq - b.meta.minSeq)
	const runs = taken.runs.map(run => joined(run, toRuns.get(run.id) ?? [], where))
	for (const { id } of runs) toRuns.delete(id)
	for (const [id, tables] of toRuns) runs.push(joined({ id, tables: [] }, tables, where))
	return { l0, runs: inOrder(l0, runs, where) }
}

/** `tables` ascend in keys and do not overlap; all lie below `end`. `what` names them. */
export function assertKeyOrder(tables: readonly TableRef[], what: string, where: string, end?: Uint8Array): void {
	let before: TableRef | undefined
	for (const table of tables) {
		if (before !== undefined && compareBytes(before.meta.largestKey, table.meta.smallestKey) >= 0) {
			throw corrupt(where, `tables ${before.id} and ${table.id} of ${what} overlap`)
		}
		before = table
	}
	if (before !== undefined && end !== undefined && compareBytes(before.meta.largestKey, end) >= 0) {
		throw corrupt(where, `table ${before.id} of ${what} reaches beyond where it goes on`)
	}
}

/** `added` among the tables of `run`, which are in order. */
function joined(run: SortedRun, added: readonly TableRef[], where: string): SortedRun {
	if (added.length === 0) return run
	const sorted = packTables([...added].sort((a, b) => compareBytes(a.meta.smallestKey, b.meta.smallestKey)))
	const tables: TableRef[] = []
	let from = 0
	for (const table of sorted) {
		const { smallestKey, largestKey } = table.meta
		const to = firstFrom(run.tables, smallestKey)
		while (from < to) tables.push(run.tables[from++] as TableRef)
		const before = tables.at(-1)
		if (before !== undefined && compareLargestKey(before, smallestKey) >= 0)
			throw overlapping(before, table, run, where)
		const next = run.tables[to]
		if (next !== undefined && compareSmallestKey(next, largestKey) <= 0) throw overlapping(table, next, run, where)
		tables.push(table)
	}
	while (from < run.tables.length) tables.push(run.tables[from++] as TableRef)
	return { id: run.id, tables }
}

/** The first of `tables` that begins at `key` or behind it; their count when none does. */
function firstFrom(tables: readonly TableRef[], key: Uint8Array): number {
	let [low, high] = [0, tables.length]
	while (low < high) {
		const middle = (low + high) >>> 1
		if (compareSmallestKey(tables[middle] as TableRef, key) < 0) low = middle + 1
		else high = middle
	}
	return low
}

function inOrder(l0: readonly TableRef[], runs: readonly SortedRun[], where: string): SortedRun[] {
	const ranges = runs.map(run => ({ run, ...seqRangeOf(run) })).sort((a, b) => b.max - a.max)
	let bound = Number.POSITIVE_INFINITY
	for (const { meta, id } of l0.toReversed()) {
		if (meta.maxSeq >= bound) throw corrupt(where, `table ${id} of L0 overlaps the next one in sequence numbers`)
		bound = meta.minSeq
	}
	for (const { run, min, max } of ranges) {
		if (max >= bound) throw corrupt(where, `run ${run.id} overlaps what is newer in sequence numbers`)
		bound = min
	}
	return ranges.map(({ run }) => run)
}

/** Smallest and largest sequence number of a run. */
export interface SeqRange {
	readonly min: number
	readonly max: number
}

const seqRanges = new WeakMap<SortedRun, SeqRange>()

/** Looked for once for each run. */
export function seqRangeOf(run: SortedRun): SeqRange {
	const known = seqRanges.get(run)
	if (known !== undefined) return known
	const steps = seqRangeInSteps(run)
	for (;;) {
		const step = steps.next()
		if (step.done === true) return step.value
	}
}

/** The same, stopping after every 4,096th table: half a millisecond. */
export function* seqRangeInSteps(run: SortedRun): Generator<void, SeqRange, void> {
	let min = Number.POSITIVE_INFINITY
	let max = 0
	for (const [i, { meta }] of run.tables.entries()) {
		min = Math.min(min, meta.minSeq)
		max = Math.max(max, meta.maxSeq)
		if ((i + 1) % TABLES_PER_STEP === 0) yield
	}
	const range = { min, max }
	seqRanges.set(run, range)
	return range
}

function overlapping(a: TableRef, b: TableRef, run: SortedRun, where: string): IsleError {
	return corrupt(where, `tables ${a.id} and ${b.id} of run ${run.id} overlap`)
}

function assertNew({ l0, runs, removed }: Taken, added: readonly AddedTable[], where: string): void {
	const ids = new Set<string>()
	for (const { table } of added) {
		if (ids.has(table.id)) throw corrupt(where, `table ${table.id} is added twice`)
		ids.add(table.id)
		const before = removed.get(table.id)
		if (before !== undefined && (before.objectKey !== table.objectKey || before.offset !== table.offset)) {
			throw corrupt(where, `table ${table.id} is moved and lies elsewhere`)
		}
	}
	const names = new TableNames(ids)
	const assertOther = (table: TableRef): void => {
		if (names.hasId(table)) throw corrupt(where, `table ${table.id} is added and there already`)
	}
	for (const table of l0) assertOther(table)
	for (const run of runs) for (const table of run.tables) assertOther(table)
}
