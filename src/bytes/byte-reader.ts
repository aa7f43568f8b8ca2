/**
 * Reads what `ByteWriter` wrote, from bytes that nobody vouches for.
 *
 * Invariants: never reads outside `bytes`; every failure is `ISLE_CORRUPT` and names `where`; nothing is allocated by
 * a length before that length is known to be there.
 */
import { corrupt, type IsleError } from '../errors.ts'

/** 2^32: the weight of the high half of a u64. */
const HIGH = 4294967296

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteReader {
	readonly #bytes: Uint8Array
	readonly #where: string
	#at = 0

	/** `where` names the object, or the part of a format, in messages. `bytes` is not copied. */
	constructor(bytes: Uint8Array, where: string) {
		this.#bytes = bytes
		this.#where = where
	}

	/** Bytes read so far. */
	get position(): number {
		return this.#at
	}

	/** Bytes not read yet. */
	get remaining(): number {
		return this.#bytes.length - this.#at
	}

	u8(): number {
		return this.#byte(this.#take(1))
	}

	u16(): number {
		const at = this.#take(2)
		return this.#byte(at) | (this.#byte(at + 1) << 8)
	}

	u32(): number {
		return this.#u32(this.#take(4))
	}

	/** Eight bytes; more than 2^53 − 1 is corruption. */
	u64(): number {
		const at = this.#take(8)
		const value = this.#u32(at) + this.#u32(at + 4) * HIGH
		if (!Number.isSafeInteger(value)) throw this.#error('a number beyond 2^53')
		return value
	}

	f64(): number {
		const { buffer, byteOffset, byteLength } = this.#bytes
		return new DataView(buffer, byteOffset, byteLength).getFloat64(this.#take(8), true)
	}

	/** Unsigned LEB128 up to 2^53 − 1, in its shortest form. */
	varint(): number {
		let value = 0
		let weight = 1
		for (let count = 1; count <= 8; count++) {
			const byte = this.#byte(this.#take(1))
			value += (byte & 0x7f) * weight
			if (byte < 0x80) {
				if (byte === 0 && count > 1) throw this.#error('a varint that is not in its shortest form')
				if (!Number.isSafeInteger(value)) throw this.#error('a number beyond 2^53')
				return value
			}
			weight *= 128
		}
		throw this.#error('a varint of more than 8 bytes')
	}

	/** The next `count` bytes, as a view. */
	bytes(count: number): Uint8Array {
		const at = this.#take(count)
		return this.#bytes.subarray(at, at + count)
	}

	/** A varint length of at most `maxBytes`, then that many bytes as a view. */
	lengthPrefixed(maxBytes: number): Uint8Array {
		return this.bytes(this.#count(maxBytes))
	}

	/** Length-prefixed UTF-8 of at most `maxBytes`; what is not valid UTF-8 is corruption. */
	string(maxBytes: number): string {
		return this.#decode(this.lengthPrefixed(maxBytes))
	}

	/** Passes over what `lengthPrefixed` would give. Answers how many bytes that is. */
	skipLengthPrefixed(maxBytes: number): number {
		const count = this.#count(maxBytes)
		this.#take(count)
		return count
	}

	/** Passes over what `string` would give, and refuses the same. */
	skipString(maxBytes: number): void {
		const start = this.#take(this.#count(maxBytes))
		for (let at = start; at < this.#at; at++) {
			if ((this.#bytes[at] as number) < 0x80) continue
			this.#decode(this.#bytes.subarray(start, this.#at))
			return
		}
	}

	/** Nothing may follow. */
	expectEnd(): void {
		if (this.remaining !== 0) throw this.#error(`${this.remaining} bytes too many`)
	}

	#count(maxBytes: number): number {
		const count = this.varint()
		if (count > maxBytes) throw this.#error(`a length of ${count} bytes (at most ${maxBytes} are allowed)`)
		return count
	}

	#decode(encoded: Uint8Array): string {
		try {
			return decoder.decode(encoded)
		} catch (cause) {
			throw corrupt(this.#where, 'text that is not UTF-8', cause)
		}
	}

	#take(count: number): number {
		const at = this.#at
		if (!(count >= 0 && count <= this.#bytes.length - at)) {
			throw this.#error(`${count} bytes expected at ${at}, ${this.remaining} left`)
		}
		this.#at = at + count
		return at
	}

	/** Without a `DataView`: a structure of a few bytes is read sooner than one is made. `at` was taken. */
	#byte(at: number): number {
		return this.#bytes[at] as number
	}

	#u32(at: number): number {
		return (this.#byte(at) | (this.#byte(at + 1) << 8) | (this.#byte(at + 2) << 16) | (this.#byte(at + 3) << 24)) >>> 0
	}

	#error(what: string): IsleError {
		return corrupt(this.#where, what)
	}
}
