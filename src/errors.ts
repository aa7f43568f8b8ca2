/**
 * The errors of the engine, and the form in which they cross threads.
 *
 * A code says what the caller must do; messages may change, codes do not. Misuse (a wrong argument) is a plain
 * `TypeError` or `RangeError` and has no code. `structuredClone` drops `code`, so errors cross a thread as `WireError`.
 */

/** Stable codes. Persisted nowhere, but public: never rename, never reuse. */
export type IsleErrorCode =
	/** Another writer (or maintainer) owns the log now. Terminal: open again, or stop. */
	| 'ISLE_FENCED'
	/** The thing was closed, or closed itself after a failure that is the `cause`. Open again. */
	| 'ISLE_CLOSED'
	/** A condition of the call did not hold (a conflicting transaction, a lost race). Re-read and retry. */
	| 'ISLE_CONFLICT'
	/** The store (or a worker) did not answer within the retry budget. Nothing is known to be lost: try later. */
	| 'ISLE_UNAVAILABLE'
	/** The store refuses: permissions, a read-only directory. Mend the set-up. */
	| 'ISLE_DENIED'
	/** The store is out of space or quota. Make room. */
	| 'ISLE_FULL'
	/** Bytes are not what was written. The message names the object. */
	| 'ISLE_CORRUPT'
	/** Memory is at its hard limit and the caller did not await. Await earlier writes; nothing was changed. */
	| 'ISLE_BACKPRESSURE'
	/** A newer format version, an unknown codec, a missing package. The message says what to install. */
	| 'ISLE_UNSUPPORTED'
	/** A write may or may not have taken effect and the store could not be asked. Open again and look. */
	| 'ISLE_INDETERMINATE'
	/** A snapshot, pin or cursor reaches below what is retained. Start from what is left. */
	| 'ISLE_EXPIRED'
	/** The store does not refuse a second create of one key: data would be lost on it. Use another store. */
	| 'ISLE_STORE_UNSAFE'
	/** The prefix holds objects that are not ours. Choose another prefix. */
	| 'ISLE_FOREIGN_PREFIX'
	/** The object is not there. Inside the engine this is a value and not an error; streams and `file:` roots throw it. */
	| 'ISLE_NOT_FOUND'

export class IsleError extends Error {
	override readonly name = 'IsleError'
	readonly code: IsleErrorCode
	/** Facts for programs: the object key, the last cursor of a tail, the earliest one that is left. */
	readonly details: Readonly<Record<string, string | number>>

	constructor(
		code: IsleErrorCode,
		message: string,
		options: { cause?: unknown; details?: Readonly<Record<string, string | number>> } = {},
	) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause })
		this.code = code
		this.details = options.details ?? {}
	}
}

/** True for an `IsleError` of this or another copy of the package; with `code`, only for that code. */
export function isIsleError(error: unknown, code?: IsleErrorCode): error is IsleError {
	if (!(error instanceof Error) || error.name !== 'IsleError' || !('code' in error)) return false
	return code === undefined || error.code === code
}

/** Damage at `where` (an object key, or a part of a format). */
export function corrupt(where: string, what: string, cause?: unknown): IsleError {
	return new IsleError('ISLE_CORRUPT', `${what} in \`${where}\``, { cause, details: { where } })
}

/** For what cannot be: a bug of ours, never of the caller or the store. */
export function invariant(condition: boolean, what: string): asserts condition {
	if (!condition) throw brokenInvariant(what)
}

/** The same for where `what` is dear to make. */
export function brokenInvariant(what: string): Error {
	return new Error(`broken invariant: ${what}`)
}

/** Ends a `switch` over a union; the compiler proves that it is not reached. */
export function unreachable(value: never): never {
	throw brokenInvariant(`unexpected ${String(value)}`)
}

/** An error as plain data, for `postMessage`. */
export interface WireError {
	readonly name: string
	readonly message: string
	readonly stack: string | undefined
	readonly code: string | undefined
	readonly details: Readonly<Record<string, string | number>> | undefined
	readonly cause: WireError | undefined
}

/** Depth of the cause chain that crosses: more is a cycle or a mistake. */
const MAX_CAUSES = 8

export function toWire(error: unknown, depth = 0): WireError {
	if (!(error instanceof Error)) {
		return {
			name: 'Error',
			message: textOf(error),
			stack: undefined,
			code: undefined,
			details: undefined,
			cause: undefined,
		}
	}
	const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
	return {
		name: error.name,
		message: error.message,
		stack: error.stack,
		code,
		details: error instanceof IsleError ? error.details : undefined,
		cause: error.cause === undefined || depth >= MAX_CAUSES ? undefined : toWire(error.cause, depth + 1),
	}
}

/** Anything can be thrown, also what refuses to be a text. */
function textOf(thrown: unknown): string {
	try {
		return String(thrown)
	} catch {
		return 'something that is no text was thrown'
	}
}

const ERROR_CLASSES: Readonly<Record<string, new (message: string, options?: ErrorOptions) => Error>> = {
	TypeError,
	RangeError,
	SyntaxError,
}

export function fromWire(wire: WireError): Error {
	const cause = wire.cause === undefined ? undefined : fromWire(wire.cause)
	const options = cause === undefined ? undefined : { cause }
	const error =
		wire.name === 'IsleError'
			? new IsleError(wire.code as IsleErrorCode, wire.message, {
					cause,
					...(wire.details ? { details: wire.details } : {}),
				})
			: new (ERROR_CLASSES[wire.name] ?? Error)(wire.message, options)
	if (wire.stack !== undefined) error.stack = wire.stack
	if (!(error instanceof IsleError) && wire.code !== undefined) Object.assign(error, { code: wire.code })
	if (error.name !== wire.name) Object.defineProperty(error, 'name', { value: wire.name, configurable: true })
	return error
}
