/**
 * The layout of entries in memory: written by the memtable, walked by the jobs that sort and encode it.
 *
 * It never leaves the process, so words are in the byte order of the machine and the layout may change freely.
 * A chunk holds entries end to end, each aligned to 4 bytes; its first word stays unused, so that a reference is
 * never 0. An entry never spans two chunks; one that is larger than a chunk has a chunk of its own.
 *
 *     word 0        sequence number − base of the memtable
 *     word 1        reference of the next older version of the same key, 0 for none (means nothing in a copy)
 *     word 2        bits 0–28 value bytes, bits 29–30 kind, bit 31 set when an expiry follows
 *     word 3        key bytes
 *     words 4 …     key, padded with zero bytes to a whole word (so keys compare and hash by words)
 *     then          value, padded with anything to a whole word
 *     then, if set  expiresAtMs: low 32 bits, high bits (2 words)
 *
 * A reference is `chunk << 16 | word`: 65,536 chunks of 65,536 words (256 KiB) = 16 GiB.
 */
import { invariant } from '../errors.ts'
import type { EntryKind } from './entry.ts'

/** 65,536 words of 4 bytes: the most that a reference can address in one chunk. */
export const CHUNK_BYTES = 262_144
export const CHUNK_MAX_COUNT = 65_536
export const HEADER_WORDS = 4
export const EXPIRY_WORDS = 2
export const REF_CHUNK_SHIFT = 16
export const REF_WORD_MASK = 0xffff

/** 2^29 − 1: more than `VALUE_MAX_BYTES`. */
const LENGTH_MASK = 0x1fff_ffff
const KIND_SHIFT = 29
/** −2^31, so that a set bit makes the word negative. */
const EXPIRY_BIT = -0x8000_0000

/** Words that `bytes` take when padded. */
export function wordsFor(bytes: number): number {
	return (bytes + 3) >>> 2
}

/** Word 2 of an entry. */
export function packShape(valueBytes: number, kind: EntryKind, hasExpiry: boolean): number {
	return valueBytes | (kind << KIND_SHIFT) | (hasExpiry ? EXPIRY_BIT : 0)
}

export function keyBytesAt(words: Int32Array, at: number): number {
	return words[at + 3] as number
}

export function valueBytesAt(words: Int32Array, at: number): number {
	return (words[at + 2] as number) & LENGTH_MASK
}

/** Where the value begins in its chunk, in bytes. */
export function valueOffsetAt(words: Int32Array, at: number): number {
	return (at + HEADER_WORDS + wordsFor(words[at + 3] as number)) << 2
}

export function kindAt(words: Int32Array, at: number): EntryKind {
	return (((words[at + 2] as number) >>> KIND_SHIFT) & 3) as EntryKind
}

/** Sequence number − base. */
export function seqDeltaAt(words: Int32Array, at: number): number {
	return (words[at] as number) >>> 0
}

/** 0 means never. */
export function expiresAtMsAt(words: Int32Array, at: number): number {
	const shape = words[at + 2] as number
	if (shape >= 0) return 0
	const tail = at + HEADER_WORDS + wordsFor(words[at + 3] as number) + wordsFor(shape & LENGTH_MASK)
	return ((words[tail + 1] as number) >>> 0) * 0x1_0000_0000 + ((words[tail] as number) >>> 0)
}

/** Words of the whole entry. */
export function entryWordsAt(words: Int32Array, at: number): number {
	const shape = words[at + 2] as number
	const body = HEADER_WORDS + wordsFor(words[at + 3] as number) + wordsFor(shape & LENGTH_MASK)
	return shape < 0 ? body + EXPIRY_WORDS : body
}

/** A stretch of one chunk, or a copy of it, that holds whole entries. Plain data: it crosses threads. */
export interface ArenaSegment {
	/** Number of the chunk in the memtable. */
	readonly chunk: number
	/** Byte 0 of the buffer is word `originWord` of the chunk. Shared memory is the sender's, and stays as it is for the job. */
	readonly buffer: ArrayBuffer | SharedArrayBuffer
	readonly originWord: number
	/** The entries stand in words `[firstWord, endWord)` of the buffer. */
	readonly firstWord: number
	readonly endWord: number
}

/** Both views of each segment, indexed alike. */
export interface SegmentViews {
	readonly bytes: readonly Uint8Array[]
	readonly words: readonly Int32Array[]
}

/** Segments lie within their buffers. */
export function checkSegments(segments: readonly ArenaSegment[]): void {
	for (const { buffer, firstWord, endWord } of segments) {
		invariant(firstWord <= endWord && endWord * 4 <= buffer.byteLength, 'an arena segment ends past its buffer')
	}
}

export function viewSegments(segments: readonly ArenaSegment[]): SegmentViews {
	checkSegments(segments)
	return {
		bytes: segments.map(segment => new Uint8Array(segment.buffer)),
		words: segments.map(segment => new Int32Array(segment.buffer, 0, segment.buffer.byteLength >>> 2)),
	}
}

/** Turns references `segment << 16 | word` into references of the arena that the segments come from, in place. */
export function mapRefs(refs: Uint32Array<ArrayBuffer>, segments: readonly ArenaSegment[]): Uint32Array<ArrayBuffer> {
	// Word and segment change by a constant per segment, and the sum cannot carry: the target word is below 65,536.
	const shifts = Int32Array.from(
		segments,
		(segment, s) => ((segment.chunk - s) << REF_CHUNK_SHIFT) + segment.originWord,
	)
	for (let i = 0; i < refs.length; i++) {
		const ref = refs[i] as number
		refs[i] = ref + (shifts[ref >>> REF_CHUNK_SHIFT] as number)
	}
	return refs
}

/** The buffers of segments that travel: a job owns them. What is shared stays where it is. */
export function ownBuffers(segments: readonly ArenaSegment[]): ArrayBuffer[] {
	return segments.map(({ buffer }) => buffer).filter(buffer => buffer instanceof ArrayBuffer)
}
