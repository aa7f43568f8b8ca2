/** Commits and checkpoints whose bytes are kept in `golden/`: a change that alters one breaks every database that exists. */
import type { CommitBody } from '../../src/manifest/commit.ts'
import type { BlobPackRef, Manifest, TableRef } from '../../src/manifest/manifest.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'

const filled = (count: number, first: number): Uint8Array =>
	Uint8Array.from({ length: count }, (_, index) => first + index)

function meta(minSeq: number, maxSeq: number, storedBytes: number, codec: SstMeta['codec']): SstMeta {
	return {
		formatVersion: 1,
		codec,
		entryCount: maxSeq - minSeq + 1,
		keyCount: maxSeq - minSeq,
		tombstoneCount: 2,
		blobRefCount: 1,
		blobUses: [{ packId: 'w1-7', count: 1, bytes: 5_000_000 }],
		smallestKey: filled(4, 0x61),
		largestKey: filled(300, 0x62),
		minSeq,
		maxSeq,
		minWriteMs: 1_700_000_000_000,
		maxWriteMs: 1_700_000_000_123,
		maxExpiresAtMs: 1_800_000_000_000,
		rawBytes: 123_456_789,
		storedBytes,
		metaOffset: storedBytes - 100,
	}
}

const pack: BlobPackRef = { id: 'w1-7', objectKey: 'blobs/1-7', bytes: 5_000_000_000, valueCount: 3 }

const table = (id: string, minSeq: number, maxSeq: number): TableRef => ({
	id,
	objectKey: `sst/${id}`,
	offset: 0,
	meta: meta(minSeq, maxSeq, 70_000, 'zstd'),
})

export const GOLDEN_COMMITS: Readonly<Record<string, CommitBody>> = {
	'commit-without-changes': { firstSeq: 8, lastSeq: 7, committedAtMs: 1_700_000_000_000, tables: [], blobPacks: [] },
	'commit-with-tables': {
		firstSeq: 8,
		lastSeq: 17,
		committedAtMs: 1_700_000_000_123,
		tables: [
			{ id: 'w1-3', meta: meta(8, 12, 500, 'lz4'), place: { kind: 'inline', section: 0 } },
			{ id: 'w1-4', meta: meta(13, 17, 70_000, 'none'), place: { kind: 'object', objectKey: 'sst/w1-4' } },
		],
		blobPacks: [pack],
	},
}

/** The sections that the record of each golden commit holds. */
export const GOLDEN_SECTIONS: Readonly<Record<string, readonly Uint8Array[]>> = {
	'commit-without-changes': [],
	'commit-with-tables': [filled(500, 1)],
}

export const GOLDEN_CHECKPOINTS: Readonly<Record<string, Manifest>> = {
	'checkpoint-empty': {
		writerPosition: { epoch: 1, slot: 0 },
		maintenancePosition: { epoch: 0, slot: 0 },
		lastSeq: 0,
		lastCommitMs: 0,
		l0: [],
		runs: [],
		blobPacks: [],
	},
	'checkpoint-full': {
		writerPosition: { epoch: 3, slot: 41 },
		maintenancePosition: { epoch: 2, slot: 7 },
		lastSeq: 4_000_000_000_000,
		lastCommitMs: 1_700_000_000_123,
		l0: [
			{ ...table('w3-40', 100, 200), objectKey: 'log/0000000000000003/0000000000000040', offset: 413 },
			table('w3-41', 201, 300),
		],
		runs: [
			{ id: 'm2-5', tables: [table('m2-6', 50, 99), table('m2-7', 20, 98)] },
			{ id: 'm1-1', tables: [table('m1-2', 1, 19)] },
		],
		blobPacks: [pack, { ...pack, id: 'w2-1', objectKey: 'blobs/2-1' }],
	},
}
