/**
 * The limits of one call, shared by all adapters: an abort answers it with the signal's reason, a deadline with
 * `ISLE_UNAVAILABLE`, whichever comes first, at once, and whatever the work beneath is doing.
 *
 * Steps: refuse bad limits (RangeError); answer a call that is over before it begins without doing any work; else do
 * the work, and race it with the signal and a timer of the injected clock.
 *
 * Invariants: the answer is given once; afterwards no listener and no timer is left; work that ends later is dropped
 * without an unhandled rejection, and sees `scope.isOver`, so that it can stop before it makes anything visible.
 */
import { IsleError } from '../errors.ts'
import type { Clock, Timer } from '../host/clock.ts'
import type { RequestOptions } from './object-store.ts'

/** A call as errors name it. */
export interface CallName {
	readonly operation: string
	/** The key, or the prefix of a listing, or the first key of a batch. */
	readonly key: string
}

/** What the work of a call can ask about its limits. */
export interface CallScope {
	/** True once the caller has been answered by an abort or the deadline. */
	readonly isOver: boolean
	/** Throws what the caller was answered with once the call is over. */
	throwIfOver(): void
	/** Aborts when the call is over. Made on first use. */
	readonly signal: AbortSignal
}

/**
 * What a call that is over answers instead of rejecting; `undefined` rejects. Create-if-absent answers `unknown`.
 */
export type AnswerWhenOver<T> = (cause: unknown) => T | undefined

/** Timers hold 31 bits of milliseconds (24.8 days); a longer deadline is none. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The scope of calls without limits. */
const UNLIMITED: CallScope = {
	isOver: false,
	throwIfOver: () => {},
	// A fresh one each time: listeners on a shared one would pile up.
	get signal(): AbortSignal {
		return new AbortController().signal
	},
}

/**
 * Runs `work` within the limits of `options`. `defaultDeadlineMs` counts when they name none (`Infinity`: no deadline).
 * A deadline at or below 0 is already past.
 */
export function withLimits<T>(
	clock: Clock,
	name: CallName,
	options: RequestOptions | undefined,
	defaultDeadlineMs: number,
	work: (scope: CallScope) => Promise<T>,
	answerWhenOver?: AnswerWhenOver<T>,
): Promise<T> {
	const signal = options?.signal
	const deadlineMs = options?.deadlineMs ?? defaultDeadlineMs
	if (signal === undefined && deadlineMs > MAX_TIMER_MS) return work(UNLIMITED)
	try {
		const cause = causeBefore(name, signal, deadlineMs)
		if (cause !== undefined) return answer(cause.reason, answerWhenOver)
	} catch (error) {
		return Promise.reject(error)
	}
	return new Promise<T>((resolve, reject) => {
		new LimitedCall<T>(clock, name, signal, deadlineMs, answerWhenOver, resolve, reject).start(work)
	})
}

/** Throws when a call with these limits is over before it begins: for work that is done in one step. */
export function throwIfOverBefore(name: CallName, options: RequestOptions | undefined): void {
	const cause = causeBefore(name, options?.signal, options?.deadlineMs ?? Infinity)
	if (cause !== undefined) throw cause.reason
}

function causeBefore(
	name: CallName,
	signal: AbortSignal | undefined,
	deadlineMs: number,
): { reason: unknown } | undefined {
	if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) {
		throw new RangeError(`Expected \`deadlineMs\` to be a number of milliseconds, got ${deadlineMs}`)
	}
	if (signal?.aborted) return { reason: signal.reason }
	return deadlineMs <= 0 ? { reason: late(name, deadlineMs) } : undefined
}

function answer<T>(cause: unknown, answerWhenOver: AnswerWhenOver<T> | undefined): Promise<T> {
	const instead = answerWhenOver?.(cause)
	return instead === undefined ? Promise.reject(cause) : Promise.resolve(instead)
}

function late(name: CallName, deadlineMs: number): IsleError {
	return new IsleError(
		'ISLE_UNAVAILABLE',
		`no answer from the store in time: operation=\`${name.operation}\` key=\`${name.key}\` deadlineMs=\`${deadlineMs}\``,
		{ details: { key: name.key } },
	)
}

class LimitedCall<T> implements CallScope {
	isOver = false
	#isAnswered = false
	#cause: unknown
	#controller: AbortController | undefined
	#timer: Timer | undefined
	readonly #signal: AbortSignal | undefined
	readonly #answerWhenOver: AnswerWhenOver<T> | undefined
	readonly #resolve: (value: T) => void
	readonly #reject: (cause: unknown) => void
	readonly #onAbort = (): void => this.#end(this.#signal?.reason)

	constructor(
		clock: Clock,
		name: CallName,
		signal: AbortSignal | undefined,
		deadlineMs: number,
		answerWhenOver: AnswerWhenOver<T> | undefined,
		resolve: (value: T) => void,
		reject: (cause: unknown) => void,
	) {
		this.#signal = signal
		this.#answerWhenOver = answerWhenOver
		this.#resolve = resolve
		this.#reject = reject
		signal?.addEventListener('abort', this.#onAbort, { once: true })
		if (deadlineMs <= MAX_TIMER_MS) this.#timer = clock.schedule(deadlineMs, () => this.#end(late(name, deadlineMs)))
	}

	start(work: (scope: CallScope) => Promise<T>): void {
		work(this).then(
			value => {
				if (this.#release()) this.#resolve(value)
			},
			(cause: unknown) => {
				if (this.#release()) this.#reject(cause)
			},
		)
	}

	throwIfOver(): void {
		if (this.isOver) throw this.#cause
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController()
			if (this.isOver) this.#controller.abort(this.#cause)
		}
		return this.#controller.signal
	}

	#end(cause: unknown): void {
		if (!this.#release()) return
		this.isOver = true
		this.#cause = cause
		const instead = this.#answerWhenOver?.(cause)
		if (instead === undefined) this.#reject(cause)
		else this.#resolve(instead)
		this.#controller?.abort(cause)
	}

	/** True for the first caller only, who then answers. */
	#release(): boolean {
		if (this.#isAnswered) return false
		this.#isAnswered = true
		this.#timer?.cancel()
		this.#signal?.removeEventListener('abort', this.#onAbort)
		return true
	}
}
