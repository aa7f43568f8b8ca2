/**
 * The bytes of table metadata and of references to blob packs, as commits and checkpoints carry them.
 *
 *     TableRef     id (string), object key (string), offset (varint), SstMeta as in the properties of a table
 *     BlobPackRef  id (string), object key (string), bytes, value count (varints)
 */
import type { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'
import { decodeSstMeta, encodeSstMeta, skipSstMeta } from '../sst/sst-properties.ts'
import type { BlobPackRef, TableRef } from './manifest.ts'
import { PackedTable } from './packed-table.ts'

/** `w`, a 16-digit epoch, `-` and a 16-digit number are 34 bytes; keys are short too. Bounds for hostile input. */
const ID_MAX_BYTES = 64
const OBJECT_KEY_MAX_BYTES = 1024
const ITEMS_PER_STEP = 1_024

export function writeTableRef(writer: ByteWriter, table: TableRef): void {
	if (table instanceof PackedTable) {
		writer.bytes(table.encoded)
		return
	}
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

/** The same, kept as the bytes that it is: `bytes`, which are what `reader` reads, must not change. */
export function readPackedTable(reader: ByteReader, bytes: Uint8Array, where: string): PackedTable {
	const start = reader.position
	reader.skipString(ID_MAX_BYTES)
	reader.skipString(OBJECT_KEY_MAX_BYTES)
	reader.varint()
	skipSstMeta(reader, bytes, where)
	return new PackedTable(bytes, start)
}

/** `tables`, each of them packed. */
export function packTables(tables: readonly TableRef[]): readonly PackedTable[] {
	const writer = new ByteWriter()
	const places = tables.map(table => {
		if (table instanceof PackedTable) return table
		const start = writer.length
		writeTableRef(writer, table)
		return start
	})
	const bytes = writer.finish()
	return places.map(place => (typeof place === 'number' ? new PackedTable(bytes, place) : place))
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

/** The same, stopping after every 1,024th item: a millisecond of table references. */
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
