/** Commits, edits and checkpoints whose bytes are kept in `golden/`: a change that alters one breaks every database that exists. */
import type { CommitBody } from '../../src/manifest/commit.ts'
import type { EditRecord } from '../../src/manifest/edit.ts'
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
		halfExpiresAtMs: 1_800_000_000_000,
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
		changeFloor: { epoch: 0, slot: 0 },
		marks: [],
		pendingMerges: [],
		removed: [],
		announced: undefined,
		sweptWriterEpoch: 0,
		sweptMaintenanceEpoch: 0,
		droppedAt: { epoch: 0, slot: 0 },
		maintainer: undefined,
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
		changeFloor: { epoch: 2, slot: 900 },
		marks: [
			{ position: { epoch: 2, slot: 900 }, lastSeq: 40, committedAtMs: 1_700_000_000_001 },
			{ position: { epoch: 3, slot: 12 }, lastSeq: 90, committedAtMs: 1_700_000_000_100 },
		],
		pendingMerges: [
			{
				runId: 'm2-9',
				inputs: ['w3-40', 'w3-41'],
				outputs: [table('m2-10', 100, 280)],
				resumeKey: Uint8Array.of(0x62, 0x63, 0),
			},
			{ runId: 'm2-11', inputs: ['m1-2'], outputs: [], resumeKey: new Uint8Array(0) },
		],
		removed: [
			{ objectKey: 'sst/w1-1', bytes: 70_000, removedAt: { epoch: 1, slot: 3 }, removedAtMs: 1_700_000_000_002 },
			{
				objectKey: 'blobs/w1-2',
				bytes: 5_000_000_000,
				removedAt: { epoch: 2, slot: 1 },
				removedAtMs: 1_700_000_000_003,
			},
		],
		announced: { maintenancePosition: { epoch: 2, slot: 5 }, writerPosition: { epoch: 3, slot: 12 } },
		sweptWriterEpoch: 2,
		sweptMaintenanceEpoch: 1,
		droppedAt: { epoch: 1, slot: 77 },
		maintainer: { policies: ['merge', 'time-window'], writerEpoch: 3 },
	},
}

/** One of each kind of edit. */
export const GOLDEN_EDITS: Readonly<Record<string, EditRecord>> = {
	'edits-of-every-kind': {
		position: { epoch: 2, slot: 7 },
		writerPosition: { epoch: 3, slot: 41 },
		committedAtMs: 1_700_000_000_123,
		edits: [
			{ kind: 'maintainer', note: { policies: ['age'], writerEpoch: 0 } },
			{
				kind: 'replace',
				remove: ['w3-40', 'w3-41'],
				add: [
					{ runId: 'm2-9', table: table('m2-10', 100, 280) },
					{ runId: null, table: table('m2-12', 300, 310) },
				],
				addPacks: [{ ...pack, id: 'm2-13', objectKey: 'blobs/m2-13' }],
			},
			{
				kind: 'pending',
				merge: { runId: 'm2-14', inputs: ['m1-2'], outputs: [table('m2-15', 1, 9)], resumeKey: Uint8Array.of(0x63) },
			},
			{ kind: 'abandon', runId: 'm2-14' },
			{
				kind: 'announce',
				checkpoint: { maintenancePosition: { epoch: 2, slot: 5 }, writerPosition: { epoch: 3, slot: 12 } },
				mark: { position: { epoch: 3, slot: 12 }, lastSeq: 90, committedAtMs: 1_700_000_000_100 },
			},
			{ kind: 'floor', position: { epoch: 3, slot: 12 } },
			{ kind: 'deleted', objectKeys: ['sst/w1-1', 'log/0000000000000001/0000000000000004'] },
			{ kind: 'swept', writerEpoch: 2, maintenanceEpoch: 1 },
			{ kind: 'dropped' },
		],
	},
	'edits-none': { position: { epoch: 1, slot: 0 }, writerPosition: { epoch: 0, slot: 0 }, committedAtMs: 0, edits: [] },
}
