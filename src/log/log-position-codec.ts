/**
 * Log positions as text: what `flush()` answers, what `atLeast` takes, safe to store and to send.
 *
 *     character  count  meaning
 *     0          1      version of the format, `1`
 *     1          14     epoch, lowercase hexadecimal (2^53 − 1 has 14 digits)
 *     15         14     slot, likewise
 *
 * Fixed widths: positions of one database compare as their strings do.
 */
import type { LogPosition } from './log-position.ts'

/** Persisted by applications: never renumber. */
const VERSION = '1'
const DIGITS = 14
const TEXT = /^1([0-9a-f]{14})([0-9a-f]{14})$/

export function encodePosition(position: LogPosition): string {
	return VERSION + fixedHex(position.epoch) + fixedHex(position.slot)
}

/** `what` names the argument in messages. TypeError for no string, RangeError for a string that is no position. */
export function decodePosition(text: unknown, what = 'position'): LogPosition {
	if (typeof text !== 'string') throw new TypeError(`Expected \`${what}\` to be a string, got ${typeof text}`)
	const match = TEXT.exec(text)
	const epoch = Number.parseInt(match?.[1] ?? '', 16)
	const slot = Number.parseInt(match?.[2] ?? '', 16)
	if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(slot)) {
		throw new RangeError(`Expected \`${what}\` to be a position that flush() returned, got '${text.slice(0, 40)}'`)
	}
	return { epoch, slot }
}

/** A safe integer in 14 lowercase hexadecimal digits, so that texts are ordered as the numbers are. */
export function fixedHex(value: number): string {
	return value.toString(16).padStart(DIGITS, '0')
}
