/**
 * Golden files: tables as versions 1 and 2 wrote them, and a blob pack. They must be read for ever, and the newest version
 * written the same. Version 1 did not say when half of a table's entries will have expired; all else is the same.
 *
 * The bytes that a compressor chooses belong to its library (zlib, zstd and lz4-napi may find other matches in another
 * version), so for those tables what is compared byte by byte is every raw block and everything else.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decodeBlobRef } from '../../src/blob/blob-ref.ts'
import { decodeBlob } from '../../src/blob/frame-decoder.ts'
import { blobRange, decodePackHeader } from '../../src/blob/pack-format.ts'
import { CODEC_NAMES } from '../../src/sst/codec.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import { readSstMeta } from '../../src/sst/sst-table.ts'
import type { BuiltTable } from '../../src/sst/table-builder.ts'
import { goldenBlobs, goldenEntries, goldenPack, goldenTable } from './golden/golden-entries.ts'
import { blockBytes, open, readAll, readNewest } from './table-model.ts'

const golden = (name: string): Uint8Array<ArrayBuffer> =>
	new Uint8Array(readFileSync(new URL(`golden/${name}.bin`, import.meta.url)))

/** The raw form of every block, the codec that it is stored with, and the section of the filter. */
function contents(built: BuiltTable): string[] {
	const table = open(built)
	const parts: string[] = []
	for (let i = 0; i < table.blockCount; i++) {
		const stored = blockBytes(built, table, i)
		parts.push(`${stored[4]} ${Buffer.from(table.decodeBlock(i, stored, 'here').bytes).toString('hex')}`)
	}
	const filterBytes = new DataView(built.bytes.buffer).getUint32(built.bytes.length - 28, true)
	parts.push(
		Buffer.from(built.bytes.subarray(built.meta.metaOffset, built.meta.metaOffset + filterBytes)).toString('hex'),
	)
	return parts
}

const VERSIONS = [1, 2] as const

describe.each(VERSIONS.flatMap(version => CODEC_NAMES.map(codec => [version, codec] as const)))(
	'the golden table of version %i and codec %s',
	(version, codec) => {
		const bytes = golden(`table-v${version}-${codec}`)
		const built = { bytes, meta: readSstMeta(bytes, 'here') }

		test('is read as it was written', () => {
			const entries = goldenEntries()
			expect(built.meta.codec).toBe(codec)
			expect(readAll(built)).toEqual(entries)
			const table = open(built)
			expect(table.isFilterDamaged).toBe(false)
			for (const item of entries) expect(readNewest(built, table, item.key, item.seq)).toEqual(item)
		})

		test('is written the same today', () => {
			const today = goldenTable(codec)
			expect(contents(today)).toEqual(contents(built))
			const { storedBytes, metaOffset, formatVersion, ...meta } = today.meta
			expect(built.meta).toMatchObject({ ...meta, formatVersion: version })
			if (formatVersion !== version) return
			if (codec === 'none') expect(Buffer.compare(today.bytes, bytes)).toBe(0)
			if (today.bytes.length === bytes.length)
				expect({ storedBytes, metaOffset }).toEqual({
					storedBytes: built.meta.storedBytes,
					metaOffset: built.meta.metaOffset,
				})
		})
	},
)

describe('the golden blob pack', () => {
	const pack = golden('pack-v1')

	test('is read as it was written', () => {
		expect(decodePackHeader(pack, 'here')).toBe('w3-17')
		goldenPack().refs.forEach((encoded, i) => {
			const ref = decodeBlobRef(encoded, 'here')
			const { offset, bytes } = blobRange(ref)
			const value = decodeBlob(ref, pack.subarray(offset, offset + bytes), 'here')
			expect(Buffer.compare(value, goldenBlobs[i] as Uint8Array)).toBe(0)
		})
	})

	test('is written the same today', () => {
		expect(Buffer.compare(goldenPack().pack, pack)).toBe(0)
	})

	test('is what the golden tables refer to', () => {
		const reference = goldenEntries().find(item => item.kind === KIND_BLOB)
		expect(decodeBlobRef(reference?.value ?? new Uint8Array(0), 'here').bytes).toBe(goldenBlobs[2]?.length)
	})
})
