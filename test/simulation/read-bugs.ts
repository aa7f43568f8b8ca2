/** Planted bugs of reads and of tails. */

import { bug, type PlantedBug } from './planted-bug.ts'

export const READ_BUGS: readonly PlantedBug[] = [
	{
		name: 'first-level-wins',
		what: 'a get takes what the first table has, in the order of a list, and not what is newest',
		kind: 'long',
		historiesMax: 400,
		patches: [
			{ file: 'src/reader/search-plan.ts', find: 'drafts.sort((a, b) => b.maxSeq - a.maxSeq)', replace: '' },
			{
				file: 'src/reader/lookup.ts',
				find: 'if (foundSeq >= (maxSeqs[level] as number)) break',
				replace: 'if (foundSeq >= 0) break',
			},
			{
				file: 'src/reader/cold-lookup.ts',
				find: 'if (foundSeq >= (plan.maxSeqs[level] as number)) break',
				replace: 'if (foundSeq >= 0) break',
			},
		],
	},
	bug(
		'short',
		'backwards-oldest',
		'a scan backwards gives the oldest version of a key that stands in several tables',
		400,
		'src/reader/scan-merge.ts',
		'return this.#reverse ? -newer : newer',
		'return newer',
	),
	bug(
		'short',
		'view-kept-for-ever',
		'a reader stays with the view that it opened with',
		800,
		'src/manifest/manifest-follower.ts',
		'#publish(manifest: Manifest): void {\n\t\tthis.#manifest = manifest',
		'#publish(manifest: Manifest): void {',
	),
	bug(
		'long',
		'deletes-not-told',
		'a tail passes deletes over',
		800,
		'src/tail/change-batch.ts',
		'\t\t\tconst kind = kinds === undefined ? KIND_VALUE : (kinds[next] as EntryKind)\n',
		'\t\t\tconst kind = kinds === undefined ? KIND_VALUE : (kinds[next] as EntryKind)\n\t\t\tif (kind === KIND_TOMBSTONE) {\n\t\t\t\tstart = end\n\t\t\t\tthis.#nextPlace = next + 1\n\t\t\t\tcontinue\n\t\t\t}\n',
	),
	{
		// Who misses a commit sees that when no other comes: in the end.
		budgets: true,
		...bug(
			'short',
			'seam-gap',
			'a tail from the start misses the first commit behind the state that it began with',
			400,
			'src/tail/tail.ts',
			'this.#follow(writerPosition, lastSeq)\n',
			'this.#follow({ ...writerPosition, slot: writerPosition.slot + 1 }, undefined)\n',
		),
	},
	bug(
		'short',
		'seam-repeats',
		'the rows of a tail from the start have cursors of a state before it: the last change comes again',
		800,
		'src/tail/tail.ts',
		'this.#startState(manifest, lastSeq, writerPosition, manifest.lastCommitMs, undefined)',
		'this.#startState(manifest, Math.max(0, lastSeq - 1), writerPosition, manifest.lastCommitMs, undefined)',
	),
	bug(
		'long',
		'takeover-ends-tail',
		'a tail skips the first slot of a new writer',
		6400,
		'src/tail/commit-feed.ts',
		'at = { epoch: at.epoch + 1, slot: 0 }',
		'at = { epoch: at.epoch + 1, slot: 1 }',
	),
	bug(
		'long',
		'outage-ends-tail',
		'a store that does not answer for a while ends a tail',
		4000,
		'src/tail/endless-retry.ts',
		'if (!isTransient(error)) throw error',
		'throw error',
	),
]
