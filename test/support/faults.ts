/** What can go wrong with which call of `FaultyStore`, as data, and what it does to bodies. */
import { IsleError } from '../../src/errors.ts'
import type { RequestKind } from '../../src/object-store/prices.ts'

/** What becomes of a call. Faults of bodies leave calls alone that hand none out. */
export type Fault =
	/** Nothing happens; the caller cannot know: `unknown` for creates, `ISLE_UNAVAILABLE` for others. */
	| { readonly kind: 'fail-before'; readonly cause: unknown }
	/** It happens, and the caller is told as in `fail-before`. */
	| { readonly kind: 'lose-reply'; readonly cause: unknown }
	/** The caller is told as in `fail-before`; a write happens at `deliverLate()`. */
	| { readonly kind: 'deliver-later'; readonly cause: unknown }
	/** It happens, the caller is told so, and a write happens once more at `deliverLate()`. */
	| { readonly kind: 'duplicate-later' }
	/** Nothing happens, and the caller is told exactly that: it rejects with `cause`, creates too. */
	| { readonly kind: 'refuse'; readonly cause: unknown }
	/** A body loses its end: `get` and `getRange` hand out only `bytes` bytes, a stream errors after them. */
	| { readonly kind: 'cut-body'; readonly bytes: number }
	/** Bit `bit` of a body (counted modulo its length) is wrong. */
	| { readonly kind: 'flip-bit'; readonly bit: number }

export const failBefore = (cause: unknown = outage('lost on the way there')): Fault => ({ kind: 'fail-before', cause })
export const loseReply = (cause: unknown = outage('reply lost')): Fault => ({ kind: 'lose-reply', cause })
export const deliverLater = (cause: unknown = outage('delayed')): Fault => ({ kind: 'deliver-later', cause })
export const duplicateLater = (): Fault => ({ kind: 'duplicate-later' })
export const refuse = (cause: unknown): Fault => ({ kind: 'refuse', cause })
export const cutBody = (bytes: number): Fault => ({ kind: 'cut-body', bytes })
export const flipBit = (bit: number): Fault => ({ kind: 'flip-bit', bit })

/** One call, as hooks and `calls` show it. */
export interface FaultyCall {
	/** From 0, over all operations. */
	readonly index: number
	readonly operation: RequestKind
	/** The key, the prefix of a listing, the first key of a batch. */
	readonly key: string
	/** Settled before the call touches the store in it. */
	fault: Fault | undefined
}

/** Which calls. `key`: a prefix of the key, or an expression. `times`: how many of them, the next one by default. */
export interface CallMatch {
	readonly operation?: RequestKind | undefined
	readonly key?: string | RegExp | undefined
	readonly times?: number | undefined
}

export function matches(match: CallMatch, call: FaultyCall): boolean {
	if (match.operation !== undefined && match.operation !== call.operation) return false
	if (match.key === undefined) return true
	return typeof match.key === 'string' ? call.key.startsWith(match.key) : match.key.test(call.key)
}

/** A call that stands still. */
export interface Held {
	/** Resolves when the call has come to where it is held. */
	readonly reached: Promise<FaultyCall>
	/** Lets it go on. One that was aborted meanwhile ends there, without effect when it was held before that. */
	release(): void
}

export type HoldPoint = 'before-effect' | 'after-effect'

export interface Rule {
	readonly match: CallMatch
	readonly fault: Fault
	left: number
}

export interface HoldRule {
	readonly match: CallMatch
	readonly point: HoldPoint
	readonly reach: (call: FaultyCall) => void
	readonly gate: Promise<void>
	isUsed: boolean
}

export interface Crash {
	readonly index: number
	readonly point: HoldPoint
}

export function outage(what: string): IsleError {
	return new IsleError('ISLE_UNAVAILABLE', `injected fault: ${what}`)
}

export function damageBody(body: Uint8Array | undefined, fault: Fault): Uint8Array | undefined {
	if (body === undefined) return undefined
	if (fault.kind === 'cut-body') return body.slice(0, fault.bytes)
	if (fault.kind === 'flip-bit' && body.byteLength > 0) flip(body, fault.bit % (body.byteLength * 8))
	return body
}

function flip(bytes: Uint8Array, bit: number): void {
	bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
}

export function damageStream(
	pieces: AsyncIterable<Uint8Array> | undefined,
	fault: Fault,
): AsyncIterable<Uint8Array> | undefined {
	if (pieces === undefined) return undefined
	if (fault.kind === 'cut-body') return cutStream(pieces, fault.bytes)
	return fault.kind === 'flip-bit' ? flippedStream(pieces, fault.bit) : pieces
}

async function* cutStream(pieces: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
	let left = bytes
	for await (const piece of pieces) {
		if (piece.byteLength >= left) {
			if (left > 0) yield piece.slice(0, left)
			throw outage('connection cut in the body')
		}
		left -= piece.byteLength
		yield piece
	}
}

/** The bit counts modulo the length of the first piece. */
async function* flippedStream(pieces: AsyncIterable<Uint8Array>, bit: number): AsyncGenerator<Uint8Array> {
	let isDue = true
	for await (const piece of pieces) {
		if (isDue && piece.byteLength > 0) {
			flip(piece, bit % (piece.byteLength * 8))
			isDue = false
		}
		yield piece
	}
}

/** A promise, and what resolves it. */
export function settlement<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
	let resolve: (value: T) => void = () => {}
	const promise = new Promise<T>(done => {
		resolve = done
	})
	return { promise, resolve }
}
