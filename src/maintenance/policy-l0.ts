/**
 * When and how L0 becomes part of the sorted runs.
 *
 * The oldest tables of L0 are merged, all that are due at once: as soon as they weigh as much as `l0Tables` large ones. A
 * table weighs by its bytes, so that commits of a few bytes are merged by the hundreds (two PUTs for 256 of them) and large
 * ones soon. Small runs that are newest go along: a PUT costs the same up to a megabyte.
 *
 * L0 is never taken out of order: what is not the oldest has to wait, or a run would stand above older entries.
 */
import { compareBytes } from '../bytes/compare.ts'
import { l0Weight } from '../manifest/l0-weight.ts'
import type { SortedRun, TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import type { Choice, MergeChoice, MoveChoice } from './choice.ts'
import type { CompactionSettings } from './options.ts'
import { bucketOf, bucketOfRun, isUsable, isUsableRun, type Scene } from './policy-scene.ts'
import { areDisjoint, factsOf, hullOf } from './run-facts.ts'

/** The smallest weight of a table in L0: 8 × 32 = 256 tiny ones are merged at once. */
const SMALLEST_WEIGHT = 1 / 32
/** Parts of a target table from which on a table of L0 weighs 1 and a run is too large to go along for nothing: 1 MiB of 32. */
const FULL_WEIGHT_PARTS = 32
/** Of one merge of L0: it stays small, and its inputs a bounded number of sources. */
const L0_MERGE_TARGET_TABLES = 8
const L0_MERGE_TABLES_MAX = 1024
/** A run that is this many times smaller than what is merged goes along: it costs next to nothing. */
const GO_ALONG_RATIO = 4

export function isL0Due(l0: readonly TableRef[], { l0Tables, targetTableBytes }: CompactionSettings): boolean {
	if (l0.length < l0Tables) return false
	return l0Weight(l0, targetTableBytes / FULL_WEIGHT_PARTS, SMALLEST_WEIGHT) >= l0Tables
}

export function chooseL0(scene: Scene, compaction: CompactionSettings): Choice | undefined {
	const { manifest, quarantined, reserved } = scene
	const oldest = manifest.l0[0]
	if (oldest === undefined || reserved.has(oldest.id)) return undefined
	if (quarantined.has(oldest.id)) {
		const why = 'the oldest table of L0 is set aside: it makes way'
		return { kind: 'move', tables: [oldest], runId: undefined, why }
	}
	if (!isL0Due(manifest.l0, compaction)) return undefined
	const prefix = takePrefix(scene, compaction)
	return chooseMove(scene, compaction, prefix) ?? mergeOf(scene, compaction, prefix)
}

/** The oldest tables that may be merged with one another. */
function takePrefix(scene: Scene, { targetTableBytes }: CompactionSettings): TableRef[] {
	const prefix: TableRef[] = []
	let bytes = 0
	for (const table of scene.manifest.l0) {
		const { storedBytes, maxWriteMs } = table.meta
		const first = prefix[0]
		if (!isUsable(scene, table) || prefix.length >= L0_MERGE_TABLES_MAX) break
		if (first !== undefined) {
			if (bytes + storedBytes > L0_MERGE_TARGET_TABLES * targetTableBytes) break
			if (bucketOf(scene, first.meta.maxWriteMs) !== bucketOf(scene, maxWriteMs)) break
		}
		prefix.push(table)
		bytes += storedBytes
	}
	return prefix
}

/** Large tables that overlap nothing beside them need no rewrite; nor does one that is alone in its bucket of time. */
function chooseMove(scene: Scene, compaction: CompactionSettings, prefix: readonly TableRef[]): MoveChoice | undefined {
	const isLarge = (table: TableRef): boolean => table.meta.storedBytes >= smallTableBytes(compaction)
	const count = prefix.findIndex((table, i) => !isLarge(table) || !areAllDisjoint(prefix, i))
	const moved = prefix.length === 1 ? prefix : prefix.slice(0, count === -1 ? prefix.length : count)
	// One of many would soon be a run for each table.
	if (moved.length === 0 || (moved.length < prefix.length && moved.length < compaction.l0Tables)) return undefined
	const newest = scene.manifest.runs[0]
	const sorted = sortedByKey(moved)
	const joins = newest !== undefined && isUsableRun(scene, newest) && areDisjoint(sorted, newest.tables)
	const why = 'the oldest tables of L0 overlap nothing beside them'
	return { kind: 'move', tables: sorted, runId: joins ? newest.id : undefined, why }
}

/** True when table `i` overlaps none before it. */
function areAllDisjoint(tables: readonly TableRef[], i: number): boolean {
	const table = tables[i] as TableRef
	return tables.slice(0, i).every(other => areDisjoint([other], [table]))
}

function mergeOf(scene: Scene, compaction: CompactionSettings, prefix: readonly TableRef[]): MergeChoice {
	const { runs } = scene.manifest
	const freeBytes = compaction.targetTableBytes / FULL_WEIGHT_PARTS
	const along: SortedRun[] = []
	let bytes = bytesOf(prefix)
	const bucket = bucketOf(scene, prefix[0]?.meta.maxWriteMs ?? 0)
	for (const run of runs) {
		const runBytes = factsOf(run).bytes
		if (!isUsableRun(scene, run) || bucketOfRun(scene, run) !== bucket) break
		if (runBytes > Math.max(freeBytes, bytes / GO_ALONG_RATIO)) break
		along.push(run)
		bytes += runBytes
	}
	const inputs = [...prefix.toReversed(), ...along.flatMap(run => run.tables)]
	const target = runs[along.length]
	return {
		kind: 'merge',
		trigger: 'l0',
		inputs,
		runId: target !== undefined && canJoin(scene, inputs, target) ? target.id : undefined,
		resume: undefined,
		bytes,
		isBottom: target === undefined,
		why: `L0 is due: tables=${prefix.length} of ${scene.manifest.l0.length} runs=${along.length}`,
	}
}

/** True when whatever `inputs` become lies in one gap between tables of `run`. */
export function canJoin(scene: Scene, inputs: readonly TableRef[], run: SortedRun): boolean {
	return isUsableRun(scene, run) && areDisjoint([hullOf(inputs)], run.tables)
}

/** Below this a table is merged with neighbours, so that runs do not become many small tables. */
export function smallTableBytes({ targetTableBytes }: CompactionSettings): number {
	return targetTableBytes / 4
}

function sortedByKey(tables: readonly TableRef[]): TableRef[] {
	return tables.toSorted((a, b) => compareBytes(a.meta.smallestKey, b.meta.smallestKey))
}
