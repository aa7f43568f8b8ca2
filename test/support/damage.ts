/** What a decoder must withstand: every truncation and every flipped bit of a byte sequence. */
import { isIsleError } from '../../src/errors.ts'

/** Every proper prefix of `bytes`, the empty one included. */
export function* truncations(bytes: Uint8Array): Generator<Uint8Array> {
	for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length)
}

/** `bytes` with one bit flipped: each bit of each byte from `from` to `to`. */
export function* bitFlips(bytes: Uint8Array, from = 0, to: number = bytes.length): Generator<[string, Uint8Array]> {
	for (let at = from; at < to; at++) {
		for (let bit = 0; bit < 8; bit++) {
			const flipped = bytes.slice()
			flipped[at] = (bytes[at] as number) ^ (1 << bit)
			yield [`bit ${bit} of byte ${at}`, flipped]
		}
	}
}

/**
 * Runs a decoder on damaged bytes: `refused` for the codes that damage may have, `accepted` when it gave an answer.
 * Anything else that is thrown is thrown on.
 */
export function verdictOf(decode: () => unknown): 'refused' | 'accepted' {
	try {
		decode()
		return 'accepted'
	} catch (error) {
		if (isIsleError(error, 'ISLE_CORRUPT') || isIsleError(error, 'ISLE_UNSUPPORTED')) return 'refused'
		throw error
	}
}
