/**
 * Packs the next bytes of keys into one 32-bit word whose order is theirs.
 *
 * Each position has as many digits as byte values occur there, so the word is a number of mixed radix: nine decimal
 * digits fit into it, eight hexadecimal ones, or four arbitrary bytes.
 */

/** Positions packed into one word at most: 32 of two values each. Twelve are enough for decimal digits (10^9 < 2^32). */
export const PACKED_MAX_POSITIONS = 12
/** Byte values, and one more for "the key has ended", which sorts first. */
export const SYMBOLS = 257
export const ENDED = 0

/** Largest product of radixes: a word is a u32. */
const WORD_MAX = 0x1_0000_0000

export interface WordPlan {
	/** Positions that fit into a word. */
	readonly positions: number
	/** Different words that are possible. */
	readonly wordCount: number
	/** Every key ends within these positions: equal words are equal keys. */
	readonly isWhole: boolean
}

/**
 * Chooses how many positions one word takes, and what each symbol weighs at each.
 * A key that has ended weighs nothing from there on: less than any that goes on, and as much as its equals.
 */
export function planWord(occurs: Uint8Array, weights: Uint32Array): WordPlan {
	const radixes: number[] = []
	/** Rank of the smallest byte value at each position: 1 when some keys have ended there or before, else 0. */
	const lowest: number[] = []
	let wordCount = 1
	let isWhole = false
	let ended = 0
	for (let p = 0; p < PACKED_MAX_POSITIONS; p++) {
		ended |= occurs[p * SYMBOLS + ENDED] as number
		let radix = ended
		for (let symbol = 1; symbol < SYMBOLS; symbol++) radix += occurs[p * SYMBOLS + symbol] as number
		if (radix === ended) {
			isWhole = true
			break
		}
		if (wordCount * radix > WORD_MAX) break
		wordCount *= radix
		radixes.push(radix)
		lowest.push(ended)
	}
	let unit = 1
	for (let p = radixes.length - 1; p >= 0; p--) {
		let rank = lowest[p] as number
		for (let symbol = 1; symbol < SYMBOLS; symbol++) {
			if (occurs[p * SYMBOLS + symbol] !== 0) weights[p * SYMBOLS + symbol] = rank++ * unit
		}
		unit *= radixes[p] as number
	}
	return { positions: radixes.length, wordCount, isWhole }
}
