/**
 * Positive controls: mistakes that engines of this kind were released with, each as a patch of our sources. The simulation has to find
 * each of them within a bounded number of histories; one that it does not find is a defect of the simulation.
 */
import type { SourcePatch } from '../support/patched-modules.ts'
import type { HistoryKind } from './settings.ts'

export interface PlantedBug {
	readonly name: string
	/** What goes wrong without the rule that it breaks. */
	readonly what: string
	readonly patches: readonly SourcePatch[]
	/** It is looked for in histories of this kind. */
	readonly kind: HistoryKind
	/** Histories in which it must have been found. Where it takes many the margin is thin from some seeds; CI begins with one. */
	readonly historiesMax: number
}

/** Merges run in TypeScript, not in the kernel, for a bug that is planted there. */
const WITHOUT_KERNEL: SourcePatch = {
	file: 'workers/merge-tables.ts',
	find: 'withoutKernel ? undefined : kernelFor(setup)',
	replace: 'undefined',
}

function bug(
	kind: HistoryKind,
	name: string,
	what: string,
	historiesMax: number,
	file: string,
	find: string,
	replace: string,
): PlantedBug {
	const patches: SourcePatch[] = [{ file, find, replace }]
	if (file.startsWith('src/sst/merge-')) patches.push(WITHOUT_KERNEL)
	return { name, what, kind, historiesMax, patches }
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
	bug(
		'short',
		'acknowledge-before-commit',
		'a write is durable for its caller before its record stands',
		400,
		'src/writer/committer.ts',
		'await committed\n',
		'',
	),
	bug(
		'short',
		'flush-does-not-wait',
		'flush resolves while commits are on their way',
		400,
		'src/writer/writer.ts',
		'return (await this.#buffer.newestCommit) ?? this.manifest.writerPosition',
		'return this.manifest.writerPosition',
	),
	bug(
		'short',
		'unknown-is-committed',
		'a PUT without an answer is taken for one that took effect',
		400,
		'src/log/log-owner.ts',
		"if (outcome.kind === 'created') return",
		"if (outcome.kind !== 'exists') return",
	),
	bug(
		'short',
		'exists-is-ours',
		'a slot that somebody else has taken counts as committed: a fenced writer does not notice',
		400,
		'src/log/log-owner.ts',
		"if (outcome.kind === 'created') return",
		"if (outcome.kind !== 'unknown') return",
	),
	bug(
		'short',
		'claim-without-seal',
		'a claimer that lost the race for the slot becomes owner all the same',
		400,
		'src/log/claim.ts',
		'if (!(await createSeal(options, end.position, owner))) {',
		'if (!(await createSeal(options, end.position, owner)) && end.position.epoch < 0) {',
	),
	bug(
		'long',
		'sequence-from-tables',
		'the high-water mark of sequence numbers is that of the live tables, and goes back when tombstones are gone',
		400,
		'src/writer/writer.ts',
		'this.#buffer = new WriteBuffer(settings, manifest.lastSeq)',
		'this.#buffer = new WriteBuffer(settings, Math.max(0, ...[...manifest.l0, ...manifest.runs.flatMap(run => run.tables)].map(table => table.meta.maxSeq)))',
	),
	bug(
		'short',
		'frozen-memtables-unread',
		'what is on its way to the store is not seen by reads of the process that wrote it',
		600,
		'src/writer/writer.ts',
		'memtables: this.#buffer.memtables, maxSeq',
		'memtables: this.#buffer.memtables.slice(0, 1), maxSeq',
	),
	bug(
		'long',
		'tombstones-dropped-early',
		'a merge drops tombstones above older versions: what was deleted comes back',
		600,
		'src/sst/merge-output.ts',
		'if (kind === KIND_TOMBSTONE && dropTombstones) {',
		'if (kind === KIND_TOMBSTONE) {',
	),
	bug(
		'long',
		'oldest-version-wins',
		'a merge keeps the oldest version of a key',
		400,
		'src/sst/merge-tree.ts',
		'return seqs > 0',
		'return seqs < 0',
	),
	bug(
		'long',
		'grace-ignored',
		'removed objects are deleted under those who still read them',
		1600,
		'src/maintenance/grace-watch.ts',
		'next !== undefined && nowMs - next.sinceMs >= this.#graceMs;',
		'next !== undefined && nowMs >= next.sinceMs;',
	),
	bug(
		'long',
		'live-records-deleted',
		'the collector deletes log records whose inline tables are live',
		800,
		'src/maintenance/log-sweep.ts',
		'const candidates = group.filter(object => !isNeeded(object.key))',
		'const candidates = [...group]',
	),
	bug(
		'long',
		'seals-deleted',
		'the collector deletes seals with the records before them',
		1600,
		'src/maintenance/log-sweep.ts',
		"if (record?.kind !== 'seal') doomed.push(object)",
		'doomed.push(object)',
	),
	bug(
		'short',
		'uploads-in-flight-collected',
		'orphans are looked for in the epoch that is still written',
		400,
		'src/maintenance/orphans.ts',
		'const next = (swept: number, end: number): number => Math.max(swept, Math.min(end, swept + EPOCHS_PER_SWEEP))',
		'const next = (swept: number, end: number): number => Math.max(swept, Math.min(end + 1, swept + EPOCHS_PER_SWEEP))',
	),
	bug(
		'long',
		'retention-drops-newer-first',
		'retention drops a table above older ones that overlap it: deleted data comes back',
		6400,
		'src/maintenance/policy-drop.ts',
		'if (isGone(table) && !below.some(survivors => overlapsAny(survivors, table))) dropped.push(table)',
		'if (isGone(table)) dropped.push(table)',
	),
	bug(
		'short',
		'cursor-repeats',
		'a tail that resumes shows the change of its cursor again',
		6400,
		'src/tail/change-reader.ts',
		'if (seqAtPlace(table, middle) <= seq) low = middle + 1',
		'if (seqAtPlace(table, middle) < seq) low = middle + 1',
	),
	bug(
		'long',
		'stream-ends-with-its-object',
		'a stream ends when its object is gone, although the value lies elsewhere now',
		6400,
		'src/reader/get-stream.ts',
		'if (found?.seq !== seq) throw valueIsGone(cause)',
		'if (found?.seq !== -1) throw valueIsGone(cause)',
	),
	bug(
		'short',
		'plain-error',
		'a store that does not answer becomes an error without a code',
		400,
		'src/object-store/retrying-store.ts',
		'throw spent(retry, error)',
		"throw new Error('gave up')",
	),
	bug(
		'long',
		'pins-ignored',
		'the collector deletes what only a pin keeps',
		1600,
		'src/maintenance/collector.ts',
		'const doomed = candidates.filter(object => !isKept(object.objectKey))',
		'const doomed = candidates.filter(object => !isKept(object.objectKey) || true)',
	),
	bug(
		'long',
		'saved-before-handled',
		'a consumer saves the cursor of a change whose handler has not finished',
		800,
		'src/tail/consume.ts',
		'const handling: Handling = { cursor: change.cursor, isDone: false }',
		'const handling: Handling = { cursor: change.cursor, isDone: true }',
	),
	bug(
		'short',
		'staleness-ignored',
		'a reader with a bound of staleness takes any view for new enough',
		2000,
		'src/reader/freshness.ts',
		'return monotonicMs >= sinceMs && wallMs >= sinceWallMs',
		'return monotonicMs >= sinceMs - 1e9 && wallMs >= sinceWallMs - 1e9',
	),
	bug(
		'short',
		'position-ignored',
		'a read that wants a position does not wait for it',
		4000,
		'src/reader/freshness.ts',
		'comparePositions(this.#follower.manifest.writerPosition, position) >= 0',
		'comparePositions(this.#follower.manifest.writerPosition, position) >= -9',
	),
	bug(
		'short',
		'expired-entries-shown',
		'a scan shows what has expired',
		2000,
		'src/reader/scan-merge.ts',
		'if (kind === KIND_TOMBSTONE || isExpired(page.block.expiresAtMsAt(index), this.#nowMs)) return',
		'if (kind === KIND_TOMBSTONE) return',
	),
	bug(
		'short',
		'time-goes-back',
		'commits are of the time of their writer, however far its clock is behind the one before',
		4000,
		'src/writer/committer.ts',
		'this.#lastCommitMs = Math.max(this.#lastCommitMs, host.clock.nowMs())',
		'this.#lastCommitMs = host.clock.nowMs()',
	),
	// What the simulation found in this engine, planted again.
	bug(
		'long',
		'due-while-collecting',
		'what falls due in the milliseconds of a collection waits until something else happens',
		6400,
		'src/maintenance/collector.ts',
		'ms + changeRetentionMs > this.#beganMs',
		'ms + changeRetentionMs > nowMs',
	),
	bug(
		'long',
		'housekeeping-forgotten',
		'a maintainer that goes on after runOnce forgets when it has to look again',
		400,
		'src/maintenance/active-session.ts',
		'if (dueMs !== undefined) this.#tendAtMs = Math.min(dueMs, this.#tendAtMs ?? dueMs)',
		'',
	),
	bug(
		'short',
		'pin-of-nothing',
		'a reader pins where no database is, and none can be made there any more',
		4000,
		'src/reader/pins.ts',
		'if (comparePositions(manifest.writerPosition, LOG_START) === 0) throw noDatabase()',
		'',
	),
	bug(
		'long',
		'marker-of-zeros',
		'a power cut that leaves zeros in the marker of a cache keeps everybody from opening it',
		800,
		'src/cache/disk-directory.ts',
		"MARKER.startsWith(text.replace(/\\0+$/, ''))",
		'MARKER.startsWith(text)',
	),
]
