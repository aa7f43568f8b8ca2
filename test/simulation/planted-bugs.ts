/**
 * Positive controls: mistakes that engines of this kind were released with, each as a patch of our sources. The simulation has to find
 * each of them within a bounded number of histories; one that it does not find is a defect of the simulation.
 */
import type { SourcePatch } from '../support/patched-modules.ts'

export interface PlantedBug {
	readonly name: string
	/** What goes wrong without the rule that it breaks. */
	readonly what: string
	readonly patches: readonly SourcePatch[]
	/** Histories in which it must have been found, from any seed: four times what it took at most, from three of them. */
	readonly historiesMax: number
}

/** Merges run in TypeScript, not in the kernel, for a bug that is planted there. */
const WITHOUT_KERNEL: SourcePatch = {
	file: 'workers/merge-tables.ts',
	find: 'withoutKernel ? undefined : kernelFor(setup)',
	replace: 'undefined',
}

function bug(
	name: string,
	what: string,
	historiesMax: number,
	file: string,
	find: string,
	replace: string,
): PlantedBug {
	const patches: SourcePatch[] = [{ file, find, replace }]
	if (file.startsWith('src/sst/merge-')) patches.push(WITHOUT_KERNEL)
	return { name, what, historiesMax, patches }
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
	bug(
		'acknowledge-before-commit',
		'a write is durable for its caller before its record stands',
		400,
		'src/writer/committer.ts',
		'await committed\n',
		'',
	),
	bug(
		'flush-does-not-wait',
		'flush resolves while commits are on their way',
		400,
		'src/writer/writer.ts',
		'return (await this.#buffer.newestCommit) ?? this.manifest.writerPosition',
		'return this.manifest.writerPosition',
	),
	bug(
		'unknown-is-committed',
		'a PUT without an answer is taken for one that took effect',
		400,
		'src/log/log-owner.ts',
		"if (outcome.kind === 'created') return",
		"if (outcome.kind !== 'exists') return",
	),
	bug(
		'exists-is-ours',
		'a slot that somebody else has taken counts as committed: a fenced writer does not notice',
		400,
		'src/log/log-owner.ts',
		"if (outcome.kind === 'created') return",
		"if (outcome.kind !== 'unknown') return",
	),
	bug(
		'claim-without-seal',
		'a claimer that lost the race for the slot becomes owner all the same',
		400,
		'src/log/claim.ts',
		'if (!(await createSeal(options, end.position, owner))) {',
		'if (!(await createSeal(options, end.position, owner)) && end.position.epoch < 0) {',
	),
	bug(
		'sequence-from-tables',
		'the high-water mark of sequence numbers is that of the live tables, and goes back when tombstones are gone',
		400,
		'src/writer/writer.ts',
		'this.#buffer = new WriteBuffer(settings, manifest.lastSeq)',
		'this.#buffer = new WriteBuffer(settings, Math.max(0, ...[...manifest.l0, ...manifest.runs.flatMap(run => run.tables)].map(table => table.meta.maxSeq)))',
	),
	bug(
		'frozen-memtables-unread',
		'what is on its way to the store is not seen by reads of the process that wrote it',
		600,
		'src/writer/writer.ts',
		'memtables: this.#buffer.memtables, maxSeq',
		'memtables: this.#buffer.memtables.slice(0, 1), maxSeq',
	),
	bug(
		'tombstones-dropped-early',
		'a merge drops tombstones above older versions: what was deleted comes back',
		600,
		'src/sst/merge-output.ts',
		'if (kind === KIND_TOMBSTONE && dropTombstones) {',
		'if (kind === KIND_TOMBSTONE) {',
	),
	bug(
		'oldest-version-wins',
		'a merge keeps the oldest version of a key',
		400,
		'src/sst/merge-tree.ts',
		'return seqs > 0',
		'return seqs < 0',
	),
	bug(
		'grace-ignored',
		'removed objects are deleted under those who still read them',
		1600,
		'src/maintenance/grace-watch.ts',
		'next !== undefined && nowMs - next.sinceMs >= this.#graceMs;',
		'next !== undefined && nowMs >= next.sinceMs;',
	),
	bug(
		'live-records-deleted',
		'the collector deletes log records whose inline tables are live',
		800,
		'src/maintenance/log-sweep.ts',
		'const candidates = group.filter(object => !isNeeded(object.key))',
		'const candidates = [...group]',
	),
	bug(
		'seals-deleted',
		'the collector deletes seals with the records before them',
		1600,
		'src/maintenance/log-sweep.ts',
		"if (record?.kind !== 'seal') doomed.push(object)",
		'doomed.push(object)',
	),
	bug(
		'uploads-in-flight-collected',
		'orphans are looked for in the epoch that is still written',
		400,
		'src/maintenance/orphans.ts',
		'const next = (swept: number, end: number): number => Math.max(swept, Math.min(end, swept + EPOCHS_PER_SWEEP))',
		'const next = (swept: number, end: number): number => Math.max(swept, Math.min(end + 1, swept + EPOCHS_PER_SWEEP))',
	),
	bug(
		'retention-drops-newer-first',
		'retention drops a table above older ones that overlap it: deleted data comes back',
		6400,
		'src/maintenance/policy-drop.ts',
		'if (isGone(table) && !below.some(survivors => overlapsAny(survivors, table))) dropped.push(table)',
		'if (isGone(table)) dropped.push(table)',
	),
	bug(
		'cursor-repeats',
		'a tail that resumes shows the change of its cursor again',
		600,
		'src/tail/change-reader.ts',
		'if (seqAtPlace(table, middle) <= seq) low = middle + 1',
		'if (seqAtPlace(table, middle) < seq) low = middle + 1',
	),
	bug(
		'plain-error',
		'a store that does not answer becomes an error without a code',
		400,
		'src/object-store/retrying-store.ts',
		'throw spent(retry, error)',
		"throw new Error('gave up')",
	),
	// What the simulation found in this engine, planted again.
	bug(
		'due-while-collecting',
		'what falls due in the milliseconds of a collection waits until something else happens',
		6400,
		'src/maintenance/collector.ts',
		'dueMs.filter(due => due > this.#beganMs)',
		'dueMs.filter(due => due > nowMs)',
	),
	bug(
		'housekeeping-forgotten',
		'a maintainer that goes on after runOnce forgets when it has to look again',
		400,
		'src/maintenance/active-session.ts',
		'if (dueMs !== undefined) this.#tendAtMs = Math.min(dueMs, this.#tendAtMs ?? dueMs)',
		'',
	),
]
