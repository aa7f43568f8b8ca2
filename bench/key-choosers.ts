/**
 * Which record a request of YCSB asks for. From "Benchmarking Cloud Serving Systems with YCSB" (Cooper et al., 2010) and
 * its source (`ZipfianGenerator`, `ScrambledZipfianGenerator`, `SkewedLatestGenerator`); the drawing of a Zipfian number
 * is that of Gray et al., "Quickly generating billion-record synthetic databases" (1994).
 */
import type { Random } from '../src/host/random.ts'

/** YCSB's constant: how skewed. */
export const ZIPFIAN_THETA = 0.99

/** Numbers below `count`; 0 is drawn most, then 1, and so on: number i with a weight of 1 / (i + 1)^theta. */
export class Zipfian {
	readonly #random: Random
	readonly #theta: number
	#count = 0
	#zeta = 0

	constructor(random: Random, count: number, theta: number = ZIPFIAN_THETA) {
		if (!(Number.isInteger(count) && count >= 2))
			throw new RangeError(`Expected \`count\` to be 2 or more, got ${count}`)
		this.#random = random
		this.#theta = theta
		this.grow(count)
	}

	/** From now on numbers below `count`, which is not less than before: costs what is added. */
	grow(count: number): void {
		for (let i = this.#count + 1; i <= count; i++) this.#zeta += 1 / i ** this.#theta
		this.#count = Math.max(this.#count, count)
	}

	next(): number {
		return zipfianOf(this.#random.next(), this.#count, this.#zeta, this.#theta)
	}
}

/** The number below `count` that `u`, uniform in [0, 1), stands for; `zeta` is the sum of all weights. */
function zipfianOf(u: number, count: number, zeta: number, theta: number): number {
	const weightOfTwo = 1 + 0.5 ** theta
	if (u * zeta < 1) return 0
	if (u * zeta < weightOfTwo) return 1
	const eta = (1 - (2 / count) ** (1 - theta)) / (1 - weightOfTwo / zeta)
	// Rounding may reach the count itself.
	return Math.min(count - 1, Math.floor(count * (eta * u - eta + 1) ** (1 / (1 - theta))))
}

const FNV_OFFSET_BASIS = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n
const SIGN = 1n << 63n
const ALL = (1n << 64n) - 1n

/** FNV of the eight bytes of an integer, made positive, as YCSB's `fnvhash64`. */
export function fnvHash64(value: number): bigint {
	let hash = FNV_OFFSET_BASIS
	let rest = BigInt(value)
	for (let byte = 0; byte < 8; byte++) {
		hash = ((hash ^ (rest & 0xffn)) * FNV_PRIME) & ALL
		rest >>= 8n
	}
	return hash < SIGN ? hash : (1n << 64n) - hash
}

/** YCSB's `ITEM_COUNT` and `ZETAN`: the sum would take minutes to make. */
const MANY = 10_000_000_000
const ZETA_OF_MANY = 26.46902820178302

/**
 * Zipfian, but the favourites lie anywhere among the `count` records and not at their beginning. As in YCSB the numbers are
 * drawn from ten thousand million and hashed, so that which records are favourites does not depend on how many there are.
 */
export class ScrambledZipfian {
	readonly #random: Random
	readonly #count: bigint

	constructor(random: Random, count: number) {
		this.#random = random
		this.#count = BigInt(count)
	}

	next(): number {
		const drawn = zipfianOf(this.#random.next(), MANY, ZETA_OF_MANY, ZIPFIAN_THETA)
		return Number(fnvHash64(drawn) % this.#count)
	}
}
