/** fast-check arbitraries for what manifests are made of. */
import fc from 'fast-check'
import type { BlobPackRef, Manifest, TableRef } from '../../src/manifest/manifest.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'

const count = fc.maxSafeNat()
const key = fc.uint8Array({ maxLength: 40 })
const id = fc.string({ minLength: 1, maxLength: 20 })
const position = fc.record({ epoch: count, slot: count })

export const sstMetas: fc.Arbitrary<SstMeta> = fc
	.record({
		formatVersion: fc.nat(65_535),
		codec: fc.constantFrom('none', 'deflate', 'lz4', 'zstd'),
		entryCount: count.filter(value => value > 0),
		tombstoneCount: count,
		blobRefCount: count,
		smallestKey: key,
		largestKey: key,
		seqs: fc.tuple(count, count),
		minWriteMs: count,
		maxWriteMs: count,
		maxExpiresAtMs: count,
		rawBytes: count,
		sizes: fc.tuple(count, count).filter(([a, b]) => a !== b),
	})
	.map(({ seqs, sizes, ...rest }) => ({
		...rest,
		minSeq: Math.min(...seqs),
		maxSeq: Math.max(...seqs),
		metaOffset: Math.min(...sizes),
		storedBytes: Math.max(...sizes),
	}))

export const tableRefs: fc.Arbitrary<TableRef> = fc.record({ id, objectKey: id, offset: count, meta: sstMetas })

export const blobPackRefs: fc.Arbitrary<BlobPackRef> = fc.record({ id, objectKey: id, bytes: count, valueCount: count })

export const manifests: fc.Arbitrary<Manifest> = fc.record({
	writerPosition: position,
	maintenancePosition: position,
	lastSeq: count,
	lastCommitMs: count,
	l0: fc.array(tableRefs, { maxLength: 3 }),
	runs: fc.array(fc.record({ id, tables: fc.array(tableRefs, { maxLength: 2 }) }), { maxLength: 2 }),
	blobPacks: fc.array(blobPackRefs, { maxLength: 2 }),
})

/** A table of sequence numbers `minSeq` … `maxSeq` in an object of its own; whatever does not matter is filled in. */
export function tableOf(name: string, minSeq: number, maxSeq: number): TableRef {
	return {
		id: name,
		objectKey: `sst/${name}`,
		offset: 0,
		meta: {
			formatVersion: 1,
			codec: 'none',
			entryCount: maxSeq - minSeq + 1,
			tombstoneCount: 0,
			blobRefCount: 0,
			smallestKey: Uint8Array.of(1),
			largestKey: Uint8Array.of(9),
			minSeq,
			maxSeq,
			minWriteMs: 1,
			maxWriteMs: 1,
			maxExpiresAtMs: 0,
			rawBytes: 10,
			storedBytes: 20,
			metaOffset: 10,
		},
	}
}
