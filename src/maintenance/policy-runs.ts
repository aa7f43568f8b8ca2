/**
 * Which sorted runs are merged with one another. Only runs that follow one another in age ever are.
 *
 * * Runs of like size, `runs` of them at least: each entry is then rewritten about once each time the data above it has grown
 *   by that factor (size-tiered compaction).
 * * Newer runs that hold half as much as the oldest one overlaps are merged into it, so that space stays below 1.5 times what
 *   is live (lazy leveling: tiers above, one level below; Dayan and Idreos, SIGMOD 2018). A tombstone counts as an entry that
 *   it deletes.
 * * Many tombstones above a little that they delete are merged down, so that scans need not step over them.
 * * More runs than reads should have to look at: the cheapest neighbours.
 * * With retention runs are merged within a bucket of time only, to one when the bucket is over (time-window compaction, as in
 *   Cassandra), and space is bounded by the period.
 *
 * Every merge of runs leaves fewer of them, so none of this goes on for ever.
 */
import type { SortedRun } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import type { MergeChoice, MergeTrigger, MoveChoice } from './choice.ts'
import type { CompactionSettings } from './options.ts'
import { bucketOf, bucketOfRun, isUsableRun, largeMergeBytes, type Scene } from './policy-scene.ts'
import { areDisjoint, factsOf, overlappingOf } from './run-facts.ts'

/** A run is of like size when it is at most so many times what is newer in the same merge. */
const SIMILAR_RATIO = 1.25
/** Newer runs beside the oldest: space amplification is at most 1 + this, and each full merge writes 1 + 1 / this for a byte. */
const SPACE_RATIO = 0.5
/** Part of a run's entries that are tombstones, from which on it is merged down for their sake. */
const TOMBSTONE_DENSITY = 0.3
/** Runs that a read has to look at, in times of `runs`, at most. Size tiers alone need about 3 for each factor of `runs`. */
const RUNS_MAX_FACTOR = 6
const BUCKETS_MAX = 512
/** Tables that one edit may put into another run. */
const MOVED_TABLES_MAX = 4096

/** Runs beside one another that overlap nowhere become one: an edit, and one place less to look for reads. */
export function chooseJoin(scene: Scene): MoveChoice | undefined {
	const { runs } = scene.manifest
	for (let i = 0; i + 1 < runs.length; i++) {
		const [newer, older] = [runs[i] as SortedRun, runs[i + 1] as SortedRun]
		if (Math.min(newer.tables.length, older.tables.length) > MOVED_TABLES_MAX) continue
		if (!isUsableRun(scene, newer) || !isUsableRun(scene, older) || !mayShareRun(scene, newer, older)) continue
		if (!areDisjoint(newer.tables, older.tables)) continue
		const [moved, stays] = newer.tables.length < older.tables.length ? [newer, older] : [older, newer]
		const why = `runs beside one another overlap nowhere: tables=${moved.tables.length} and ${stays.tables.length}`
		return { kind: 'move', tables: moved.tables, runId: stays.id, why }
	}
	return undefined
}

/** A bucket that still grows keeps runs of its own: what shares a run with another bucket is not merged any more. */
function mayShareRun(scene: Scene, newer: SortedRun, older: SortedRun): boolean {
	if (scene.settings.retention === undefined) return true
	const bucket = bucketOfRun(scene, newer)
	return bucket !== undefined && (bucket === bucketOfRun(scene, older) || bucket < bucketOf(scene, scene.nowMs))
}

/** The most useful merge of runs, small ones first. */
export function chooseRunMerge(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const windows = [spaceWindow, similarWindow, closedWindow, tombstoneWindow, crowdedWindow]
	for (const find of windows) {
		const choice = find(scene, compaction)
		if (choice !== undefined) return choice
	}
	return undefined
}

/** All merges that a finder may answer are made here; one that is too large for now is `undefined`. */
function mergeOf(
	scene: Scene,
	compaction: CompactionSettings,
	[start, end]: readonly [number, number],
	trigger: MergeTrigger,
	why: string,
): MergeChoice | undefined {
	const { runs } = scene.manifest
	const merged = runs.slice(start, end)
	const bytes = merged.reduce((sum, run) => sum + factsOf(run).bytes, 0)
	if (!scene.isLargeAllowed && bytes >= largeMergeBytes(compaction)) return undefined
	return {
		kind: 'merge',
		trigger,
		inputs: merged.flatMap(run => run.tables),
		runId: undefined,
		resume: undefined,
		bytes,
		isBottom: end === runs.length,
		why: `${why}: runs=${merged.length} of ${runs.length} bytes=${bytes}`,
	}
}

function spaceWindow(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const { runs } = scene.manifest
	const bottom = runs.at(-1)
	if (bottom === undefined || scene.settings.retention !== undefined) return undefined
	let start = runs.length
	while (start > 0 && isUsableRun(scene, runs[start - 1] as SortedRun)) start--
	const newer = runs.slice(start, -1)
	if (newer.length === 0) return undefined
	const { bytes, entryCount } = factsOf(bottom)
	const entryBytes = bytes / entryCount
	const weight = newer.reduce((sum, run) => sum + factsOf(run).bytes + factsOf(run).tombstoneCount * entryBytes, 0)
	// Only what overlaps is rewritten, and only that can hold what newer runs have replaced.
	if (weight < SPACE_RATIO * Math.max(...newer.map(run => overlappedBytes(run, bottom)))) return undefined
	return mergeOf(scene, compaction, [start, runs.length], 'space', 'newer runs are large beside the oldest')
}

function similarWindow(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const { runs } = scene.manifest
	for (let start = 0; start < runs.length; start++) {
		const end = similarEnd(scene, start)
		if (end - start < compaction.runs) continue
		const choice = mergeOf(scene, compaction, [start, end], 'similar-runs', 'runs of like size')
		if (choice !== undefined) return choice
	}
	return undefined
}

/** Where runs of like size and one bucket end that begin at `start`. */
function similarEnd(scene: Scene, start: number): number {
	const { runs } = scene.manifest
	const first = runs[start] as SortedRun
	const bucket = bucketOfRun(scene, first)
	if (bucket === undefined || !isUsableRun(scene, first)) return start
	let { bytes } = factsOf(first)
	let end = start + 1
	for (; end < runs.length; end++) {
		const run = runs[end] as SortedRun
		const next = factsOf(run).bytes
		if (next > SIMILAR_RATIO * bytes || bucketOfRun(scene, run) !== bucket || !isUsableRun(scene, run)) break
		bytes += next
	}
	return end
}

function closedWindow(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	if (scene.settings.retention === undefined) return undefined
	const { runs, l0 } = scene.manifest
	const oldestL0 = l0.reduce((oldest, { meta }) => Math.min(oldest, bucketOf(scene, meta.maxWriteMs)), Infinity)
	const openBucket = Math.min(oldestL0, bucketOf(scene, scene.nowMs))
	for (let start = 0; start < runs.length; start++) {
		const bucket = bucketOfRun(scene, runs[start] as SortedRun)
		if (bucket === undefined || bucket >= openBucket) continue
		let end = start
		while (end < runs.length && isOf(scene, runs[end] as SortedRun, bucket)) end++
		if (end - start < 2) continue
		const choice = mergeOf(scene, compaction, [start, end], 'closed-bucket', 'a bucket of time is over')
		if (choice !== undefined) return choice
	}
	return undefined
}

/** When a bucket that has several runs will be over. */
export function nextClosedBucketMs(scene: Scene): number | undefined {
	const { runs } = scene.manifest
	const { retention } = scene.settings
	const [newest, second] = runs
	if (retention === undefined || newest === undefined || second === undefined) return undefined
	const bucket = bucketOfRun(scene, newest)
	if (bucket === undefined || bucketOfRun(scene, second) !== bucket) return undefined
	const overMs = (bucket + 1) * retention.bucketMs
	return overMs > scene.nowMs ? overMs : undefined
}

function isOf(scene: Scene, run: SortedRun, bucket: number): boolean {
	return bucketOfRun(scene, run) === bucket && isUsableRun(scene, run)
}

function tombstoneWindow(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const { runs } = scene.manifest
	for (let i = 0; i + 1 < runs.length; i++) {
		const [newer, older] = [runs[i] as SortedRun, runs[i + 1] as SortedRun]
		const { tombstoneCount, entryCount } = factsOf(newer)
		if (tombstoneCount < TOMBSTONE_DENSITY * entryCount) continue
		const bucket = bucketOfRun(scene, newer)
		if (bucket === undefined || !isOf(scene, newer, bucket) || !isOf(scene, older, bucket)) continue
		const oldFacts = factsOf(older)
		const deletedBytes = tombstoneCount * (oldFacts.bytes / oldFacts.entryCount)
		if (deletedBytes < SPACE_RATIO * overlappedBytes(newer, older)) continue
		const choice = mergeOf(scene, compaction, [i, i + 2], 'tombstones', 'tombstones above what they delete')
		if (choice !== undefined) return choice
	}
	return undefined
}

function crowdedWindow(scene: Scene, compaction: CompactionSettings): MergeChoice | undefined {
	const { runs } = scene.manifest
	const excess = runs.length - runsMax(scene, compaction)
	if (excess <= 0) return undefined
	// Where there is no stretch that is long enough, a shorter one helps, too.
	for (let count = Math.min(excess + 1, runs.length); count >= 2; count--) {
		const cheapest = cheapestStretch(scene, count)
		if (cheapest === undefined) continue
		const choice = mergeOf(scene, compaction, cheapest, 'too-many-runs', 'more runs than reads should look at')
		if (choice !== undefined) return choice
	}
	return undefined
}

/** The `count` usable runs beside one another with the fewest bytes. */
function cheapestStretch(scene: Scene, count: number): readonly [number, number] | undefined {
	const { runs } = scene.manifest
	const usable = runs.map(run => isUsableRun(scene, run))
	let cheapest: readonly [number, number] | undefined
	let leastBytes = Infinity
	for (let start = 0; start + count <= runs.length; start++) {
		if (!usable.slice(start, start + count).every(Boolean)) continue
		const bytes = runs.slice(start, start + count).reduce((sum, run) => sum + factsOf(run).bytes, 0)
		if (bytes >= leastBytes) continue
		leastBytes = bytes
		cheapest = [start, start + count]
	}
	return cheapest
}

/** With retention each bucket needs a run, and its neighbour may not be merged with it: two more for each. */
export function runsMax({ settings: { retention } }: Scene, compaction: CompactionSettings): number {
	const tiers = RUNS_MAX_FACTOR * compaction.runs
	if (retention === undefined) return tiers
	return tiers + 2 * Math.min(BUCKETS_MAX, Math.ceil(retention.retentionPeriodMs / retention.bucketMs) + 1)
}

const overlappedByPair = new WeakMap<SortedRun, WeakMap<SortedRun, number>>()

/** Bytes of the tables of `older` that overlap `newer`: counted once for each pair. */
function overlappedBytes(newer: SortedRun, older: SortedRun): number {
	let ofNewer = overlappedByPair.get(newer)
	if (ofNewer === undefined) {
		ofNewer = new WeakMap()
		overlappedByPair.set(newer, ofNewer)
	}
	let bytes = ofNewer.get(older)
	if (bytes === undefined) {
		bytes = bytesOf(overlappingOf(newer.tables, older.tables))
		ofNewer.set(older, bytes)
	}
	return bytes
}
