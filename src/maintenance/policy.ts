/**
 * What maintenance does next: a pure function of the manifest, the time and the settings.
 *
 * In order: what somebody began; what goes without a rewrite; L0; runs; tables within runs; blob packs. A choice that is too
 * large for now makes way for a smaller one. When nothing is chosen, `nextDueMs` says when time alone makes work.
 *
 * Invariants: a choice touches no busy table, reads none that is set aside, and applying it brings the manifest nearer to rest
 * (the properties are in test/maintenance/policy-properties.test.ts).
 */
import type { Manifest, PendingMerge, SortedRun, TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import type { AbandonChoice, Choice, MergeChoice } from './choice.ts'
import type { CompactionSettings, MaintenanceSettings } from './options.ts'
import { choosePacks } from './policy-blobs.ts'
import { chooseDrop, nextDropMs } from './policy-drop.ts'
import { canJoin, chooseL0 } from './policy-l0.ts'
import { chooseJoin, chooseRunMerge, nextClosedBucketMs } from './policy-runs.ts'
import { largeMergeBytes, makeScene, type PolicyContext, type Scene } from './policy-scene.ts'
import { chooseTables } from './policy-tables.ts'

const NOTHING_BUSY: PolicyContext = { busy: new Set(), quarantined: new Set() }

/** The most urgent work that touches nothing busy, or `undefined`. */
export function choose(
	manifest: Manifest,
	nowMs: number,
	settings: MaintenanceSettings,
	context: PolicyContext = NOTHING_BUSY,
): Choice | undefined {
	const scene = makeScene(manifest, nowMs, settings, context)
	const { compaction } = settings
	if (compaction === undefined) return chooseDrop(scene) ?? choosePacks(scene)
	return (
		choosePending(scene, compaction) ??
		chooseDrop(scene) ??
		chooseL0(scene, compaction) ??
		chooseJoin(scene) ??
		chooseRunMerge(scene, compaction) ??
		chooseTables(scene, compaction) ??
		choosePacks(scene)
	)
}

/** When time alone makes work, by the wall clock: later than `nowMs`. `undefined`: only a commit or an edit does. */
export function nextDueMs(manifest: Manifest, nowMs: number, settings: MaintenanceSettings): number | undefined {
	const scene = makeScene(manifest, nowMs, settings, NOTHING_BUSY)
	const bucketMs = settings.compaction === undefined ? undefined : nextClosedBucketMs(scene)
	const dueMs = Math.min(nextDropMs(scene) ?? Infinity, bucketMs ?? Infinity)
	return dueMs === Infinity ? undefined : dueMs
}

/** Goes on with what was begun, or gives up what cannot be gone on with. */
function choosePending(scene: Scene, compaction: CompactionSettings): MergeChoice | AbandonChoice | undefined {
	const { manifest, busy, quarantined, isLargeAllowed } = scene
	for (const merge of manifest.pendingMerges) {
		if (merge.inputs.some(id => busy.has(id))) continue
		if (merge.inputs.some(id => quarantined.has(id))) {
			return { kind: 'abandon', merge, why: `an input of merge ${merge.runId} is set aside` }
		}
		const place = placeOf(manifest, merge)
		if (place === undefined)
			return { kind: 'abandon', merge, why: `merge ${merge.runId} does not fit the runs any more` }
		const bytes = bytesOf(place.inputs)
		if (!isLargeAllowed && bytes >= largeMergeBytes(compaction)) continue
		const { inputs, run, older } = place
		const target = older[0]
		const joins = target !== undefined && place.hasL0 && canJoin(scene, inputs, target)
		return {
			kind: 'merge',
			trigger: 'resume',
			inputs,
			runId: run?.id ?? (joins ? target.id : undefined),
			resume: merge,
			bytes,
			isBottom: older.length === 0,
			why: `goes on with merge ${merge.runId}: tables=${inputs.length} done=${merge.outputs.length}`,
		}
	}
	return undefined
}

interface MergePlace {
	readonly inputs: readonly TableRef[]
	readonly hasL0: boolean
	/** The run whose neighbours are rewritten in place. */
	readonly run: SortedRun | undefined
	/** Newest first. */
	readonly older: readonly SortedRun[]
}

/** Where the inputs of a merge stand: the oldest of L0 and whole runs that follow, or neighbours in a run. */
function placeOf({ l0, runs }: Manifest, { inputs: ids }: PendingMerge): MergePlace | undefined {
	const wanted = new Set(ids)
	const isIn = (table: TableRef): boolean => wanted.has(table.id)
	const fromL0 = l0.filter(isIn)
	if (fromL0.some((table, i) => table !== l0[i])) return undefined
	const start = runs.findIndex(run => run.tables.some(isIn))
	if (start === -1) {
		const isAll = fromL0.length === wanted.size
		return isAll ? { inputs: fromL0.toReversed(), hasL0: true, run: undefined, older: runs } : undefined
	}
	let end = start
	while (end < runs.length && (runs[end] as SortedRun).tables.every(isIn)) end++
	const whole = runs.slice(start, end)
	const inputs = [...fromL0.toReversed(), ...whole.flatMap(run => run.tables)]
	if (inputs.length === wanted.size && (fromL0.length === 0 || start === 0)) {
		return { inputs, hasL0: fromL0.length > 0, run: undefined, older: runs.slice(end) }
	}
	const run = runs[start] as SortedRun
	const first = run.tables.findIndex(isIn)
	const neighbours = run.tables.slice(first, first + wanted.size)
	if (neighbours.length < wanted.size || !neighbours.every(isIn)) return undefined
	return { inputs: neighbours, hasL0: false, run, older: runs.slice(start + 1) }
}
