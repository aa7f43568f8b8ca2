/**
 * The bytes of table metadata and of references to blob packs, as commits and checkpoints carry them.
 *
 *     SstMeta   format version (u16), codec (string), entry, tombstone and blob-reference counts (varints),
 *               smallest and largest key (length-prefixed), min and max sequence number, min and max write time,
 *               max expiry, raw bytes, stored bytes, metadata offset (varints)
 *     TableRef  id (string), object key (string), offset (varint), SstMeta
 *     BlobPackRef  id (string), object key (string), bytes, value count (varints)
 */
import type { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt, IsleError } from '../errors.ts'
import { KEY_MAX_BYTES } from '../sst/entry.ts'
import type { CodecName, SstMeta } from '../sst/sst-meta.ts'
import type { BlobPackRef, TableRef } from './manifest.ts'

/** `w`, a 16-digit epoch, `-` and a 16-digit number are 34 bytes; keys are short too. Bounds for hostile input. */
const ID_MAX_BYTES = 64
const OBJECT_KEY_MAX_BYTES = 1024
const CODECS: readonly CodecName[] = ['none', 'deflate', 'lz4', 'zstd']

export function writeSstMeta(writer: ByteWriter, meta: SstMeta): void {
	writer.u16(meta.formatVersion)
	writer.string(meta.codec)
	writer.varint(meta.entryCount)
	writer.varint(meta.tombstoneCount)
	writer.varint(meta.blobRefCount)
	writer.lengthPrefixed(meta.smallestKey)
	writer.lengthPrefixed(meta.largestKey)
	writer.varint(meta.minSeq)
	writer.varint(meta.maxSeq)
	writer.varint(meta.minWriteMs)
	writer.varint(meta.maxWriteMs)
	writer.varint(meta.maxExpiresAtMs)
	writer.varint(meta.rawBytes)
	writer.varint(meta.storedBytes)
	writer.varint(meta.metaOffset)
}

export function readSstMeta(reader: ByteReader, where: string): SstMeta {
	const formatVersion = reader.u16()
	const codecName = reader.string(ID_MAX_BYTES)
	const codec = CODECS.find(name => name === codecName)
	if (codec === undefined) throw new IsleError('ISLE_UNSUPPORTED', `unknown codec \`${codecName}\` in \`${where}\``)
	const meta: SstMeta = {
		formatVersion,
		codec,
		entryCount: reader.varint(),
		tombstoneCount: reader.varint(),
		blobRefCount: reader.varint(),
		// Copies: the record that they stand in may hold a megabyte of table beside them.
		smallestKey: new Uint8Array(reader.lengthPrefixed(KEY_MAX_BYTES)),
		largestKey: new Uint8Array(reader.lengthPrefixed(KEY_MAX_BYTES)),
		minSeq: reader.varint(),
		maxSeq: reader.varint(),
		minWriteMs: reader.varint(),
		maxWriteMs: reader.varint(),
		maxExpiresAtMs: reader.varint(),
		rawBytes: reader.varint(),
		storedBytes: reader.varint(),
		metaOffset: reader.varint(),
	}
	if (meta.metaOffset >= meta.storedBytes || meta.entryCount === 0 || meta.minSeq > meta.maxSeq) {
		throw corrupt(where, 'impossible table metadata')
	}
	return meta
}

export function writeTableRef(writer: ByteWriter, table: TableRef): void {
	writer.string(table.id)
	writer.string(table.objectKey)
	writer.varint(table.offset)
	writeSstMeta(writer, table.meta)
}

export function readTableRef(reader: ByteReader, where: string): TableRef {
	return {
		id: readId(reader),
		objectKey: reader.string(OBJECT_KEY_MAX_BYTES),
		offset: reader.varint(),
		meta: readSstMeta(reader, where),
	}
}

export function writeBlobPackRef(writer: ByteWriter, pack: BlobPackRef): void {
	writer.string(pack.id)
	writer.string(pack.objectKey)
	writer.varint(pack.bytes)
	writer.varint(pack.valueCount)
}

export function readBlobPackRef(reader: ByteReader): BlobPackRef {
	return {
		id: readId(reader),
		objectKey: reader.string(OBJECT_KEY_MAX_BYTES),
		bytes: reader.varint(),
		valueCount: reader.varint(),
	}
}

export function readId(reader: ByteReader): string {
	return reader.string(ID_MAX_BYTES)
}

/** Reads a count, then that many items; a count that cannot be there is refused before anything is allocated. */
export function readList<Item>(reader: ByteReader, where: string, readItem: () => Item): Item[] {
	const count = reader.varint()
	if (count > reader.remaining) throw corrupt(where, `a list claims ${count} items`)
	const items: Item[] = []
	for (let index = 0; index < count; index++) items.push(readItem())
	return items
}

export function writeList<Item>(writer: ByteWriter, items: readonly Item[], writeItem: (item: Item) => void): void {
	writer.varint(items.length)
	for (const item of items) writeItem(item)
}
