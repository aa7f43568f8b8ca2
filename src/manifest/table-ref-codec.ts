/**
 * The bytes of table metadata and of references to blob packs, as commits and checkpoints carry them.
 *
 *     TableRef     id (string), object key (string), offset (varint), SstMeta as in the properties of a table
 *     BlobPackRef  id (string), object key (string), bytes, value count (varints)
 */
import type { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'
import { decodeSstMeta, encodeSstMeta } from '../sst/sst-properties.ts'
import type { BlobPackRef, TableRef } from './manifest.ts'

/** `w`, a 16-digit epoch, `-` and a 16-digit number are 34 bytes; keys are short too. Bounds for hostile input. */
const ID_MAX_BYTES = 64
const OBJECT_KEY_MAX_BYTES = 1024
const ITEMS_PER_STEP = 512

export function writeTableRef(writer: ByteWriter, table: TableRef): void {
	writer.string(table.id)
	writer.string(table.objectKey)
	writer.varint(table.offset)
	encodeSstMeta(writer, table.meta)
}

export function readTableRef(reader: ByteReader, where: string): TableRef {
	return {
		id: readId(reader),
		objectKey: readObjectKey(reader),
		offset: reader.varint(),
		meta: decodeSstMeta(reader, where),
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
		objectKey: readObjectKey(reader),
		bytes: reader.varint(),
		valueCount: reader.varint(),
	}
}

export function readObjectKey(reader: ByteReader): string {
	return reader.string(OBJECT_KEY_MAX_BYTES)
}

export function readId(reader: ByteReader): string {
	return reader.string(ID_MAX_BYTES)
}

/** Reads a count, then that many items; a count that cannot be there is refused before anything is allocated. */
export function readList<Item>(reader: ByteReader, where: string, readItem: () => Item): Item[] {
	const count = readCount(reader, where)
	const items: Item[] = []
	for (let index = 0; index < count; index++) items.push(readItem())
	return items
}

/** The same, stopping after every 512th item: about 2 ms of table references. */
export function* readListInSteps<Item>(
	reader: ByteReader,
	where: string,
	readItem: () => Item,
): Generator<void, Item[], void> {
	const count = readCount(reader, where)
	const items: Item[] = []
	for (let index = 0; index < count; index++) {
		items.push(readItem())
		if (items.length % ITEMS_PER_STEP === 0) yield
	}
	return items
}

/** How many items follow. */
export function readCount(reader: ByteReader, where: string): number {
	const count = reader.varint()
	if (count > reader.remaining) throw corrupt(where, `a list claims ${count} items`)
	return count
}

export function writeList<Item>(writer: ByteWriter, items: readonly Item[], writeItem: (item: Item) => void): void {
	writer.varint(items.length)
	for (const item of items) writeItem(item)
}
