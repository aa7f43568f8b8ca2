/**
 * An `SstMeta` as bytes: the properties of a table, and how commits and checkpoints name it.
 *
 *     u16 format version · u8 codec (0 none, 1 deflate, 2 lz4, 3 zstd)
 *     varint: entries, keys, tombstones, blob references, minSeq, maxSeq, minWriteMs, maxWriteMs, maxExpiresAtMs,
 *             rawBytes, storedBytes, metaOffset, and from version 2 on halfExpiresAtMs
 *     smallest key, largest key, each length-prefixed (varint)
 *     uses of blob packs (blob-uses.ts)
 *
 * The properties section of a table is a CRC-32 of what follows, this, and then as varints the count of blocks and the
 * raw size of the largest block.
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { compareBytes, compareRanges } from '../bytes/compare.ts'
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, IsleError } from '../errors.ts'
import { decodeBlobUses, encodeBlobUses } from './blob-uses.ts'
import { RAW_BLOCK_MAX_BYTES } from './block-format.ts'
import { CODEC_NAMES } from './codec.ts'
import { KEY_MAX_BYTES } from './entry.ts'
import type { CodecName, SstMeta } from './sst-meta.ts'

/** Version of the table format that this code writes, and the newest that it reads. */
export const SST_FORMAT_VERSION = 2

/** Persisted: position = number of the codec, as in stored blocks. */
const CODEC_BY_NUMBER: readonly CodecName[] = CODEC_NAMES

export interface TableProperties {
	readonly meta: SstMeta
	readonly blockCount: number
	/** No block of the table declares more: the bound for what a decoder allocates. */
	readonly largestRawBlockBytes: number
}

/** Throws ISLE_UNSUPPORTED for a table of a newer version than this code reads. */
export function checkSstVersion(version: number, where: string): void {
	if (version > SST_FORMAT_VERSION) {
		throw new IsleError(
			'ISLE_UNSUPPORTED',
			`table format version ${version} in \`${where}\`: this code reads up to ${SST_FORMAT_VERSION}, upgrade it`,
			{ details: { where } },
		)
	}
}

/** True when tables of that version say when half of their entries will have expired. */
export function hasHalfExpiry(formatVersion: number): boolean {
	return formatVersion >= 2
}

export function encodeSstMeta(writer: ByteWriter, meta: SstMeta): void {
	writer.u16(meta.formatVersion).u8(CODEC_BY_NUMBER.indexOf(meta.codec))
	for (const field of numbersOf(meta)) writer.varint(field)
	writer.lengthPrefixed(meta.smallestKey).lengthPrefixed(meta.largestKey)
	encodeBlobUses(writer, meta.blobUses)
}

/**
 * Reads what `encodeSstMeta` wrote; keys are copies. @throws ISLE_CORRUPT, or ISLE_UNSUPPORTED for a newer version or codec.
 */
export function decodeSstMeta(reader: ByteReader, where: string): SstMeta {
	const numbers = readNumbers(reader, where)
	const smallestKey = new Uint8Array(reader.lengthPrefixed(KEY_MAX_BYTES))
	const largestKey = new Uint8Array(reader.lengthPrefixed(KEY_MAX_BYTES))
	const blobUses = decodeBlobUses(reader, numbers.blobRefCount, where)
	assertSound(numbers, smallestKey.length >= 1 && compareBytes(smallestKey, largestKey) <= 0, where)
	return { ...numbers, smallestKey, largestKey, blobUses }
}

/** Passes over the same in `bytes`, which are what `reader` reads, and refuses the same. */
export function skipSstMeta(reader: ByteReader, bytes: Uint8Array, where: string): void {
	const numbers = readNumbers(reader, where)
	const smallestBytes = reader.skipLengthPrefixed(KEY_MAX_BYTES)
	const smallestEnd = reader.position
	const largestBytes = reader.skipLengthPrefixed(KEY_MAX_BYTES)
	const largestEnd = reader.position
	decodeBlobUses(reader, numbers.blobRefCount, where)
	const [smallestStart, largestStart] = [smallestEnd - smallestBytes, largestEnd - largestBytes]
	const order = compareRanges(bytes, smallestStart, smallestEnd, bytes, largestStart, largestEnd)
	assertSound(numbers, smallestBytes >= 1 && order <= 0, where)
}

type MetaNumbers = Omit<SstMeta, 'smallestKey' | 'largestKey' | 'blobUses'>

function readNumbers(reader: ByteReader, where: string): MetaNumbers {
	const formatVersion = reader.u16()
	checkSstVersion(formatVersion, where)
	const codecNumber = reader.u8()
	const codec = CODEC_BY_NUMBER[codecNumber]
	if (codec === undefined) {
		throw new IsleError('ISLE_UNSUPPORTED', `unknown codec number ${codecNumber} in \`${where}\``, {
			details: { where },
		})
	}
	const numbers = {
		formatVersion,
		codec,
		entryCount: reader.varint(),
		keyCount: reader.varint(),
		tombstoneCount: reader.varint(),
		blobRefCount: reader.varint(),
		minSeq: reader.varint(),
		maxSeq: reader.varint(),
		minWriteMs: reader.varint(),
		maxWriteMs: reader.varint(),
		maxExpiresAtMs: reader.varint(),
		rawBytes: reader.varint(),
		storedBytes: reader.varint(),
		metaOffset: reader.varint(),
	}
	// Version 1 did not say; when all have expired, half have.
	return { ...numbers, halfExpiresAtMs: hasHalfExpiry(formatVersion) ? reader.varint() : numbers.maxExpiresAtMs }
}

function assertSound(numbers: MetaNumbers, isKeyRange: boolean, where: string): void {
	const isSound =
		isKeyRange &&
		numbers.formatVersion >= 1 &&
		numbers.keyCount >= 1 &&
		numbers.keyCount <= numbers.entryCount &&
		numbers.tombstoneCount + numbers.blobRefCount <= numbers.entryCount &&
		numbers.minSeq <= numbers.maxSeq &&
		numbers.minWriteMs <= numbers.maxWriteMs &&
		(numbers.maxExpiresAtMs === 0 || numbers.halfExpiresAtMs <= numbers.maxExpiresAtMs) &&
		numbers.metaOffset < numbers.storedBytes
	if (!isSound) throw corrupt(where, 'table properties that contradict each other')
}

function encodeProperties(properties: TableProperties): Uint8Array {
	const writer = new ByteWriter()
	writer.u32(0)
	encodeSstMeta(writer, properties.meta)
	writer.varint(properties.blockCount).varint(properties.largestRawBlockBytes)
	const section = writer.finish()
	new DataView(section.buffer).setUint32(0, crc32(section.subarray(4)), true)
	return section
}

/**
 * The properties of a table that takes `otherBytes` without them: they hold the size of the table, which holds them, so
 * their varints settle after a round or two.
 */
export function settleProperties(
	otherBytes: number,
	describe: (storedBytes: number) => TableProperties,
): { readonly section: Uint8Array; readonly storedBytes: number } {
	let storedBytes = otherBytes
	let section: Uint8Array = new Uint8Array(0)
	for (let before = -1; before !== storedBytes; ) {
		before = storedBytes
		section = encodeProperties(describe(storedBytes))
		storedBytes = otherBytes + section.length
	}
	return { section, storedBytes }
}

export function decodeProperties(section: Uint8Array, where: string): TableProperties {
	const reader = new ByteReader(section, where)
	if (reader.u32() !== crc32(section.subarray(4))) throw corrupt(where, 'table properties whose CRC does not match')
	const meta = decodeSstMeta(reader, where)
	const blockCount = reader.varint()
	const largestRawBlockBytes = reader.varint()
	reader.expectEnd()
	if (largestRawBlockBytes > RAW_BLOCK_MAX_BYTES) {
		throw corrupt(where, `a table that declares blocks of ${largestRawBlockBytes} bytes`)
	}
	return { meta, blockCount, largestRawBlockBytes }
}

/** The numbers of a meta in the order in which they are stored. */
function numbersOf(meta: SstMeta): readonly number[] {
	return [
		meta.entryCount,
		meta.keyCount,
		meta.tombstoneCount,
		meta.blobRefCount,
		meta.minSeq,
		meta.maxSeq,
		meta.minWriteMs,
		meta.maxWriteMs,
		meta.maxExpiresAtMs,
		meta.rawBytes,
		meta.storedBytes,
		meta.metaOffset,
		...(hasHalfExpiry(meta.formatVersion) ? [meta.halfExpiresAtMs] : []),
	]
}
