/**
 * A commit: what one record of the writer log says. Its body:
 *
 *     first and last sequence number, commit time (varints)
 *     tables: count (varint), each: id (string), 1 and section number (u8, varint) when the table rides in the record,
 *             or 0 and object key (u8, string); SstMeta
 *     blob packs: count (varint), each a BlobPackRef
 *
 * A commit without changes has last = first − 1 and no tables.
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { LogRecord } from '../log/record.ts'
import type { SstMeta } from '../sst/sst-meta.ts'
import { decodeSstMeta, encodeSstMeta } from '../sst/sst-properties.ts'
import type { BlobPackRef, TableRef } from './manifest.ts'
import { readBlobPackRef, readId, readList, readObjectKey, writeBlobPackRef, writeList } from './table-ref-codec.ts'

const PLACE_OBJECT = 0 // Persisted: never renumber.
const PLACE_INLINE = 1 // Persisted: never renumber.

export interface Commit {
	/** The slot that it stands in. */
	readonly position: LogPosition
	readonly firstSeq: number
	readonly lastSeq: number
	/** By the writer's clock, never before an earlier commit's. */
	readonly committedAtMs: number
	/** Ascending and disjoint in sequence numbers; together they hold each of `firstSeq` … `lastSeq` once. */
	readonly tables: readonly TableRef[]
	readonly blobPacks: readonly BlobPackRef[]
}

/** A commit with the bytes of the tables that came with it. */
export interface LoadedCommit {
	readonly commit: Commit
	/** By table id; only tables that ride in the record. Views of one buffer that is not written again. */
	readonly inlineTables: ReadonlyMap<string, Uint8Array>
}

export interface CommitTable {
	readonly id: string
	readonly meta: SstMeta
	/** Number of the section that holds the table, or the key of the object that does. */
	readonly place:
		| { readonly kind: 'inline'; readonly section: number }
		| { readonly kind: 'object'; readonly objectKey: string }
}

export interface CommitBody {
	readonly firstSeq: number
	readonly lastSeq: number
	readonly committedAtMs: number
	readonly tables: readonly CommitTable[]
	readonly blobPacks: readonly BlobPackRef[]
}

export function encodeCommitBody(body: CommitBody): Uint8Array {
	const writer = new ByteWriter()
	writer.varint(body.firstSeq)
	writer.varint(body.lastSeq)
	writer.varint(body.committedAtMs)
	writeList(writer, body.tables, table => {
		writer.string(table.id)
		if (table.place.kind === 'inline') writer.u8(PLACE_INLINE).varint(table.place.section)
		else writer.u8(PLACE_OBJECT).string(table.place.objectKey)
		encodeSstMeta(writer, table.meta)
	})
	writeList(writer, body.blobPacks, pack => writeBlobPackRef(writer, pack))
	return writer.finish()
}

/** `where` is the key of the record's object, which inline tables refer to. */
export function decodeCommit(record: LogRecord, where: string): LoadedCommit {
	const reader = new ByteReader(record.body, where)
	const firstSeq = reader.varint()
	const lastSeq = reader.varint()
	const committedAtMs = reader.varint()
	const inlineTables = new Map<string, Uint8Array>()
	const ids = new Set<string>()
	const tables = readList(reader, where, (): TableRef => {
		const id = readId(reader)
		if (ids.size === ids.add(id).size) throw corrupt(where, `two tables with the id ${id}`)
		const place = reader.u8()
		if (place === PLACE_OBJECT) {
			return { id, objectKey: readObjectKey(reader), offset: 0, meta: decodeSstMeta(reader, where) }
		}
		if (place !== PLACE_INLINE) throw corrupt(where, `table ${id} is at a place of unknown kind ${place}`)
		const section = record.sections[reader.varint()]
		const meta = decodeSstMeta(reader, where)
		if (section === undefined || section.bytes.length !== meta.storedBytes)
			throw corrupt(where, `table ${id} is not in its section`)
		inlineTables.set(id, section.bytes)
		return { id, objectKey: where, offset: section.offset, meta }
	})
	const blobPacks = readList(reader, where, () => readBlobPackRef(reader))
	reader.expectEnd()
	const commit: Commit = { position: record.position, firstSeq, lastSeq, committedAtMs, tables, blobPacks }
	checkSequence(commit, where)
	return { commit, inlineTables }
}

function checkSequence(commit: Commit, where: string): void {
	let next = commit.firstSeq
	for (const { id, meta } of commit.tables) {
		if (meta.minSeq !== next)
			throw corrupt(where, `table ${id} begins at sequence number ${meta.minSeq} and not at ${next}`)
		next = meta.maxSeq + 1
	}
	if (commit.lastSeq !== next - 1)
		throw corrupt(where, `a commit ends at sequence number ${commit.lastSeq} and not at ${next - 1}`)
}
