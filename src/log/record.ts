/**
 * The bytes of a log record.
 *
 *     offset  size  field
 *     0       4     magic `ISLR`
 *     4       2     format version, little-endian like every number here
 *     6       1     kind: 1 commit, 2 seal
 *     7       1     reserved, 0
 *     8       4     H, bytes of the header
 *     12      4     CRC-32 of bytes 0–11 and of the header
 *     16      H     header: owner (16), nonce (8), epoch, slot, settled slots (varints), body (length-prefixed),
 *                   number of sections (varint), length of each section (varint)
 *     16+H    …     the sections, one after another
 *
 * A seal has no body and no sections: its owner is the owner of the next epoch, all zeros when that is nobody (a barrier). Sections are opaque here (tables, each
 * with checksums of its own); the header says how long the record must be, so that a truncated one is known.
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter, writeU32 } from '../bytes/byte-writer.ts'
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, IsleError, invariant } from '../errors.ts'
import type { LogPosition } from './log-position.ts'

const MAGIC = 0x524c_5349 // 'ISLR', read as a little-endian u32. Persisted: never renumber.
/** Persisted. A reader refuses what is newer. */
const RECORD_FORMAT_VERSION = 1
const KIND_COMMIT = 1 // Persisted: never renumber.
const KIND_SEAL = 2 // Persisted: never renumber.
const PREAMBLE_BYTES = 16
export const OWNER_BYTES = 16
export const NONCE_BYTES = 8
/** Owner of a barrier: the seal of a claimer that only stops a busy owner. The epoch behind it has no commits. Persisted. */
export const NOBODY: Uint8Array = new Uint8Array(OWNER_BYTES)
/** Metadata of a commit is kilobytes; 64 MiB is a bound for hostile input. */
const HEADER_MAX_BYTES = 64 * 1024 * 1024
/** A commit holds the tables of a few memtables. */
const SECTIONS_MAX_COUNT = 4096

export interface RecordSection {
	/** Where the section begins in the record's object. */
	readonly offset: number
	readonly bytes: Uint8Array
}

export interface LogRecord {
	readonly kind: 'commit' | 'seal'
	readonly position: LogPosition
	/** Who wrote it; of a seal: who owns the next epoch. */
	readonly owner: Uint8Array
	/** Fresh for each record, so that an owner knows its own among retries. */
	readonly nonce: Uint8Array
	/**
	 * Slots of this epoch, from its first on, that were known to hold records when this one was made: one that is missing
	 * among them, and below no checkpoint, is lost.
	 */
	readonly settledSlots: number
	readonly body: Uint8Array
	readonly sections: readonly RecordSection[]
}

export interface RecordContent {
	readonly kind: 'commit' | 'seal'
	readonly position: LogPosition
	readonly owner: Uint8Array
	readonly nonce: Uint8Array
	/** Default 0: nothing is claimed of others. At most the slot of the record. */
	readonly settledSlots?: number
	readonly body: Uint8Array
	readonly sections: readonly Uint8Array[]
}

export interface EncodedRecord {
	/** The preamble and header, then the sections, none of them copied. */
	readonly pieces: readonly Uint8Array[]
	/** Where each section begins in the object. */
	readonly sectionOffsets: readonly number[]
	readonly totalBytes: number
}

export function encodeRecord(content: RecordContent): EncodedRecord {
	invariant(content.owner.length === OWNER_BYTES && content.nonce.length === NONCE_BYTES, 'owner and nonce lengths')
	invariant(content.kind === 'commit' || content.sections.length === 0, 'a seal has no sections')
	invariant(content.sections.length <= SECTIONS_MAX_COUNT, 'section count')
	const record = new ByteWriter()
	record
		.u32(MAGIC)
		.u16(RECORD_FORMAT_VERSION)
		.u8(content.kind === 'commit' ? KIND_COMMIT : KIND_SEAL)
		.u8(0)
	// The length of the header and the checksum, once they are known.
	record.u32(0).u32(0)
	record.bytes(content.owner)
	record.bytes(content.nonce)
	record.varint(content.position.epoch)
	record.varint(content.position.slot)
	record.varint(content.settledSlots ?? 0)
	record.lengthPrefixed(content.body)
	record.varint(content.sections.length)
	for (const section of content.sections) record.varint(section.length)
	const front = record.finish()
	const headerBytes = front.length - PREAMBLE_BYTES
	invariant(headerBytes <= HEADER_MAX_BYTES, 'header length')
	writeU32(front, 8, headerBytes)
	writeU32(front, 12, crc32(front.subarray(PREAMBLE_BYTES), crc32(front.subarray(0, 12))))

	const sectionOffsets: number[] = []
	let totalBytes = front.length
	for (const section of content.sections) {
		sectionOffsets.push(totalBytes)
		totalBytes += section.length
	}
	return { pieces: [front, ...content.sections], sectionOffsets, totalBytes }
}

/**
 * Views into `bytes`, checked against `expected`, the position that the object's name gives.
 * Throws `ISLE_CORRUPT` for damage and `ISLE_UNSUPPORTED` for a newer format, both naming `where`.
 */
export function decodeRecord(bytes: Uint8Array, expected: LogPosition, where: string): LogRecord {
	const preamble = new ByteReader(bytes, where)
	if (preamble.u32() !== MAGIC) throw corrupt(where, 'not a log record: wrong magic')
	const version = preamble.u16()
	if (version > RECORD_FORMAT_VERSION) {
		throw new IsleError(
			'ISLE_UNSUPPORTED',
			`log record format ${version} is newer than this release reads: key=\`${where}\``,
		)
	}
	const kind = preamble.u8()
	const reserved = preamble.u8()
	const headerLength = preamble.u32()
	const storedCrc = preamble.u32()
	if (headerLength > HEADER_MAX_BYTES) throw corrupt(where, `log record header claims ${headerLength} bytes`)
	const headerBytes = preamble.bytes(headerLength)
	if (crc32(headerBytes, crc32(bytes.subarray(0, 12))) !== storedCrc)
		throw corrupt(where, 'log record checksum mismatch')
	if (version === 0 || reserved !== 0 || (kind !== KIND_COMMIT && kind !== KIND_SEAL)) {
		throw corrupt(where, `log record kind ${kind}`)
	}

	const header = new ByteReader(headerBytes, where)
	const owner = header.bytes(OWNER_BYTES)
	const nonce = header.bytes(NONCE_BYTES)
	const position = { epoch: header.varint(), slot: header.varint() }
	if (position.epoch !== expected.epoch || position.slot !== expected.slot) {
		throw corrupt(where, `log record of another position, epoch=\`${position.epoch}\` slot=\`${position.slot}\`,`)
	}
	const settledSlots = header.varint()
	if (settledSlots > position.slot) throw corrupt(where, `a log record that vouches for ${settledSlots} slots`)
	const body = header.lengthPrefixed(HEADER_MAX_BYTES)
	const sections = decodeSections(bytes, PREAMBLE_BYTES + headerLength, header, where)
	if (kind === KIND_SEAL && sections.length > 0) throw corrupt(where, 'a seal with sections')
	return { kind: kind === KIND_COMMIT ? 'commit' : 'seal', position, owner, nonce, settledSlots, body, sections }
}

function decodeSections(bytes: Uint8Array, start: number, header: ByteReader, where: string): RecordSection[] {
	const sectionCount = header.varint()
	if (sectionCount > SECTIONS_MAX_COUNT) throw corrupt(where, `log record claims ${sectionCount} sections`)
	const sections: RecordSection[] = []
	let offset = start
	for (let index = 0; index < sectionCount; index++) {
		const length = header.varint()
		if (length > bytes.length - offset) throw corrupt(where, 'truncated log record')
		sections.push({ offset, bytes: bytes.subarray(offset, offset + length) })
		offset += length
	}
	header.expectEnd()
	if (offset !== bytes.length) throw corrupt(where, `${bytes.length - offset} bytes behind the log record`)
	return sections
}

/** True for a seal that is a barrier. */
export function isBarrier(record: LogRecord): boolean {
	return record.kind === 'seal' && isSameOwner(record.owner, NOBODY)
}

/** True when both name the same owner. */
export function isSameOwner(a: Uint8Array, b: Uint8Array): boolean {
	return Buffer.compare(a, b) === 0
}

/** True when both were written by one append: same owner, same nonce. */
export function isSameAppend(
	a: { readonly owner: Uint8Array; readonly nonce: Uint8Array },
	b: { readonly owner: Uint8Array; readonly nonce: Uint8Array },
): boolean {
	return isSameOwner(a.owner, b.owner) && Buffer.compare(a.nonce, b.nonce) === 0
}
