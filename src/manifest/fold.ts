/** Folding commits into a manifest: pure, and the same whether record by record or all at once. */
import { corrupt, invariant } from '../errors.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { Commit } from './commit.ts'
import type { Manifest } from './manifest.ts'

export const EMPTY_MANIFEST: Manifest = {
	writerPosition: LOG_START,
	maintenancePosition: LOG_START,
	lastSeq: 0,
	lastCommitMs: 0,
	l0: [],
	runs: [],
	blobPacks: [],
	changeFloor: LOG_START,
	marks: [],
	pendingMerges: [],
	removed: [],
	announced: undefined,
	sweptWriterEpoch: 0,
	sweptMaintenanceEpoch: 0,
	droppedAt: LOG_START,
	maintainer: undefined,
}

/** The manifest after `commits`, which follow one another and stand at or beyond `manifest.writerPosition`. */
export function applyCommits(manifest: Manifest, commits: readonly Commit[]): Manifest {
	const last = commits.at(-1)
	if (last === undefined) return manifest
	let { lastSeq, writerPosition } = manifest
	for (const commit of commits) {
		invariant(comparePositions(commit.position, writerPosition) >= 0, 'commits are folded in order, once')
		if (commit.firstSeq !== lastSeq + 1) {
			const { epoch, slot } = commit.position
			throw corrupt(
				`commit ${epoch}/${slot}`,
				`sequence numbers begin at ${commit.firstSeq} where ${lastSeq + 1} follows: a commit is missing or came twice,`,
			)
		}
		lastSeq = commit.lastSeq
		writerPosition = { epoch: commit.position.epoch, slot: commit.position.slot + 1 }
	}
	const blobPacks = commits.flatMap(commit => commit.blobPacks)
	return {
		...manifest,
		writerPosition,
		lastSeq,
		lastCommitMs: last.committedAtMs,
		l0: manifest.l0.concat(...commits.map(commit => commit.tables)),
		blobPacks: blobPacks.length === 0 ? manifest.blobPacks : manifest.blobPacks.concat(blobPacks),
	}
}
