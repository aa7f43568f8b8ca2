/**
 * Moves the mutations of a batch into a memtable, in their order. Small entries move whole, as they stand; large values go
 * into the open blob pack and leave their reference.
 */
import type { Memtable } from '../memtable/memtable.ts'
import { KIND_BLOB } from '../sst/entry.ts'
import {
	entryWordsAt,
	expiresAtMsAt,
	HEADER_WORDS,
	keyBytesAt,
	valueBytesAt,
	valueOffsetAt,
} from '../sst/entry-arena.ts'
import type { BlobPacker } from './blob-packer.ts'
import type { WriteBatch } from './write-batch.ts'

export interface BatchInsertion {
	/** Values from this size on go into a pack. */
	readonly blobThresholdBytes: number
	/** When times to live begin. */
	readonly nowMs: number
}

/** What is in a batch was checked when it was added; if it throws all the same, the entries before stay inserted. */
export function insertBatch(
	batch: WriteBatch,
	memtable: Memtable,
	packer: BlobPacker,
	{ blobThresholdBytes, nowMs }: BatchInsertion,
): void {
	const { words, endWord } = batch.entries
	for (let at = 0; at < endWord; at += entryWordsAt(words, at)) {
		if (valueBytesAt(words, at) < blobThresholdBytes) memtable.append(words, at, nowMs)
		else insertLarge(words, at, memtable, packer, nowMs)
	}
}

function insertLarge(words: Int32Array, at: number, memtable: Memtable, packer: BlobPacker, nowMs: number): void {
	const bytes = new Uint8Array(words.buffer)
	const keyOffset = (at + HEADER_WORDS) << 2
	const valueOffset = valueOffsetAt(words, at)
	const key = bytes.subarray(keyOffset, keyOffset + keyBytesAt(words, at))
	const own = new Uint8Array(bytes.subarray(valueOffset, valueOffset + valueBytesAt(words, at)))
	const ttlMs = expiresAtMsAt(words, at)
	memtable.put(key, packer.add(own), KIND_BLOB, ttlMs === 0 ? 0 : nowMs + ttlMs)
}
