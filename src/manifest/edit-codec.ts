/**
 * The body of a record of the maintenance log: edits.
 *
 *     writer position (epoch, slot), commit time (varints)
 *     edits: count (varint), each: kind (u8), then
 *       1 maintainer  MaintainerNote
 *       2 replace     removed: count, ids (strings); added: count, each run id (optional string; absent: L0), TableRef;
 *                     added packs: count, BlobPackRefs
 *       3 pending     PendingMerge
 *       4 abandon     run id (string)
 *       5 announce    CheckpointPositions, CommitMark
 *       6 floor       position
 *       7 deleted     count, object keys (strings)
 *       8 swept       writer epoch, maintenance epoch (varints)
 *       9 dropped     nothing
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt, unreachable } from '../errors.ts'
import type { LogRecord } from '../log/record.ts'
import type { AddedTable, Edit, EditRecord } from './edit.ts'
import {
	readCheckpointPositions,
	readMaintainerNote,
	readMark,
	readOptional,
	readPendingMerge,
	readPosition,
	writeCheckpointPositions,
	writeMaintainerNote,
	writeMark,
	writeOptional,
	writePendingMerge,
	writePosition,
} from './state-codec.ts'
import {
	readBlobPackRef,
	readId,
	readList,
	readObjectKey,
	readTableRef,
	writeBlobPackRef,
	writeList,
	writeTableRef,
} from './table-ref-codec.ts'

// Persisted: never renumber.
const KIND_MAINTAINER = 1
const KIND_REPLACE = 2
const KIND_PENDING = 3
const KIND_ABANDON = 4
const KIND_ANNOUNCE = 5
const KIND_FLOOR = 6
const KIND_DELETED = 7
const KIND_SWEPT = 8
const KIND_DROPPED = 9

/** All of a record but its position, which its slot tells. */
export function encodeEdits(record: Omit<EditRecord, 'position'>): Uint8Array {
	const writer = new ByteWriter()
	writePosition(writer, record.writerPosition)
	writer.varint(record.committedAtMs)
	writeList(writer, record.edits, edit => writeEdit(writer, edit))
	return writer.finish()
}

/** `where` is the key of the record's object. Throws `ISLE_CORRUPT`. */
export function decodeEditRecord(record: LogRecord, where: string): EditRecord {
	const reader = new ByteReader(record.body, where)
	if (record.sections.length > 0) throw corrupt(where, 'a record of the maintenance log with sections')
	const writerPosition = readPosition(reader)
	const committedAtMs = reader.varint()
	const edits = readList(reader, where, () => readEdit(reader, where))
	reader.expectEnd()
	return { position: record.position, writerPosition, committedAtMs, edits }
}

function writeEdit(writer: ByteWriter, edit: Edit): void {
	switch (edit.kind) {
		case 'maintainer':
			writer.u8(KIND_MAINTAINER)
			writeMaintainerNote(writer, edit.note)
			break
		case 'replace':
			writer.u8(KIND_REPLACE)
			writeList(writer, edit.remove, id => void writer.string(id))
			writeList(writer, edit.add, added => writeAddedTable(writer, added))
			writeList(writer, edit.addPacks, pack => writeBlobPackRef(writer, pack))
			break
		case 'dropped':
			writer.u8(KIND_DROPPED)
			break
		case 'pending':
			writer.u8(KIND_PENDING)
			writePendingMerge(writer, edit.merge)
			break
		case 'abandon':
			writer.u8(KIND_ABANDON).string(edit.runId)
			break
		case 'announce':
			writer.u8(KIND_ANNOUNCE)
			writeCheckpointPositions(writer, edit.checkpoint)
			writeMark(writer, edit.mark)
			break
		case 'floor':
			writer.u8(KIND_FLOOR)
			writePosition(writer, edit.position)
			break
		case 'deleted':
			writer.u8(KIND_DELETED)
			writeList(writer, edit.objectKeys, key => void writer.string(key))
			break
		case 'swept':
			writer.u8(KIND_SWEPT).varint(edit.writerEpoch).varint(edit.maintenanceEpoch)
			break
		default:
			unreachable(edit)
	}
}

function readEdit(reader: ByteReader, where: string): Edit {
	const kind = reader.u8()
	switch (kind) {
		case KIND_MAINTAINER:
			return { kind: 'maintainer', note: readMaintainerNote(reader, where) }
		case KIND_REPLACE:
			return {
				kind: 'replace',
				remove: readList(reader, where, () => readId(reader)),
				add: readList(reader, where, () => readAddedTable(reader, where)),
				addPacks: readList(reader, where, () => readBlobPackRef(reader)),
			}
		case KIND_PENDING:
			return { kind: 'pending', merge: readPendingMerge(reader, where) }
		case KIND_ABANDON:
			return { kind: 'abandon', runId: readId(reader) }
		case KIND_ANNOUNCE:
			return { kind: 'announce', checkpoint: readCheckpointPositions(reader), mark: readMark(reader) }
		case KIND_DROPPED:
			return { kind: 'dropped' }
		case KIND_FLOOR:
			return { kind: 'floor', position: readPosition(reader) }
		case KIND_DELETED:
			return { kind: 'deleted', objectKeys: readList(reader, where, () => readObjectKey(reader)) }
		case KIND_SWEPT:
			return { kind: 'swept', writerEpoch: reader.varint(), maintenanceEpoch: reader.varint() }
		default:
			throw corrupt(where, `an edit of unknown kind ${kind}`)
	}
}

function writeAddedTable(writer: ByteWriter, { runId, table }: AddedTable): void {
	writeOptional(writer, runId ?? undefined, id => void writer.string(id))
	writeTableRef(writer, table)
}

function readAddedTable(reader: ByteReader, where: string): AddedTable {
	const runId = readOptional(reader, where, () => readId(reader)) ?? null
	return { runId, table: readTableRef(reader, where) }
}
