/** A memtable as simple as it can be, and ways to read the real one as plainly. */
import { compareBytes } from '../../src/bytes/compare.ts'
import type { SortedEntries } from '../../src/memtable/sorted-entries.ts'
import type { EntryKind } from '../../src/sst/entry.ts'

export interface ModelEntry {
	readonly key: Uint8Array
	readonly seq: number
	readonly kind: EntryKind
	readonly expiresAtMs: number
	readonly value: Uint8Array
}

export class MemtableModel {
	baseSeq: number
	entries: ModelEntry[] = []

	constructor(baseSeq: number) {
		this.baseSeq = baseSeq
	}

	startOver(baseSeq: number): void {
		this.baseSeq = baseSeq
		this.entries = []
	}

	put(key: Uint8Array, value: Uint8Array, kind: EntryKind, expiresAtMs: number): void {
		this.entries.push({ key, seq: this.baseSeq + this.entries.length, kind, expiresAtMs, value })
	}

	get(key: Uint8Array, maxSeq: number): ModelEntry | undefined {
		return this.entries.findLast(entry => entry.seq <= maxSeq && compareBytes(entry.key, key) === 0)
	}

	sorted(): ModelEntry[] {
		return mergeRuns([this.entries])
	}
}

/** All entries of all runs: key ascending, then newest first. */
export function mergeRuns(runs: readonly (readonly ModelEntry[])[]): ModelEntry[] {
	return runs.flat().toSorted((a, b) => compareBytes(a.key, b.key) || b.seq - a.seq)
}

/** Copies a run out, after a check that it is in order. */
export function contentsOf(run: SortedEntries): ModelEntry[] {
	const entries = Array.from({ length: run.count }, (_, i) => ({
		key: run.keyAt(i),
		seq: run.seqAt(i),
		kind: run.kindAt(i),
		expiresAtMs: run.expiresAtMsAt(i),
		value: run.valueViewAt(i).slice(),
	}))
	entries.forEach((entry, i) => {
		const before = entries[i - 1]
		if (before === undefined) return
		const order = compareBytes(before.key, entry.key)
		if (order > 0 || (order === 0 && before.seq <= entry.seq)) throw new Error(`entry ${i} of a run is out of order`)
	})
	return entries
}
