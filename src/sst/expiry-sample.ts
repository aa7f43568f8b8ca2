/**
 * When half of a table's entries will have expired: told from a sample, every n-th of them, whatever order they come in.
 *
 * The sample holds all entries at first. When it is full every second one goes, and half as many are taken from there on: so
 * it is always of 128 entries or more, evenly spread, or of all. It is made of raw blocks, so that it does not matter who made
 * them, and costs a block without expiries nothing for each entry.
 */
import { countIn, expiresAtMsIn } from './block-shape.ts'

const SAMPLE_MAX = 256

export class ExpirySample {
	/** Of entries 0, n, 2 n, …; those that never expire are `Infinity`. */
	#times: number[] = []
	#stride = 1
	#entryCount = 0

	/** Takes the entries of the next raw block (block-format.ts). */
	addBlock(raw: Uint8Array): void {
		const end = this.#entryCount + countIn(raw)
		for (let next = this.#times.length * this.#stride; next < end; next = this.#times.length * this.#stride) {
			this.#times.push(expiresAtMsIn(raw, next - this.#entryCount) || Number.POSITIVE_INFINITY)
			if (this.#times.length === SAMPLE_MAX) this.#thinOut()
		}
		this.#entryCount = end
	}

	/** 0 when half of them never expire. */
	halfExpiresAtMs(): number {
		const times = this.#times.toSorted((a, b) => a - b)
		const half = times[Math.ceil(times.length / 2) - 1] ?? Number.POSITIVE_INFINITY
		return half === Number.POSITIVE_INFINITY ? 0 : half
	}

	#thinOut(): void {
		this.#times = this.#times.filter((_, i) => i % 2 === 0)
		this.#stride *= 2
	}
}
