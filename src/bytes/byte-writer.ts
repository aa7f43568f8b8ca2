/**
 * Writes small structures (headers, footers, records) into a buffer that grows. Integers are little-endian.
 *
 * Values that do not fit their field are bugs of ours: a broken invariant, before a byte is written. By hand and without a
 * `DataView`: a structure of a few bytes is written sooner than one is made.
 */
import { brokenInvariant } from '../errors.ts'

/** 2^32: the weight of the high half of a u64. */
const HIGH = 4294967296

const encoder = new TextEncoder()

export class ByteWriter {
	#bytes: Uint8Array<ArrayBuffer>
	#length = 0

	/** `capacityBytes` is what is reserved at first; default 256. */
	constructor(capacityBytes = 256) {
		this.#bytes = new Uint8Array(Math.max(16, capacityBytes))
	}

	/** Bytes written so far. */
	get length(): number {
		return this.#length
	}

	u8(value: number): this {
		if (!(Number.isInteger(value) && value >= 0 && value <= 0xff)) throw unfit('u8', value)
		const at = this.#reserve(1)
		this.#bytes[at] = value
		return this
	}

	u16(value: number): this {
		if (!(Number.isInteger(value) && value >= 0 && value <= 0xffff)) throw unfit('u16', value)
		const at = this.#reserve(2)
		this.#bytes[at] = value
		this.#bytes[at + 1] = value >>> 8
		return this
	}

	u32(value: number): this {
		if (!(Number.isInteger(value) && value >= 0 && value <= 0xffffffff)) throw unfit('u32', value)
		const at = this.#reserve(4)
		writeU32(this.#bytes, at, value)
		return this
	}

	/** A non-negative integer up to 2^53 − 1 in eight bytes. */
	u64(value: number): this {
		if (!(Number.isSafeInteger(value) && value >= 0)) throw unfit('u64', value)
		const at = this.#reserve(8)
		writeU32(this.#bytes, at, value % HIGH)
		writeU32(this.#bytes, at + 4, Math.floor(value / HIGH))
		return this
	}

	f64(value: number): this {
		const at = this.#reserve(8)
		new DataView(this.#bytes.buffer).setFloat64(at, value, true)
		return this
	}

	/** Unsigned LEB128 of an integer up to 2^53 − 1: 1 to 8 bytes. */
	varint(value: number): this {
		if (!(Number.isSafeInteger(value) && value >= 0)) throw unfit('varint', value)
		let at = this.#reserve(8)
		let left = value
		for (; left > 0x7f; left = Math.floor(left / 128)) this.#bytes[at++] = (left % 128) | 0x80
		this.#bytes[at++] = left
		this.#length = at
		return this
	}

	/** A copy of `source`, without its length. */
	bytes(source: Uint8Array): this {
		const at = this.#reserve(source.length)
		this.#bytes.set(source, at)
		return this
	}

	/** A varint length, then a copy of `source`. */
	lengthPrefixed(source: Uint8Array): this {
		return this.varint(source.length).bytes(source)
	}

	/** UTF-8, length-prefixed. Lone surrogates become U+FFFD. */
	string(text: string): this {
		return this.lengthPrefixed(encoder.encode(text))
	}

	/** What was written, in an ArrayBuffer of exactly that length that the caller owns. The writer stays usable. */
	finish(): Uint8Array<ArrayBuffer> {
		return this.#bytes.slice(0, this.#length)
	}

	/** Makes room for `count` bytes at the end and returns where they begin. */
	#reserve(count: number): number {
		const at = this.#length
		const length = at + count
		if (length > this.#bytes.length) {
			const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2))
			grown.set(this.#bytes.subarray(0, at))
			this.#bytes = grown
		}
		this.#length = length
		return at
	}
}

/** Overwrites four bytes of what was written: what is known only when all of it stands. `value` fits. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value
	bytes[at + 1] = value >>> 8
	bytes[at + 2] = value >>> 16
	bytes[at + 3] = value >>> 24
}

/** Made only when it is thrown: integers are written by the thousand. */
function unfit(field: string, value: number): Error {
	return brokenInvariant(`${field} of ${value}`)
}
