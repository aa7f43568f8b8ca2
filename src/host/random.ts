/** Randomness and ids, injected: a simulator seeds them, so that a history replays. */
import { randomBytes } from 'node:crypto'

export interface Random {
	/** Uniform in [0, 1). */
	next(): number
	/** `count` fresh random bytes, owned by the caller. */
	bytes(count: number): Uint8Array
}

/** A call of the generator costs 2.5 µs, and ten times as much in a thread that was idle: each record of a log asks for 16 bytes. */
const POOL_BYTES = 4_096

/** Bytes that nobody has had yet: `[poolAt, POOL_BYTES)`. */
let pool: Uint8Array = new Uint8Array(0)
let poolAt = 0

function randomOfSystem(count: number): Uint8Array {
	if (count > POOL_BYTES / 16) return new Uint8Array(randomBytes(count))
	if (poolAt + count > pool.length) {
		pool = randomBytes(POOL_BYTES)
		poolAt = 0
	}
	const bytes = new Uint8Array(pool.subarray(poolAt, poolAt + count))
	poolAt += count
	return bytes
}

export const systemRandom: Random = {
	next: () => Math.random(),
	bytes: randomOfSystem,
}

/** A repeatable source for tests and simulation (mulberry32, Tommy Ettinger, public domain). */
export function seededRandom(seed: number): Random {
	let state = seed | 0
	const next = (): number => {
		state = (state + 0x6d2b79f5) | 0
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
	}
	return {
		next,
		bytes: count => {
			const bytes = new Uint8Array(count)
			for (let at = 0; at < count; at++) bytes[at] = Math.floor(next() * 256)
			return bytes
		},
	}
}
