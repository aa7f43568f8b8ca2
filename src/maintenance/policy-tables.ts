/**
 * Rewriting neighbours within one run, in place: what the merging of runs would reach late or never.
 *
 * * Tombstones of which nothing older is left.
 * * Tables of which half has expired. Above something older the expired half becomes tombstones, which are small. Each rewrite
 *   takes away as many entries as it writes, or more: to be rid of what expires costs no more than it did to write it.
 * * Neighbours that are small, so that a run is not a thousand little tables: 8 of like size become one.
 *
 * After each of these what called for it is gone (no tombstones; nothing that has expired; fewer tables), so none repeats itself.
 * Outputs lie between the keys of neighbours only, so that they overlap nothing else in the run.
 */
import type { SortedRun, TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import type { MergeChoice, MergeTrigger } from './choice.ts'
import type { CompactionSettings } from './options.ts'
import { isHalfExpired } from './policy-drop.ts'
import { smallTableBytes } from './policy-l0.ts'
import { bucketOf, isUsable, type Scene } from './policy-scene.ts'
import { factsOf, firstBehind, overlap } from './run-facts.ts'

/** Part of a table's entries that are tombstones, from which on it is rewritten for their sake. */
const TOMBSTONE_DENSITY = 0.1
/** Neighbours that are rewritten together hold about this many target tables at most: a small merge. */
const STRETCH_TARGET_TABLES = 8
/** As many small neighbours become one: each entry is rewritten once for each factor of 8 that tables grow by. */
const SMALL_NEIGHBOURS = 8
/** A smaller part of a target table than one of so many is left for a merge, even if all of it has expired. */
const EXPIRED_MIN_PARTS = 32

export function chooseTables(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	return (
		chooseBottomTombstones(scene, compaction) ??
		chooseExpired(scene, compaction) ??
		chooseSmallNeighbours(scene, compaction)
	)
}

function chooseBottomTombstones(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const isHeavy = ({ meta }: TableRef): boolean =>
		meta.tombstoneCount > 0 && meta.tombstoneCount >= TOMBSTONE_DENSITY * meta.entryCount
	for (const [i, run] of scene.manifest.runs.entries()) {
		if (factsOf(run).tombstoneCount === 0) continue
		const older = scene.manifest.runs.slice(i + 1)
		const stretch = stretchOf(scene, compaction, run, table => isHeavy(table) && !isAboveAny(table, older))
		if (stretch.length > 0) return rewrite(run, stretch, 'tombstones', older.length === 0, 'tombstones hide nothing')
	}
	return undefined
}

function chooseExpired(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const { manifest, nowMs, isClockTrusted } = scene
	if (!isClockTrusted) return undefined
	const minBytes = compaction.targetTableBytes / EXPIRED_MIN_PARTS
	for (const [i, run] of manifest.runs.entries()) {
		if (factsOf(run).firstHalfExpiryMs > nowMs) continue
		const isWorthIt = (table: TableRef): boolean => isHalfExpired(table, nowMs) && table.meta.storedBytes >= minBytes
		const stretch = stretchOf(scene, compaction, run, isWorthIt)
		const isBottom = i + 1 === manifest.runs.length
		if (stretch.length > 0) return rewrite(run, stretch, 'expired', isBottom, 'half has expired')
	}
	return undefined
}

function chooseSmallNeighbours(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const smallBytes = smallTableBytes(compaction)
	for (const [i, run] of scene.manifest.runs.entries()) {
		if (run.tables.length < SMALL_NEIGHBOURS || !mayHoldSmall(run, smallBytes)) continue
		const stretch = similarNeighbours(scene, run, smallBytes)
		const isBottom = i + 1 === scene.manifest.runs.length
		if (stretch !== undefined) return rewrite(run, stretch, 'small-tables', isBottom, 'neighbours are small')
	}
	return undefined
}

function rewrite(
	run: SortedRun,
	inputs: readonly TableRef[],
	trigger: MergeTrigger,
	isBottom: boolean,
	what: string,
): MergeChoice {
	const why = `${what}: tables=${inputs.length} of ${run.tables.length} of a run`
	const bytes = bytesOf(inputs)
	return { kind: 'merge', trigger, inputs, runId: run.id, resume: undefined, bytes, isBottom, why }
}

/** The first neighbours that are all `wanted`; of one bucket, and together a small merge. */
function stretchOf(
	scene: Scene,
	{ targetTableBytes }: CompactionSettings,
	run: SortedRun,
	wanted: (table: TableRef) => boolean,
): TableRef[] {
	const stretch: TableRef[] = []
	let bytes = 0
	for (const table of run.tables) {
		const first = stretch[0]
		const fits =
			isUsable(scene, table) &&
			wanted(table) &&
			(first === undefined ||
				(bytes + table.meta.storedBytes <= STRETCH_TARGET_TABLES * targetTableBytes &&
					isSameBucket(scene, first, table)))
		if (fits) {
			stretch.push(table)
			bytes += table.meta.storedBytes
		} else if (first !== undefined) break
	}
	return stretch
}

function isSameBucket(scene: Scene, a: TableRef, b: TableRef): boolean {
	return bucketOf(scene, a.meta.maxWriteMs) === bucketOf(scene, b.meta.maxWriteMs)
}

/** True when `table` may hide something in `older` runs. */
function isAboveAny(table: TableRef, older: readonly SortedRun[]): boolean {
	return older.some(({ tables }) => {
		const next = tables[firstBehind(tables, table)]
		return next !== undefined && overlap(next, table)
	})
}

const smallCounts = new WeakMap<SortedRun, { readonly smallBytes: number; readonly mayHold: boolean }>()

/** Whether so many small tables lie beside one another; looked for once for each run. */
function mayHoldSmall(run: SortedRun, smallBytes: number): boolean {
	const known = smallCounts.get(run)
	if (known?.smallBytes === smallBytes) return known.mayHold
	let mayHold = false
	let inARow = 0
	for (const { meta } of run.tables) {
		inARow = meta.storedBytes < smallBytes ? inARow + 1 : 0
		if (inARow >= SMALL_NEIGHBOURS) mayHold = true
	}
	smallCounts.set(run, { smallBytes, mayHold })
	return mayHold
}

/**
 * Small neighbours of which none is larger than the others together: at least 8, and on as long as they stay below a target
 * table. So few are left that cannot be merged: their sizes double from one to the next.
 */
function similarNeighbours(scene: Scene, run: SortedRun, smallBytes: number): readonly TableRef[] | undefined {
	const { tables } = run
	const fits = (table: TableRef | undefined, first: TableRef): table is TableRef =>
		table !== undefined &&
		table.meta.storedBytes < smallBytes &&
		isUsable(scene, table) &&
		isSameBucket(scene, first, table)
	for (let start = 0; start + SMALL_NEIGHBOURS <= tables.length; start++) {
		const first = tables[start] as TableRef
		let end = start
		let sum = 0
		let largest = 0
		while (fits(tables[end], first) && (end - start < SMALL_NEIGHBOURS || sum < 4 * smallBytes)) {
			const { storedBytes } = (tables[end++] as TableRef).meta
			sum += storedBytes
			largest = Math.max(largest, storedBytes)
			if (end - start >= SMALL_NEIGHBOURS && 2 * largest <= sum && sum >= 4 * smallBytes) break
		}
		if (end - start >= SMALL_NEIGHBOURS && 2 * largest <= sum) return tables.slice(start, end)
	}
	return undefined
}
