/** fast-check arbitraries for what manifests are made of. */
import fc from 'fast-check'
import { compareBytes } from '../../src/bytes/compare.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import type { BlobPackRef, Manifest, TableRef } from '../../src/manifest/manifest.ts'
import type { BlobUse, SstMeta } from '../../src/sst/sst-meta.ts'
import { SST_FORMAT_VERSION } from '../../src/sst/sst-properties.ts'

const count = fc.maxSafeNat()
const key = fc.uint8Array({ minLength: 1, maxLength: 40 })
const id = fc.string({ minLength: 1, maxLength: 20 })
const packIds = fc.string({ minLength: 1, maxLength: 10, unit: 'grapheme-ascii' })
const position = fc.record({ epoch: count, slot: count })

export const sstMetas: fc.Arbitrary<SstMeta> = fc
	.record({
		codec: fc.constantFrom('none', 'deflate', 'lz4', 'zstd'),
		entryCount: count.filter(value => value > 1),
		shares: fc.tuple(fc.nat(), fc.nat(), fc.nat()),
		packs: fc.uniqueArray(packIds, { minLength: 1, maxLength: 3 }),
		packBytes: count,
		keys: fc.tuple(key, key),
		seqs: fc.tuple(count, count),
		times: fc.tuple(count, count),
		formatVersion: fc.integer({ min: 1, max: SST_FORMAT_VERSION }),
		expiries: fc.tuple(count, count),
		rawBytes: count,
		sizes: fc.tuple(count, count).filter(([a, b]) => a !== b),
	})
	.map(({ entryCount, shares, packs, packBytes, keys, seqs, times, expiries, sizes, ...rest }) => {
		const isAscending = compareBytes(keys[0], keys[1]) <= 0
		const blobRefCount = shares[1] % Math.floor(entryCount / 2)
		const [smallestKey, largestKey] = isAscending ? keys : [keys[1], keys[0]]
		return {
			...rest,
			entryCount,
			maxExpiresAtMs: expiries[0],
			halfExpiresAtMs: rest.formatVersion === 1 ? expiries[0] : expiries[1] % ((expiries[0] || expiries[1]) + 1),
			keyCount: 1 + (shares[2] % entryCount),
			tombstoneCount: shares[0] % Math.floor(entryCount / 2),
			blobRefCount,
			blobUses: blobUsesOf(packs, blobRefCount, packBytes),
			smallestKey,
			largestKey,
			minSeq: Math.min(...seqs),
			maxSeq: Math.max(...seqs),
			minWriteMs: Math.min(...times),
			maxWriteMs: Math.max(...times),
			metaOffset: Math.min(...sizes),
			storedBytes: Math.max(...sizes),
		}
	})

/** One reference to each pack but the last, which has the others. */
function blobUsesOf(packs: readonly string[], blobRefCount: number, bytes: number): readonly BlobUse[] {
	const used = [...packs].sort((a, b) => (a < b ? -1 : 1)).slice(0, blobRefCount)
	return used.map((packId, i) => ({ packId, count: i + 1 < used.length ? 1 : blobRefCount - i, bytes }))
}

export const tableRefs: fc.Arbitrary<TableRef> = fc.record({ id, objectKey: id, offset: count, meta: sstMetas })

export const blobPackRefs: fc.Arbitrary<BlobPackRef> = fc.record({ id, objectKey: id, bytes: count, valueCount: count })

const checkpointPositions = fc.record({ maintenancePosition: position, writerPosition: position })
const marks = fc.record({ position, lastSeq: count, committedAtMs: count })
const notes = fc.record({ policies: fc.array(id, { maxLength: 3 }), writerEpoch: count })
const pendingMerges = fc.record({
	runId: id,
	inputs: fc.array(id, { maxLength: 3 }),
	outputs: fc.array(tableRefs, { maxLength: 2 }),
	resumeKey: fc.uint8Array({ maxLength: 40 }),
})

export const manifests: fc.Arbitrary<Manifest> = fc.record({
	writerPosition: position,
	maintenancePosition: position,
	lastSeq: count,
	lastCommitMs: count,
	l0: fc.array(tableRefs, { maxLength: 3 }),
	runs: fc.array(fc.record({ id, tables: fc.array(tableRefs, { maxLength: 2 }) }), { maxLength: 2 }),
	blobPacks: fc.array(blobPackRefs, { maxLength: 2 }),
	changeFloor: position,
	marks: fc.array(marks, { maxLength: 3 }),
	pendingMerges: fc.array(pendingMerges, { maxLength: 2 }),
	removed: fc.array(fc.record({ objectKey: id, bytes: count, removedAt: position, removedAtMs: count }), {
		maxLength: 3,
	}),
	announced: fc.option(checkpointPositions, { nil: undefined }),
	sweptWriterEpoch: count,
	sweptMaintenanceEpoch: count,
	droppedAt: position,
	maintainer: fc.option(notes, { nil: undefined }),
})

const edits: fc.Arbitrary<Edit> = fc.oneof(
	fc.record({ kind: fc.constant('maintainer' as const), note: notes }),
	fc.record({
		kind: fc.constant('replace' as const),
		remove: fc.array(id, { maxLength: 3 }),
		add: fc.array(fc.record({ runId: fc.option(id), table: tableRefs }), { maxLength: 3 }),
		addPacks: fc.array(blobPackRefs, { maxLength: 2 }),
	}),
	fc.record({ kind: fc.constant('pending' as const), merge: pendingMerges }),
	fc.record({ kind: fc.constant('abandon' as const), runId: id }),
	fc.record({ kind: fc.constant('announce' as const), checkpoint: checkpointPositions, mark: marks }),
	fc.record({ kind: fc.constant('floor' as const), position }),
	fc.record({ kind: fc.constant('deleted' as const), objectKeys: fc.array(id, { maxLength: 3 }) }),
	fc.record({ kind: fc.constant('swept' as const), writerEpoch: count, maintenanceEpoch: count }),
	fc.record({ kind: fc.constant('dropped' as const) }),
)

/** Whatever the codec must carry; what they say makes no sense. */
export const editRecords: fc.Arbitrary<EditRecord> = fc.record({
	position,
	writerPosition: position,
	committedAtMs: count,
	edits: fc.array(edits, { maxLength: 4 }),
})

/** A table of sequence numbers `minSeq` … `maxSeq` in an object of its own; whatever does not matter is filled in. */
export function tableOf(name: string, minSeq: number, maxSeq: number): TableRef {
	return {
		id: name,
		objectKey: `sst/${name}`,
		offset: 0,
		meta: {
			formatVersion: SST_FORMAT_VERSION,
			codec: 'none',
			entryCount: maxSeq - minSeq + 1,
			keyCount: maxSeq - minSeq + 1,
			tombstoneCount: 0,
			blobRefCount: 0,
			blobUses: [],
			smallestKey: Uint8Array.of(1),
			largestKey: Uint8Array.of(9),
			minSeq,
			maxSeq,
			minWriteMs: 1,
			maxWriteMs: 1,
			maxExpiresAtMs: 0,
			halfExpiresAtMs: 0,
			rawBytes: 10,
			storedBytes: 20,
			metaOffset: 10,
		},
	}
}
