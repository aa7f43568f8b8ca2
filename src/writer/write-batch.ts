/**
 * Mutations that become one commit or none.
 *
 * Bytes are copied when they are added, so that a buffer may be used again at once; strings need no copy.
 */
import { describe, integerOption, refuseUnknownOptions } from '../arguments.ts'
import { copyBytes } from '../bytes/encoding.ts'
import { KEY_MAX_BYTES, VALUE_MAX_BYTES } from '../sst/entry.ts'

/** One commit is one table in memory: 32 MiB of keys, values and what the entries take around them. */
export const BATCH_MAX_BYTES = 33_554_432
/** Of an entry in memory besides key and value: header, padding, expiry. So the number of operations is bounded too. */
export const BATCH_OPERATION_BYTES = 32

export interface BatchOperation {
	readonly key: string | Uint8Array
	/** Absent: a delete. */
	readonly value: string | Uint8Array | undefined
	readonly ttlMs: number | undefined
}

export class WriteBatch {
	readonly #operations: BatchOperation[] = []
	#bytes = 0

	get operations(): readonly BatchOperation[] {
		return this.#operations
	}

	/** Bytes of keys and values, strings counted at three bytes a UTF-16 unit, and 32 for each operation. */
	get bytes(): number {
		return this.#bytes
	}

	/** @throws TypeError, RangeError for what cannot be stored or has no room; the batch stays as it was. */
	put(
		key: string | Uint8Array,
		value: string | Uint8Array,
		options: { readonly ttlMs?: number | undefined } = {},
	): this {
		refuseUnknownOptions('options of put', options, ['ttlMs'])
		const ttlMs = options.ttlMs === undefined ? undefined : ttlOption(options.ttlMs)
		// Not left to `add`: a value that is missing by mistake must not become a delete.
		checkValue(value)
		this.#add(key, value, ttlMs)
		return this
	}

	delete(key: string | Uint8Array): this {
		this.#add(key, undefined, undefined)
		return this
	}

	clear(): this {
		this.#operations.length = 0
		this.#bytes = 0
		return this
	}

	/** A delete when `value` is undefined; else it has been checked. */
	#add(key: string | Uint8Array, value: string | Uint8Array | undefined, ttlMs: number | undefined): void {
		checkKey(key)
		const bytes = boundOf(key) + (value === undefined ? 0 : boundOf(value)) + BATCH_OPERATION_BYTES
		if (this.#bytes + bytes > BATCH_MAX_BYTES) {
			throw new RangeError(`Expected a batch to hold at most ${BATCH_MAX_BYTES} bytes, got ${this.#bytes + bytes}`)
		}
		this.#operations.push({ key: keep(key), value: value === undefined ? undefined : keep(value), ttlMs })
		this.#bytes += bytes
	}
}

/** Text needs no copy; bytes of one batch share slabs. */
function keep(part: string | Uint8Array): string | Uint8Array {
	return typeof part === 'string' ? part : copyBytes(part, 0, part.length)
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
