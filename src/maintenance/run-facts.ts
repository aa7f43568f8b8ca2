/**
 * What policies ask of a run, and of keys that overlap. Runs are immutable, so their sums are made once, and those of parts that an
 * edit has left as they were are made no more than that; a manifest of 30,000 tables is then judged in microseconds.
 */
import { compareBytes } from '../bytes/compare.ts'
import type { SortedRun, TableRef } from '../manifest/manifest.ts'
import { plainTable } from '../manifest/packed-table.ts'
import { type RunPart, sumsOf } from '../manifest/run-parts.ts'

export interface RunFacts {
	readonly bytes: number
	readonly entryCount: number
	readonly tombstoneCount: number
	/** Of the table whose newest entry is oldest, and of the run. */
	readonly oldestMaxWriteMs: number
	readonly maxWriteMs: number
	/** When the first of its tables will have expired whole; `Infinity` when none ever does. */
	readonly firstExpiryMs: number
	/** The same when half of the entries of one will have. */
	readonly firstHalfExpiryMs: number
}

const known = new WeakMap<SortedRun, RunFacts>()
const knownOfParts = new WeakMap<RunPart, RunFacts>()

export function factsOf(run: SortedRun): RunFacts {
	const found = known.get(run)
	if (found !== undefined) return found
	let from = 0
	const facts = joined(
		sumsOf(run).parts.map(part => {
			const ofPart = knownOfParts.get(part) ?? sumOf(run.tables.slice(from, from + part.count))
			knownOfParts.set(part, ofPart)
			from += part.count
			return ofPart
		}),
	)
	known.set(run, facts)
	return facts
}

function joined(all: readonly RunFacts[]): RunFacts {
	const sum = (of: (facts: RunFacts) => number): number => all.reduce((total, facts) => total + of(facts), 0)
	const least = (of: (facts: RunFacts) => number): number =>
		all.reduce((min, facts) => Math.min(min, of(facts)), Infinity)
	return {
		bytes: sum(facts => facts.bytes),
		entryCount: sum(facts => facts.entryCount),
		tombstoneCount: sum(facts => facts.tombstoneCount),
		oldestMaxWriteMs: least(facts => facts.oldestMaxWriteMs),
		maxWriteMs: all.reduce((max, facts) => Math.max(max, facts.maxWriteMs), 0),
		firstExpiryMs: least(facts => facts.firstExpiryMs),
		firstHalfExpiryMs: least(facts => facts.firstHalfExpiryMs),
	}
}

function sumOf(tables: readonly TableRef[]): RunFacts {
	let [bytes, entryCount, tombstoneCount, maxWriteMs] = [0, 0, 0, 0]
	let [oldestMaxWriteMs, firstExpiryMs, firstHalfExpiryMs] = [Infinity, Infinity, Infinity]
	for (const { meta } of tables) {
		bytes += meta.storedBytes
		entryCount += meta.entryCount
		tombstoneCount += meta.tombstoneCount
		maxWriteMs = Math.max(maxWriteMs, meta.maxWriteMs)
		oldestMaxWriteMs = Math.min(oldestMaxWriteMs, meta.maxWriteMs)
		if (meta.maxExpiresAtMs > 0) firstExpiryMs = Math.min(firstExpiryMs, meta.maxExpiresAtMs)
		if (meta.halfExpiresAtMs > 0) firstHalfExpiryMs = Math.min(firstHalfExpiryMs, meta.halfExpiresAtMs)
	}
	return { bytes, entryCount, tombstoneCount, oldestMaxWriteMs, maxWriteMs, firstExpiryMs, firstHalfExpiryMs }
}

/** True when both may hold the same key. */
export function overlap(a: TableRef, b: TableRef): boolean {
	return (
		compareBytes(a.meta.smallestKey, b.meta.largestKey) <= 0 && compareBytes(b.meta.smallestKey, a.meta.largestKey) <= 0
	)
}

/** True when no table of `a` overlaps one of `b`; both in key order without overlaps of their own. */
export function areDisjoint(a: readonly TableRef[], b: readonly TableRef[]): boolean {
	return overlappingOf(a, b, 1).length === 0
}

/** Tables of `older` that overlap one of `newer`; both in key order without overlaps of their own. At most `limit`. */
export function overlappingOf(
	newer: readonly TableRef[],
	older: readonly TableRef[],
	limit: number = Infinity,
): TableRef[] {
	const found: TableRef[] = []
	let n = 0
	for (let o = firstBehind(older, newer[0]); o < older.length && found.length < limit; o++) {
		const table = older[o] as TableRef
		while (n < newer.length && compareBytes((newer[n] as TableRef).meta.largestKey, table.meta.smallestKey) < 0) n++
		const other = newer[n]
		if (other === undefined) break
		if (compareBytes(other.meta.smallestKey, table.meta.largestKey) <= 0) found.push(table)
	}
	return found
}

/** The first of `tables`, in key order, that does not end before `table` begins. */
export function firstBehind(tables: readonly TableRef[], table: TableRef | undefined): number {
	if (table === undefined) return tables.length
	let [low, high] = [0, tables.length]
	while (low < high) {
		const middle = (low + high) >>> 1
		if (compareBytes((tables[middle] as TableRef).meta.largestKey, table.meta.smallestKey) < 0) low = middle + 1
		else high = middle
	}
	return low
}

/** The key range from the first to the last key of all of `tables`, as one table would have it; `tables` has one at least. */
export function hullOf(tables: readonly TableRef[]): TableRef {
	let hull = plainTable(tables[0] as TableRef)
	for (const table of tables) {
		const { smallestKey, largestKey } = hull.meta
		const isBelow = compareBytes(table.meta.smallestKey, smallestKey) < 0
		const isAbove = compareBytes(table.meta.largestKey, largestKey) > 0
		if (!isBelow && !isAbove) continue
		const meta = {
			...hull.meta,
			smallestKey: isBelow ? table.meta.smallestKey : smallestKey,
			largestKey: isAbove ? table.meta.largestKey : largestKey,
		}
		hull = { ...hull, meta }
	}
	return hull
}
