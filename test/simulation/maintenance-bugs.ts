/** Planted bugs of maintenance. */

import { bug, type PlantedBug } from './planted-bug.ts'

export const MAINTENANCE_BUGS: readonly PlantedBug[] = [
	bug(
		'long',
		'empty-merge-forgotten',
		'a merge of which nothing is left leaves its inputs where they are, and is chosen again for ever',
		1600,
		'src/maintenance/merge-run.ts',
		"return await this.#append({ kind: 'replace', remove: this.#tableIds, add, addPacks: [] }, ...note)",
		"return add.length === 0 || (await this.#append({ kind: 'replace', remove: this.#tableIds, add, addPacks: [] }, ...note))",
	),
	bug(
		'long',
		'clock-trusted',
		'a maintainer believes its own clock: what it takes for expired is dropped',
		12_800,
		'src/maintenance/store-clock.ts',
		'return skewMs !== undefined && Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS',
		'return skewMs !== undefined',
	),
	bug(
		'long',
		'packs-never-removed',
		'packs of values stay when no table uses them any more',
		400,
		'src/manifest/fold-edits.ts',
		'const unused = new Set(lost.flatMap(table => table.meta.blobUses.map(use => use.packId)))',
		'const unused = new Set<string>()',
	),
	bug(
		'long',
		'own-readers-unprotected',
		'a maintainer deletes what a snapshot in its own process still reads',
		12_800,
		'src/maintenance/collector.ts',
		'protectedPosition: options.protectedPosition,',
		'protectedPosition: undefined,',
	),
	bug(
		'long',
		'expired-entry-leaves-nothing',
		'an expired entry goes without a tombstone although an older version of its key is below it',
		12_800,
		'src/sst/merge-output.ts',
		'if (!dropTombstones) this.#addMade(block, i, seq, KIND_TOMBSTONE, 0, NO_BYTES, times)',
		'',
	),
	bug(
		'long',
		'removed-by-others-forgotten',
		'whoever has removed an object is the only one who deletes it: after a crash nobody does',
		800,
		'src/maintenance/collector.ts',
		'const candidates = deletableObjects(state.manifest, limits)',
		'const candidates = deletableObjects(state.manifest, limits).filter(({ removedAt }) => removedAt.epoch === state.epoch)',
	),
]
