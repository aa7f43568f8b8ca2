/**
 * Mutations that become one commit or none.
 *
 * Bytes are copied when they are added, so that a buffer may be used again at once; strings need no copy.
 */
import { integerOption } from '../arguments.ts'
import { copyBytes } from '../bytes/encoding.ts'
import { KEY_MAX_BYTES } from '../sst/entry.ts'

/** One commit is one table in memory: 32 MiB of keys and values. */
export const BATCH_MAX_BYTES = 33_554_432

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

	/** Bytes of keys and values, strings counted at three bytes a UTF-16 unit. */
	get bytes(): number {
		return this.#bytes
	}

	put(key: string | Uint8Array, value: string | Uint8Array, options: { readonly ttlMs?: number } = {}): this {
		const ttlMs = options.ttlMs === undefined ? undefined : ttlOption(options.ttlMs)
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

	#add(key: string | Uint8Array, value: string | Uint8Array | undefined, ttlMs: number | undefined): void {
		const bytes = boundOf('key', key) + (value === undefined ? 0 : boundOf('value', value))
		checkKey(key)
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

/** Refuses a key that is no bytes or more than 64 KiB. */
export function checkKey(key: string | Uint8Array): void {
	if (key.length > 0 && key.length * 3 <= KEY_MAX_BYTES) return
	const keyBytes = typeof key === 'string' ? Buffer.byteLength(key) : key.length
	if (keyBytes >= 1 && keyBytes <= KEY_MAX_BYTES) return
	throw new RangeError(`Expected \`key\` to be 1 to ${KEY_MAX_BYTES} bytes, got ${keyBytes}`)
}

function boundOf(name: string, part: unknown): number {
	if (typeof part === 'string') return part.length * 3
	if (part instanceof Uint8Array) return part.length
	throw new TypeError(`Expected \`${name}\` to be a string or a Uint8Array, got ${typeof part}`)
}
