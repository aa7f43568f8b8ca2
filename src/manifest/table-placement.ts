/**
 * Where tables stand: taking them out of L0 and runs, and putting others in, in the order that the manifest promises.
 *
 * Steps: find what is taken out, by its id and then by its keys; check that what is put in is new; make each run that is touched
 * anew, and carry over what is known of it; check the order of runs.
 *
 * Invariants, `ISLE_CORRUPT` naming the record that breaks one: L0 ascends in sequence numbers, without overlap; runs stand
 * newest first, disjoint in sequence numbers and below L0; tables of one run ascend in keys, without overlap.
 */
import { compareBytes } from '../bytes/compare.ts'
import { corrupt, type IsleError } from '../errors.ts'
import type { AddedTable, Edit } from './edit.ts'
import type { Manifest, SortedRun, TableRef } from './manifest.ts'
import { compareLargestKey, compareSmallestKey } from './packed-table.ts'
import { carrySums, sumsOf } from './run-parts.ts'
import { TableIndex } from './table-index.ts'
import { packTables } from './table-ref-codec.ts'

type Placement = Pick<Manifest, 'l0' | 'runs'>

export interface Replaced extends Placement {
	/** What was taken out, by id: one that was put in elsewhere, too. */
	readonly removed: ReadonlyMap<string, TableRef>
}

/** What becomes of one run. */
interface RunEdit {
	/** Places of those that go. */
	readonly removedAt: number[]
	readonly added: TableRef[]
}

/**
 * Takes out what `edit` removes, and puts in what it adds; one that was just taken out may come back in another place, any other
 * must be new. A run that has no table left is gone.
 */
export function replaceTables(before: Placement, edit: Extract<Edit, { kind: 'replace' }>, where: string): Replaced {
	const index = TableIndex.of(before.runs)
	const edits = new Map<SortedRun, RunEdit>()
	const removed = new Map<string, TableRef>()
	const stayingL0 = takeFromL0(before.l0, edit.remove, removed)
	const goneFromRuns = takeFromRuns(before.runs, index, edit.remove, edits, removed, where)
	if (removed.size !== edit.remove.length) {
		const missing = edit.remove.find(id => !removed.has(id))
		throw corrupt(
			where,
			missing === undefined ? 'a table is removed twice' : `table ${missing} is removed and not there`,
		)
	}
	assertNew(stayingL0, before.runs, index, removed, edit.add, where)
	const l0 = withAdded(stayingL0, edit.add)
	const { runs, come } = changedRuns(before.runs, edits, edit.add, where)
	if (edit.add.length > 0) assertOrder(l0, runs, where)
	if (runs !== before.runs) index.carry(runs, goneFromRuns, come)
	return { l0, runs, removed }
}

function takeFromL0(
	l0: readonly TableRef[],
	ids: readonly string[],
	removed: Map<string, TableRef>,
): readonly TableRef[] {
	const wanted = new Set(ids)
	for (const table of l0) if (wanted.has(table.id)) removed.set(table.id, table)
	return removed.size === 0 ? l0 : l0.filter(table => !wanted.has(table.id))
}

function takeFromRuns(
	runs: readonly SortedRun[],
	index: TableIndex,
	ids: readonly string[],
	edits: Map<SortedRun, RunEdit>,
	removed: Map<string, TableRef>,
	where: string,
): readonly TableRef[] {
	for (const id of new Set(ids)) {
		for (const table of index.withId(id)) {
			const [run, at] = placeOf(runs, table, where)
			editOf(edits, run).removedAt.push(at)
		}
	}
	const gone: TableRef[] = []
	// In the order in which they stand: so the objects of those that are lost are listed.
	for (const run of runs) {
		for (const at of edits.get(run)?.removedAt.sort((a, b) => a - b) ?? []) {
			const table = run.tables[at] as TableRef
			removed.set(table.id, table)
			gone.push(table)
		}
	}
	return gone
}

/** Runs are disjoint in sequence numbers, and tables of a run in keys. */
function placeOf(runs: readonly SortedRun[], table: TableRef, where: string): readonly [SortedRun, number] {
	const { minSeq, smallestKey } = table.meta
	const run = runs.find(each => minSeq >= sumsOf(each).minSeq && minSeq <= sumsOf(each).maxSeq)
	const at = run === undefined ? -1 : firstFrom(run.tables, smallestKey)
	if (run === undefined || run.tables[at] !== table) throw corrupt(where, `runs are out of order at table ${table.id}`)
	return [run, at]
}

function editOf(edits: Map<SortedRun, RunEdit>, run: SortedRun): RunEdit {
	let edit = edits.get(run)
	if (edit === undefined) {
		edit = { removedAt: [], added: [] }
		edits.set(run, edit)
	}
	return edit
}

function assertNew(
	l0: readonly TableRef[],
	runs: readonly SortedRun[],
	index: TableIndex,
	removed: ReadonlyMap<string, TableRef>,
	added: readonly AddedTable[],
	where: string,
): void {
	const ids = new Set<string>()
	for (const { table } of added) {
		if (ids.has(table.id)) throw corrupt(where, `table ${table.id} is added twice`)
		ids.add(table.id)
		const before = removed.get(table.id)
		if (before !== undefined && (before.objectKey !== table.objectKey || before.offset !== table.offset)) {
			throw corrupt(where, `table ${table.id} is moved and lies elsewhere`)
		}
	}
	const isOld = (id: string): boolean => ids.has(id) && !removed.has(id)
	const old = l0.find(table => isOld(table.id)) ?? firstOf(runs, index, [...ids].filter(isOld))
	if (old !== undefined) throw corrupt(where, `table ${old.id} is added and there already`)
}

/** The first table of `runs` that has one of `ids`: all are looked at only if there is one. */
export function firstOf(runs: readonly SortedRun[], index: TableIndex, ids: readonly string[]): TableRef | undefined {
	const found = new Set(ids.flatMap(id => index.withId(id)))
	if (found.size === 0) return undefined
	for (const run of runs) for (const table of run.tables) if (found.has(table)) return table
	return undefined
}

function withAdded(l0: readonly TableRef[], added: readonly AddedTable[]): readonly TableRef[] {
	const tables = added.filter(({ runId }) => runId === null).map(({ table }) => table)
	return tables.length === 0 ? l0 : [...l0, ...tables].sort((a, b) => a.meta.minSeq - b.meta.minSeq)
}

/** `runs` with `edits` done and `added` put in, newest first, and what has come into them, as it is kept. */
function changedRuns(
	runs: readonly SortedRun[],
	edits: Map<SortedRun, RunEdit>,
	added: readonly AddedTable[],
	where: string,
): { readonly runs: readonly SortedRun[]; readonly come: readonly TableRef[] } {
	const byId = new Map(runs.map(run => [run.id, run]))
	for (const { runId, table } of added) {
		if (runId === null) continue
		const run = byId.get(runId) ?? { id: runId, tables: [] }
		byId.set(runId, run)
		editOf(edits, run).added.push(table)
	}
	if (edits.size === 0) return { runs, come: [] }
	const come: TableRef[] = []
	const after: SortedRun[] = []
	for (const run of new Set([...runs, ...byId.values()])) {
		const edit = edits.get(run)
		const changed = edit === undefined ? run : changedRun(run, edit, come, where)
		if (changed === run || changed.tables.length > 0) after.push(changed)
	}
	if (added.length > 0) after.sort((a, b) => sumsOf(b).maxSeq - sumsOf(a).maxSeq)
	return { runs: after, come }
}

/**
 * `run` with `edit` done; what it adds is pushed to `come`. The array of its tables is copied, and only what lies beside a change is
 * looked at.
 */
function changedRun(run: SortedRun, { removedAt, added }: RunEdit, come: TableRef[], where: string): SortedRun {
	const sorted = packTables(added.toSorted((a, b) => compareBytes(a.meta.smallestKey, b.meta.smallestKey)))
	const addedAt: number[] = []
	// oxlint-disable-next-line unicorn/no-new-array -- filled below; `push` would copy it as it grows
	const tables = new Array<TableRef>(run.tables.length - removedAt.length + sorted.length)
	let [count, from, removed] = [0, 0, 0]
	const takeUntil = (end: number): void => {
		while (from < end) {
			const next = Math.min(end, removedAt[removed] ?? end)
			copyTables(run.tables, from, next, tables, count)
			count += next - from
			from = next
			if (from < end) [from, removed] = [from + 1, removed + 1]
		}
	}
	for (const table of sorted) {
		const { smallestKey, largestKey } = table.meta
		const at = firstFrom(run.tables, smallestKey)
		takeUntil(at)
		const before = tables[count - 1]
		if (before !== undefined && compareLargestKey(before, smallestKey) >= 0)
			throw overlapping(before, table, run, where)
		const next = run.tables[firstKept(at, removedAt, removed)]
		if (next !== undefined && compareSmallestKey(next, largestKey) <= 0) throw overlapping(table, next, run, where)
		tables[count++] = table
		addedAt.push(at)
		come.push(table)
	}
	takeUntil(run.tables.length)
	const after = { id: run.id, tables }
	carrySums(run, after, { removedAt, addedAt })
	return after
}

/** A loop: `splice` would move what is behind for each stretch, `concat` copies twice. */
function copyTables(from: readonly TableRef[], start: number, end: number, to: TableRef[], at: number): void {
	for (let i = start; i < end; i++) to[at + i - start] = from[i] as TableRef
}

/** The first place from `at` on that is not in `removedAt`, of which those from index `next` on are not before `at`. */
function firstKept(at: number, removedAt: readonly number[], next: number): number {
	let place = at
	for (let i = next; removedAt[i] === place; i++) place++
	return place
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

/** `runs` stand newest first. */
function assertOrder(l0: readonly TableRef[], runs: readonly SortedRun[], where: string): void {
	let bound = Number.POSITIVE_INFINITY
	for (const { meta, id } of l0.toReversed()) {
		if (meta.maxSeq >= bound) throw corrupt(where, `table ${id} of L0 overlaps the next one in sequence numbers`)
		bound = meta.minSeq
	}
	for (const run of runs) {
		const { minSeq, maxSeq } = sumsOf(run)
		if (maxSeq >= bound) throw corrupt(where, `run ${run.id} overlaps what is newer in sequence numbers`)
		bound = minSeq
	}
}

function overlapping(a: TableRef, b: TableRef, run: SortedRun, where: string): IsleError {
	return corrupt(where, `tables ${a.id} and ${b.id} of run ${run.id} overlap`)
}
