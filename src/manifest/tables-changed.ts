/**
 * Which tables a newer state has instead of an older one's. Cost: a look at each table of L0, and of each run that changed at those between the
 * first and the last change.
 */
import type { Manifest, SortedRun, TableRef } from './manifest.ts'
import { compareSmallestKey } from './packed-table.ts'
import { commonEnds } from './run-parts.ts'

export interface TablesChanged {
	/** In the older state alone. */
	readonly gone: readonly TableRef[]
	/** In the newer one alone. */
	readonly come: readonly TableRef[]
}

export function tablesChanged(before: Manifest, after: Manifest): TablesChanged {
	const out: TableRef[] = []
	const into: TableRef[] = []
	compare(before.l0, after.l0, (old, now) => old.meta.minSeq - now.meta.minSeq, out, into)
	const left = new Map(after.runs.map(run => [run.id, run]))
	for (const old of before.runs) {
		const now = left.get(old.id)
		left.delete(old.id)
		if (now !== old) compareRuns(old, now ?? { id: old.id, tables: [] }, out, into)
	}
	for (const { tables } of left.values()) for (const table of tables) into.push(table)
	if (out.length === 0 || into.length === 0) return { gone: out, come: into }
	// What was moved, or read anew from a checkpoint, is the same table in another object.
	const [oldIds, newIds] = [idsOf(out), idsOf(into)]
	return { gone: out.filter(table => !newIds.has(table.id)), come: into.filter(table => !oldIds.has(table.id)) }
}

function compareRuns(old: SortedRun, now: SortedRun, out: TableRef[], into: TableRef[]): void {
	const [head, tail] = commonEnds(old, now)
	const between = ({ tables }: SortedRun): readonly TableRef[] => tables.slice(head, tables.length - tail)
	const order = (a: TableRef, b: TableRef): number => compareSmallestKey(a, b.meta.smallestKey)
	compare(between(old), between(now), order, out, into)
}

/** Both ascend by `order`, and share objects where one state was made from the other. */
function compare(
	before: readonly TableRef[],
	after: readonly TableRef[],
	order: (old: TableRef, now: TableRef) => number,
	out: TableRef[],
	into: TableRef[],
): void {
	if (before === after) return
	let at = 0
	for (const old of before) {
		let now = after[at]
		while (now !== undefined && now !== old && order(old, now) > 0) {
			into.push(now)
			now = after[++at]
		}
		if (now === old) at++
		else out.push(old)
	}
	for (; at < after.length; at++) into.push(after[at] as TableRef)
}

function idsOf(tables: readonly TableRef[]): Set<string> {
	return new Set(tables.map(table => table.id))
}
