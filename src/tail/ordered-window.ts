/**
 * Asynchronous work on a sequence: several pieces at a time, results in the order of the sequence.
 *
 * A piece counts until its result was given, so that results that wait for an earlier one are bounded too. While the
 * window is full its gate is closed: sources that heed it stop; of others `maxBuffered` values wait.
 */
import { IsleError } from '../errors.ts'

/** Closed while whoever is downstream has enough to do. */
export class Gate {
	readonly #isOwnOpen: () => boolean
	readonly #downstream: Gate | undefined
	#waiting: (() => void)[] = []

	constructor(isOwnOpen: () => boolean, downstream: Gate | undefined) {
		this.#isOwnOpen = isOwnOpen
		this.#downstream = downstream
	}

	get isOpen(): boolean {
		return this.#isOwnOpen() && (this.#downstream === undefined || this.#downstream.isOpen)
	}

	/** Resolves once the gate, and those behind it, stand open. */
	async opened(): Promise<void> {
		while (!this.isOpen) {
			if (this.#isOwnOpen()) await this.#downstream?.opened()
			else await new Promise<void>(resolve => this.#waiting.push(resolve))
		}
	}

	/** It may have opened: those that wait look again. */
	notify(): void {
		if (this.#waiting.length === 0 || !this.#isOwnOpen()) return
		const waiting = this.#waiting
		this.#waiting = []
		for (const resolve of waiting) resolve()
	}
}

export interface OrderedWindowOptions<In, Out> {
	readonly fn: (value: In, context: { readonly signal: AbortSignal }) => PromiseLike<Out> | Out
	readonly concurrency: number
	readonly maxBuffered: number
	readonly downstream: Gate | undefined
	onResult(value: Out): void
	onError(error: unknown): void
	onEnd(): void
}

type Piece<Out> =
	| { kind: 'running' }
	| { kind: 'done'; readonly value: Out }
	| { kind: 'failed'; readonly error: unknown }

export class OrderedWindow<In, Out> {
	readonly gate: Gate
	readonly #options: OrderedWindowOptions<In, Out>
	readonly #controller = new AbortController()
	/** Oldest first; at most `concurrency`. */
	readonly #pieces: { state: Piece<Out> }[] = []
	readonly #buffer: In[] = []
	#hasFailed = false
	#hasEnded = false
	#isClosed = false
	#isGiving = false

	constructor(options: OrderedWindowOptions<In, Out>) {
		this.#options = options
		this.gate = new Gate(
			() => this.#isClosed || (this.#pieces.length < options.concurrency && this.#buffer.length === 0),
			options.downstream,
		)
	}

	add(value: In): void {
		if (this.#isClosed || this.#hasFailed) return
		const { concurrency, maxBuffered } = this.#options
		if (this.#pieces.length < concurrency && this.#buffer.length === 0) {
			this.#start(value)
			return
		}
		if (this.#buffer.length >= maxBuffered) {
			this.#fail(
				new IsleError(
					'ISLE_BACKPRESSURE',
					`mapAsync got values faster than it was done with them: concurrency=\`${concurrency}\` maxBuffered=\`${maxBuffered}\``,
				),
			)
			return
		}
		this.#buffer.push(value)
	}

	/** No more values come. */
	end(): void {
		this.#hasEnded = true
		this.#give()
	}

	/** Nobody wants results any more. */
	close(): void {
		if (this.#isClosed) return
		this.#isClosed = true
		this.#buffer.length = 0
		this.#controller.abort(new DOMException('the result is not wanted any more', 'AbortError'))
		this.gate.notify()
	}

	#start(value: In): void {
		const piece: { state: Piece<Out> } = { state: { kind: 'running' } }
		this.#pieces.push(piece)
		const settle = (state: Piece<Out>): void => {
			piece.state = state
			// Nothing is started behind a failure; what stands before it is still given.
			if (state.kind === 'failed') this.#hasFailed = true
			this.#give()
		}
		let result: PromiseLike<Out> | Out
		try {
			result = this.#options.fn(value, { signal: this.#controller.signal })
		} catch (error) {
			settle({ kind: 'failed', error })
			return
		}
		Promise.resolve(result).then(
			done => settle({ kind: 'done', value: done }),
			(error: unknown) => settle({ kind: 'failed', error }),
		)
	}

	/** Gives the finished prefix and starts what waits. */
	#give(): void {
		// A receiver may add values while it is given one: the loop below goes on with them.
		if (this.#isGiving) return
		this.#isGiving = true
		while (!this.#isClosed) {
			const head = this.#pieces[0]
			if (head === undefined || head.state.kind === 'running') break
			if (head.state.kind === 'failed') {
				this.#fail(head.state.error)
				break
			}
			this.#pieces.shift()
			this.#options.onResult(head.state.value)
			this.#startBuffered()
		}
		this.#isGiving = false
		if (this.#isClosed) return
		this.#startBuffered()
		this.gate.notify()
		if (this.#hasEnded && this.#pieces.length === 0 && this.#buffer.length === 0) this.#options.onEnd()
	}

	#startBuffered(): void {
		while (!this.#hasFailed && !this.#isClosed && this.#pieces.length < this.#options.concurrency) {
			if (this.#buffer.length === 0) return
			this.#start(this.#buffer.shift() as In)
		}
	}

	#fail(error: unknown): void {
		this.#hasFailed = true
		this.#options.onError(error)
		this.close()
	}
}
