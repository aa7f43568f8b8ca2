/**
 * The bytes of what maintenance adds to the state, as edits and checkpoints carry them.
 *
 *     position             epoch, slot (varints)
 *     CheckpointPositions  maintenance position, writer position
 *     CommitMark           position, last sequence number, commit time (varints)
 *     RemovedObject        object key (string), bytes (varint), removed at (position), removed at (varint, milliseconds)
 *     PendingMerge         run id (string); inputs: count, ids (strings); outputs: count, TableRefs; resume key (length-prefixed)
 *     MaintainerNote       policies: count, names (strings); writer epoch (varint)
 *     optional             0, or 1 and the value (u8)
 */
import type { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { CheckpointPositions, CommitMark, MaintainerNote, PendingMerge, RemovedObject } from './manifest.ts'
import { readId, readList, readObjectKey, readTableRef, writeList, writeTableRef } from './table-ref-codec.ts'

/** A key of 64 KiB, and the byte that makes its successor. */
const RESUME_KEY_MAX_BYTES = 65_537

export function writePosition(writer: ByteWriter, position: LogPosition): void {
	writer.varint(position.epoch)
	writer.varint(position.slot)
}

export function readPosition(reader: ByteReader): LogPosition {
	return { epoch: reader.varint(), slot: reader.varint() }
}

export function writeCheckpointPositions(writer: ByteWriter, positions: CheckpointPositions): void {
	writePosition(writer, positions.maintenancePosition)
	writePosition(writer, positions.writerPosition)
}

export function readCheckpointPositions(reader: ByteReader): CheckpointPositions {
	return { maintenancePosition: readPosition(reader), writerPosition: readPosition(reader) }
}

export function writeMark(writer: ByteWriter, mark: CommitMark): void {
	writePosition(writer, mark.position)
	writer.varint(mark.lastSeq)
	writer.varint(mark.committedAtMs)
}

export function readMark(reader: ByteReader): CommitMark {
	return { position: readPosition(reader), lastSeq: reader.varint(), committedAtMs: reader.varint() }
}

export function writeRemovedObject(writer: ByteWriter, removed: RemovedObject): void {
	writer.string(removed.objectKey)
	writer.varint(removed.bytes)
	writePosition(writer, removed.removedAt)
	writer.varint(removed.removedAtMs)
}

export function readRemovedObject(reader: ByteReader): RemovedObject {
	return {
		objectKey: readObjectKey(reader),
		bytes: reader.varint(),
		removedAt: readPosition(reader),
		removedAtMs: reader.varint(),
	}
}

export function writePendingMerge(writer: ByteWriter, merge: PendingMerge): void {
	writer.string(merge.runId)
	writeList(writer, merge.inputs, id => void writer.string(id))
	writeList(writer, merge.outputs, table => writeTableRef(writer, table))
	writer.lengthPrefixed(merge.resumeKey)
}

export function readPendingMerge(reader: ByteReader, where: string): PendingMerge {
	return {
		runId: readId(reader),
		inputs: readList(reader, where, () => readId(reader)),
		outputs: readList(reader, where, () => readTableRef(reader, where)),
		// A copy: the state must not keep the bytes of a whole record alive.
		resumeKey: reader.lengthPrefixed(RESUME_KEY_MAX_BYTES).slice(),
	}
}

export function writeMaintainerNote(writer: ByteWriter, note: MaintainerNote): void {
	writeList(writer, note.policies, policy => void writer.string(policy))
	writer.varint(note.writerEpoch)
}

export function readMaintainerNote(reader: ByteReader, where: string): MaintainerNote {
	return { policies: readList(reader, where, () => readId(reader)), writerEpoch: reader.varint() }
}

export function writeOptional<Value>(
	writer: ByteWriter,
	value: Value | undefined,
	writeValue: (value: Value) => void,
): void {
	writer.u8(value === undefined ? 0 : 1)
	if (value !== undefined) writeValue(value)
}

export function readOptional<Value>(reader: ByteReader, where: string, readValue: () => Value): Value | undefined {
	const flag = reader.u8()
	if (flag > 1) throw corrupt(where, `a value that is neither there nor absent: ${flag}`)
	return flag === 0 ? undefined : readValue()
}
