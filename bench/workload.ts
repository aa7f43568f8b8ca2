/**
 * The records of a benchmark: keys of 16 characters in random order, each once, and JSON-like values.
 *
 * Record i has a key that is a bijection of i (so keys differ, and their order is random) written as 16 hexadecimal
 * digits, and one of 8,192 prepared values. So that making records costs little beside storing them, and leaves little to
 * the garbage collector, keys are written into a ring of views, and values are views that are shared.
 */
import { type Random, seededRandom } from '../src/host/random.ts'

export const KEY_BYTES = 16
/** 800 KB of values of 100 bytes; a block of 16 KiB holds 140 records, so that few are twice in one. */
const PREPARED_VALUES = 8_192
/** Puts that may be in flight at once, whatever the batch. */
const RING_MIN = 4_096

/** A shorter rest of a value is filled with spaces. */
const JSON_BYTES_MIN = 80

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
/** The two hexadecimal digits of each byte, as they stand in memory. */
const DIGITS = Uint16Array.from({ length: 256 }, (_, byte) => {
	const text = byte.toString(16).padStart(2, '0')
	const [first, second] = IS_LITTLE_ENDIAN ? [0, 8] : [8, 0]
	return (text.charCodeAt(0) << first) | (text.charCodeAt(1) << second)
})

/** MurmurHash3's finalizer: a bijection of 32-bit integers. */
function mix(value: number): number {
	let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
	mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
	return (mixed ^ (mixed >>> 16)) >>> 0
}

export class Workload {
	/** Records until a key view is used again, a power of two. */
	readonly ring: number
	readonly #seed: number
	readonly #keyUnits: Uint16Array
	readonly #keys: Uint8Array[]
	readonly #values: Uint8Array[]

	/** `inFlight` records are used at once at the most. */
	constructor(seed: number, valueBytes: number, inFlight: number) {
		this.ring = 2 ** Math.ceil(Math.log2(Math.max(RING_MIN, inFlight)))
		this.#seed = mix(seed)
		this.#keyUnits = new Uint16Array((this.ring * KEY_BYTES) / 2)
		const keyBytes = new Uint8Array(this.#keyUnits.buffer)
		this.#keys = Array.from({ length: this.ring }, (_, i) => keyBytes.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES))
		this.#values = prepareValues(seed, valueBytes)
	}

	/** The key of record `i`, in a view that changes `ring` records later. */
	key(i: number): Uint8Array {
		const units = this.#keyUnits
		const slot = i & (this.ring - 1)
		const at = (slot * KEY_BYTES) / 2
		const high = mix(i ^ this.#seed)
		const low = mix(high ^ 0x5bd1e995)
		units[at] = DIGITS[high >>> 24] as number
		units[at + 1] = DIGITS[(high >>> 16) & 255] as number
		units[at + 2] = DIGITS[(high >>> 8) & 255] as number
		units[at + 3] = DIGITS[high & 255] as number
		units[at + 4] = DIGITS[low >>> 24] as number
		units[at + 5] = DIGITS[(low >>> 16) & 255] as number
		units[at + 6] = DIGITS[(low >>> 8) & 255] as number
		units[at + 7] = DIGITS[low & 255] as number
		return this.#keys[slot] as Uint8Array
	}

	/** The same as text. */
	keyText(i: number): string {
		const high = mix(i ^ this.#seed)
		return (
			high.toString(16).padStart(8, '0') +
			mix(high ^ 0x5bd1e995)
				.toString(16)
				.padStart(8, '0')
		)
	}

	/** The value of record `i`, shared with other records: not to be changed. */
	value(i: number): Uint8Array {
		return this.#values[i & (PREPARED_VALUES - 1)] as Uint8Array
	}
}

function prepareValues(seed: number, valueBytes: number): Uint8Array[] {
	const random = seededRandom(seed)
	const bytes = Buffer.alloc(PREPARED_VALUES * valueBytes, ' ')
	return Array.from({ length: PREPARED_VALUES }, (_, i) => {
		// Of long values, as many as fit: spaces would compress to nothing.
		let text = jsonText(random)
		while (text.length + JSON_BYTES_MIN <= valueBytes) text += jsonText(random)
		const at = i * valueBytes
		bytes.write(text.slice(0, valueBytes), at, 'latin1')
		return new Uint8Array(bytes.buffer, bytes.byteOffset + at, valueBytes)
	})
}

function jsonText(random: Random): string {
	const name = `user ${Math.floor(random.next() * 1e6)}`
	const score = Math.floor(random.next() * 1e8) / 1e4
	return `{"id":${Math.floor(random.next() * 1e9)},"name":"${name}","score":${score},"tags":["alpha","beta"],"active":${random.next() < 0.5}}`
}
