/**
 * Mutations that become one commit or none.
 *
 * They are kept as a memtable keeps them (layout: src/sst/entry-arena.ts), end to end in one buffer: bytes are copied and
 * text is encoded once, when it is added, and writing the batch moves whole entries. Only the expiry differs: it is a
 * time to live here.
 */

import { describe, integerOption, refuseUnknownOptions } from '../arguments.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { writeEntry } from '../memtable/write-entry.ts'
import { type EntryKind, KEY_MAX_BYTES, KIND_TOMBSTONE, KIND_VALUE, VALUE_MAX_BYTES } from '../sst/entry.ts'
import { EXPIRY_WORDS, HEADER_WORDS, wordsFor } from '../sst/entry-arena.ts'

/** One commit is one table in memory: 32 MiB of keys, values and what the entries take around them. */
export const BATCH_MAX_BYTES = 33_554_432
/** Of an entry in memory besides key and value: header, padding, expiry. So the number of operations is bounded too. */
export const BATCH_OPERATION_BYTES = 32

/** 1 KiB; from there it doubles. */
const FIRST_WORDS = 256
/** What the last batch came to, up to 1 MiB, is what the next one begins with: batches of one program are alike. */
const EXPECTED_WORDS_MAX = 262_144
/** Room for an entry is reserved before it is measured: a little more than is used. */
const EXPECTED_SLACK = 1.125
let expectedWords = FIRST_WORDS

/** The mutations of a batch in memory; valid until it is changed. */
export interface BatchEntries {
	readonly words: Int32Array
	/** The first entry begins at word 0, the last one ends here. Word 0 and 1 of each mean nothing. */
	readonly endWord: number
}

export class WriteBatch {
	#words = new Int32Array(0)
	#buffer = Buffer.alloc(0)
	#endWord = 0
	#length = 0
	#bytes = 0

	/** How many mutations it holds. */
	get length(): number {
		return this.#length
	}

	get entries(): BatchEntries {
		return { words: this.#words, endWord: this.#endWord }
	}

	/** Bytes of keys and values, strings counted at three bytes a UTF-16 unit, and 32 for each operation. */
	get bytes(): number {
		return this.#bytes
	}

	/** @throws TypeError, RangeError for what cannot be stored or has no room; the batch stays as it was. */
	put(key: string | Uint8Array, value: string | Uint8Array, options?: { readonly ttlMs?: number | undefined }): this {
		let ttlMs = 0
		if (options !== undefined) {
			refuseUnknownOptions('options of put', options, ['ttlMs'])
			if (options.ttlMs !== undefined) ttlMs = ttlOption(options.ttlMs)
		}
		checkValue(value)
		this.#add(key, value, KIND_VALUE, ttlMs)
		return this
	}

	delete(key: string | Uint8Array): this {
		this.#add(key, NO_BYTES, KIND_TOMBSTONE, 0)
		return this
	}

	clear(): this {
		this.#endWord = 0
		this.#length = 0
		this.#bytes = 0
		return this
	}

	/** `value` and `ttlMs`, 0 for none, have been checked. */
	#add(key: string | Uint8Array, value: string | Uint8Array, kind: EntryKind, ttlMs: number): void {
		checkKey(key)
		const keyBound = boundOf(key)
		const valueBound = boundOf(value)
		const bytes = keyBound + valueBound + BATCH_OPERATION_BYTES
		if (this.#bytes + bytes > BATCH_MAX_BYTES) {
			throw new RangeError(`Expected a batch to hold at most ${BATCH_MAX_BYTES} bytes, got ${this.#bytes + bytes}`)
		}
		const mostWords = HEADER_WORDS + wordsFor(keyBound) + wordsFor(valueBound) + EXPIRY_WORDS
		if (this.#endWord + mostWords > this.#words.length) this.#grow(this.#endWord + mostWords)
		this.#endWord = writeEntry(this.#words, this.#buffer, this.#endWord, 0, key, value, kind, ttlMs)
		this.#length++
		this.#bytes += bytes
		if (this.#endWord > expectedWords) expectedWords = Math.min(this.#endWord, EXPECTED_WORDS_MAX)
	}

	#grow(wordCount: number): void {
		const isFirst = this.#words.length === 0
		const atLeast = isFirst ? expectedWords * EXPECTED_SLACK : this.#words.length * 2
		// Not zeroed, and alone in its ArrayBuffer: what is read was written before.
		const buffer = Buffer.allocUnsafeSlow(Math.max(wordCount, Math.ceil(atLeast)) * 4)
		const words = new Int32Array(buffer.buffer)
		words.set(this.#words.subarray(0, this.#endWord))
		if (isFirst) expectedWords = FIRST_WORDS
		this.#words = words
		this.#buffer = buffer
	}
}

/** A time to live: 1 ms to a hundred years. */
export function ttlOption(ttlMs: unknown): number {
	return integerOption('ttlMs', ttlMs, 0, 1, 3_155_760_000_000)
}

/** Refuses what is no key: of another type, empty, or more than 64 KiB. */
export function checkKey(key: unknown): asserts key is string | Uint8Array {
	const isText = typeof key === 'string'
	if (!(isText || key instanceof Uint8Array)) {
		throw new TypeError(`Expected \`key\` to be a string or a Uint8Array, got ${describe(key)}`)
	}
	if (key.length > 0 && key.length * 3 <= KEY_MAX_BYTES) return
	const keyBytes = isText ? Buffer.byteLength(key) : key.length
	if (keyBytes >= 1 && keyBytes <= KEY_MAX_BYTES) return
	throw new RangeError(`Expected \`key\` to be 1 to ${KEY_MAX_BYTES} bytes, got ${keyBytes}`)
}

/** Refuses what is no value: of another type, or more than 256 MiB. */
export function checkValue(value: unknown): asserts value is string | Uint8Array {
	const isText = typeof value === 'string'
	if (!(isText || value instanceof Uint8Array)) {
		throw new TypeError(`Expected \`value\` to be a string or a Uint8Array, got ${describe(value)}`)
	}
	if (value.length * 3 <= VALUE_MAX_BYTES) return
	const valueBytes = isText ? Buffer.byteLength(value) : value.length
	if (valueBytes <= VALUE_MAX_BYTES) return
	throw new RangeError(`Expected \`value\` to be at most ${VALUE_MAX_BYTES} bytes, got ${valueBytes}`)
}

function boundOf(part: string | Uint8Array): number {
	return typeof part === 'string' ? part.length * 3 : part.length
}
