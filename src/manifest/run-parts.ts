/**
 * Sums over the tables of a run, kept for neighbours and for all of it: an edit makes anew those of the neighbours that it touched.
 *
 * A run is cut into parts of at most 128 tables. A part is an object that stands for the tables that it was made of: where two
 * states have the same part they have the same tables, so that what somebody knows of them can be kept by it.
 * Invariant: the parts of a run, in order, count its tables. Few are smaller than 32.
 */
import type { Manifest, SortedRun, TableRef } from './manifest.ts'

const PART_MAX_TABLES = 128
const PART_MIN_TABLES = 32
const TABLES_PER_STEP = 4_096

interface TableSums {
	/** Smallest and largest sequence number. */
	readonly minSeq: number
	readonly maxSeq: number
	/** Of all tables together. */
	readonly storedBytes: number
}

export interface RunPart extends TableSums {
	/** Tables. */
	readonly count: number
}

export interface RunSums extends TableSums {
	readonly parts: readonly RunPart[]
}

const known = new WeakMap<SortedRun, RunSums>()

/** Made once for each run. */
export function sumsOf(run: SortedRun): RunSums {
	const found = known.get(run)
	if (found !== undefined) return found
	const steps = sumsInSteps(run)
	for (;;) {
		const step = steps.next()
		if (step.done === true) return step.value
	}
}

/** The same, stopping after every 4,096th table: a millisecond. */
export function* sumsInSteps(run: SortedRun): Generator<void, RunSums, void> {
	const parts: RunPart[] = []
	for (let from = 0; from < run.tables.length; from += TABLES_PER_STEP) {
		if (from > 0) yield
		addParts(parts, run.tables, from, Math.min(run.tables.length, from + TABLES_PER_STEP))
	}
	return keep(run, parts)
}

/** What was done to a run: places in it as it was before, ascending. */
export interface RunChange {
	/** Of tables that were taken out. */
	readonly removedAt: readonly number[]
	/** Before which a table was put in, once for each. */
	readonly addedAt: readonly number[]
}

/** Makes the sums of `after`, which is `before` with that change, from those of `before`. */
export function carrySums(before: SortedRun, after: SortedRun, { removedAt, addedAt }: RunChange): RunSums {
	const parts: RunPart[] = []
	let [from, unsummed] = [0, 0]
	let [end, removed, added] = [0, 0, 0]
	const sumUp = (): void => {
		addParts(parts, after.tables, from, from + unsummed)
		from += unsummed
		unsummed = 0
	}
	const old = sumsOf(before).parts
	for (const [i, part] of old.entries()) {
		// Behind the last table is in the last part.
		end = i + 1 < old.length ? end + part.count : Number.POSITIVE_INFINITY
		let { count } = part
		let isTouched = false
		for (; (removedAt[removed] ?? end) < end; removed++) {
			count--
			isTouched = true
		}
		for (; (addedAt[added] ?? end) < end; added++) {
			count++
			isTouched = true
		}
		// What has become small takes its neighbour in.
		if (isTouched || (unsummed > 0 && unsummed < PART_MIN_TABLES)) {
			unsummed += count
			continue
		}
		sumUp()
		parts.push(part)
		from += count
	}
	unsummed = after.tables.length - from
	sumUp()
	return keep(after, parts)
}

/** How many tables `a` and `b` surely have in common at their beginning, and behind these at their end. */
export function commonEnds(a: SortedRun, b: SortedRun): readonly [number, number] {
	const [ofA, ofB] = [sumsOf(a).parts, sumsOf(b).parts]
	let [first, head] = [0, 0]
	for (; first < ofA.length && ofA[first] === ofB[first]; first++) head += (ofA[first] as RunPart).count
	let [endA, endB, tail] = [ofA.length, ofB.length, 0]
	for (; Math.min(endA, endB) > first && ofA[endA - 1] === ofB[endB - 1]; endB--) tail += (ofA[--endA] as RunPart).count
	return [head, tail]
}

export function bytesOf(tables: readonly TableRef[]): number {
	return tables.reduce((sum, table) => sum + table.meta.storedBytes, 0)
}

/** Bytes of all tables of a state, as stored. */
export function storedBytesOf({ l0, runs }: Pick<Manifest, 'l0' | 'runs'>): number {
	return runs.reduce((sum, run) => sum + sumsOf(run).storedBytes, bytesOf(l0))
}

function keep(run: SortedRun, parts: readonly RunPart[]): RunSums {
	let [minSeq, maxSeq, storedBytes] = [Number.POSITIVE_INFINITY, 0, 0]
	for (const part of parts) {
		minSeq = Math.min(minSeq, part.minSeq)
		maxSeq = Math.max(maxSeq, part.maxSeq)
		storedBytes += part.storedBytes
	}
	const sums = { minSeq, maxSeq, storedBytes, parts }
	known.set(run, sums)
	return sums
}

/** Cuts `tables[from, end)` into parts of like size. */
function addParts(parts: RunPart[], tables: readonly TableRef[], from: number, end: number): void {
	const count = Math.ceil((end - from) / PART_MAX_TABLES)
	for (let part = 0; part < count; part++) {
		const first = from + Math.floor((part * (end - from)) / count)
		const last = from + Math.floor(((part + 1) * (end - from)) / count)
		let [minSeq, maxSeq, storedBytes] = [Number.POSITIVE_INFINITY, 0, 0]
		for (let at = first; at < last; at++) {
			const { meta } = tables[at] as TableRef
			minSeq = Math.min(minSeq, meta.minSeq)
			maxSeq = Math.max(maxSeq, meta.maxSeq)
			storedBytes += meta.storedBytes
		}
		parts.push({ count: last - first, minSeq, maxSeq, storedBytes })
	}
}
