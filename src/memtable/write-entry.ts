/**
 * Writes entries into a chunk (layout: src/sst/entry-arena.ts), bytes or text, without allocating.
 *
 * An entry is written where nothing refers to it yet, and checked as it is written: one that is refused leaves no trace.
 */
import { type EntryKind, KEY_MAX_BYTES, VALUE_MAX_BYTES } from '../sst/entry.ts'
import { EXPIRY_WORDS, HEADER_WORDS, packShape, wordsFor } from '../sst/entry-arena.ts'

/** Copies shorter than this are made by a loop: a call of `set` costs more. */
const LOOP_COPY_BYTES = 24
/** Strings shorter than this are written by a loop: a call into C++ costs more. */
const LOOP_TEXT_CHARS = 24

/** Copies `source` to `offset`; returns the bytes written. */
export function writeBytes(target: Uint8Array, offset: number, source: Uint8Array): number {
	const count = source.length
	if (count > LOOP_COPY_BYTES) target.set(source, offset)
	else for (let i = 0; i < count; i++) target[offset + i] = source[i] as number
	return count
}

/** Writes `text` in UTF-8 to `offset`, where three bytes per UTF-16 unit are free, or as
 * many as it takes; returns the bytes written. */
function writeText(target: Buffer, offset: number, text: string): number {
	const count = text.length
	if (count > LOOP_TEXT_CHARS) return writeUtf8(target, offset, text)
	let seen = 0
	for (let i = 0; i < count; i++) {
		const unit = text.charCodeAt(i)
		seen |= unit
		target[offset + i] = unit
	}
	return seen < 0x80 ? count : writeUtf8(target, offset, text)
}

function writeUtf8(target: Buffer, offset: number, text: string): number {
	return target.write(text, offset, Math.min(3 * text.length, target.length - offset), 'utf8')
}

/**
 * Writes an entry at word `at` of a chunk with views `words` and `bytes`, where three bytes per UTF-16 unit are free or
 * exactly what it needs; returns the word after it.
 *
 * @throws RangeError for a key or value beyond its limits, or an expiry that is no time.
 */
export function writeEntry(
	words: Int32Array,
	bytes: Buffer,
	at: number,
	seqDelta: number,
	key: string | Uint8Array,
	value: string | Uint8Array,
	kind: EntryKind,
	expiresAtMs: number,
): number {
	const keyOffset = (at + HEADER_WORDS) << 2
	const keyBytes = typeof key === 'string' ? writeText(bytes, keyOffset, key) : writeBytes(bytes, keyOffset, key)
	for (let i = keyBytes; (i & 3) !== 0; i++) bytes[keyOffset + i] = 0
	const valueAt = at + HEADER_WORDS + wordsFor(keyBytes)
	const valueBytes =
		typeof value === 'string' ? writeText(bytes, valueAt << 2, value) : writeBytes(bytes, valueAt << 2, value)
	checkEntryLimits(keyBytes, valueBytes)
	words[at] = seqDelta
	words[at + 2] = packShape(valueBytes, kind, expiresAtMs !== 0)
	words[at + 3] = keyBytes
	const end = valueAt + wordsFor(valueBytes)
	if (expiresAtMs === 0) return end
	writeExpiry(words, end, expiresAtMs)
	return end + EXPIRY_WORDS
}

/** Writes the two words of an expiry. @throws RangeError for what is no time. */
export function writeExpiry(words: Int32Array, at: number, expiresAtMs: number): void {
	if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs < 0) {
		throw new RangeError(`Expected \`expiresAtMs\` to be a time in milliseconds, got ${expiresAtMs}`)
	}
	words[at] = expiresAtMs | 0
	words[at + 1] = Math.floor(expiresAtMs / 0x1_0000_0000)
}

export function checkEntryLimits(keyBytes: number, valueBytes: number): void {
	if (keyBytes < 1 || keyBytes > KEY_MAX_BYTES) {
		throw new RangeError(`Expected \`key\` to be 1 to ${KEY_MAX_BYTES} bytes, got ${keyBytes}`)
	}
	if (valueBytes > VALUE_MAX_BYTES) {
		throw new RangeError(`Expected \`value\` to be at most ${VALUE_MAX_BYTES} bytes, got ${valueBytes}`)
	}
}
