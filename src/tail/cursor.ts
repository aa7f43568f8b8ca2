/**
 * Cursors: places in the order in which a tail emits, as text that an application may store, send and compare.
 *
 *     characters  meaning
 *     1           version of the format, `1`
 *     14          sequence number, lowercase hexadecimal
 *     1           phase: 0 = a row of the state that a tail from 'start' begins with, 1 = a change
 *     …           where to read on in the log: epoch, `.`, slot, in hexadecimal
 *     …           phase 0 only: `.`, the commit time of the state and `.`, the key, in hexadecimal
 *
 * A change carries its own sequence number. A row carries that of its snapshot, so that all rows stand before every
 * change that follows them, in the order of their keys. Strings compare as places do: number first, then phase, then
 * (the log position is the same for all rows of a snapshot) the key; digits stand before letters in hexadecimal too.
 *
 * The position is the record to read next: the change's own commit while more of it follows, and the slot behind it
 * after its last change. So the cursor of a change that ends a commit outlives that commit's record.
 */
import { invariant } from '../errors.ts'
import type { LogPosition } from '../log/log-position.ts'
import { fixedHex } from '../log/log-position-codec.ts'

/** Persisted by applications: never renumber. */
const VERSION = '1'
const PHASE_ROW = '0'
const PHASE_CHANGE = '1'
const TEXT = /^([0-9a-f]{14})([01])([0-9a-f]{1,14})\.([0-9a-f]{1,14})(?:\.([0-9a-f]{1,14})\.((?:[0-9a-f]{2})+))?$/

/** Everything up to `seq` was emitted; `position` holds what follows. */
export interface ChangeCursor {
	readonly kind: 'change'
	readonly seq: number
	readonly position: LogPosition
}

/** The rows up to `key` of the state at `seq` were emitted; `position` holds what follows that state. */
export interface RowCursor {
	readonly kind: 'row'
	readonly seq: number
	readonly position: LogPosition
	/** When the newest commit of that state was made. */
	readonly committedAtMs: number
	readonly key: Uint8Array
}

export type Cursor = ChangeCursor | RowCursor

export function encodeCursor(cursor: Cursor): string {
	const { seq, position } = cursor
	if (cursor.kind === 'change') return VERSION + fixedHex(seq) + PHASE_CHANGE + positionText(position)
	return rowCursorStem(seq, position, cursor.committedAtMs) + Buffer.from(cursor.key).toString('hex')
}

/** What all row cursors of one snapshot begin with: the key in hexadecimal follows. */
export function rowCursorStem(seq: number, position: LogPosition, committedAtMs: number): string {
	return `${VERSION}${fixedHex(seq)}${PHASE_ROW}${positionText(position)}.${committedAtMs.toString(16)}.`
}

/** TypeError for no string, RangeError for a string that no tail has given out; both say what is wrong. */
export function decodeCursor(text: unknown): Cursor {
	if (typeof text !== 'string') throw new TypeError(`Expected \`from\` to be a cursor, got ${typeof text}`)
	const wrong = (what: string): RangeError =>
		new RangeError(`Expected \`from\` to be a cursor that a tail gave out, got ${what}: '${text.slice(0, 80)}'`)
	if (text === '') throw new RangeError('Expected `from` to be a cursor that a tail gave out, got an empty string')
	if (!text.startsWith(VERSION)) throw wrong(`one of version '${text[0]}' (this release reads version ${VERSION})`)
	const match = TEXT.exec(text.slice(VERSION.length))
	if (match === null) throw wrong('text of another form')
	const [, seqHex, phase, epochHex, slotHex, timeHex, keyHex] = match
	const seq = fromHex(seqHex)
	const position = { epoch: fromHex(epochHex), slot: fromHex(slotHex) }
	const committedAtMs = fromHex(timeHex ?? '0')
	if (![seq, position.epoch, position.slot, committedAtMs].every(Number.isSafeInteger))
		throw wrong('a number beyond 2^53')
	if ((phase === PHASE_ROW) !== (keyHex !== undefined))
		throw wrong(keyHex ? 'a change with a key' : 'a row without a key')
	const cursor: Cursor =
		keyHex === undefined
			? { kind: 'change', seq, position }
			: { kind: 'row', seq, position, committedAtMs, key: new Uint8Array(Buffer.from(keyHex, 'hex')) }
	if (encodeCursor(cursor) !== text) throw wrong('a number with leading zeros')
	return cursor
}

function fromHex(digits: string | undefined): number {
	return Number.parseInt(digits ?? '', 16)
}

function positionText(position: LogPosition): string {
	return `${position.epoch.toString(16)}.${position.slot.toString(16)}`
}

/** The last three digits of a sequence number. */
const LOW_DIGITS: readonly string[] = Array.from({ length: 4096 }, (_, low) => low.toString(16).padStart(3, '0'))

/**
 * Makes the cursors of one commit, in ascending order of sequence numbers. Two concatenations each, of which V8 makes
 * ropes (about 20 ns; no character is copied until the text is used), so that changes can be plain data.
 */
export class CursorMaker {
	readonly #within: string
	readonly #behind: string
	readonly #lastSeq: number
	#high = -1
	#stem = ''

	/** `lastSeq` is the commit's: the cursor of that change points behind the commit. */
	constructor(position: LogPosition, lastSeq: number) {
		this.#within = PHASE_CHANGE + positionText(position)
		this.#behind = PHASE_CHANGE + positionText({ epoch: position.epoch, slot: position.slot + 1 })
		this.#lastSeq = lastSeq
	}

	make(seq: number): string {
		const high = Math.floor(seq / 4096)
		if (high !== this.#high) {
			invariant(seq <= this.#lastSeq, 'a cursor within its commit')
			this.#high = high
			this.#stem = VERSION + fixedHex(high).slice(3)
		}
		return this.#stem + (LOW_DIGITS[seq % 4096] as string) + (seq === this.#lastSeq ? this.#behind : this.#within)
	}
}
