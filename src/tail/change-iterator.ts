/**
 * A tail as an async iterator of batches, written by hand: `return` while idle ends the pending wait at once, which a
 * generator cannot do.
 *
 * Invariants: the next batch is not made before it is asked for (full back-pressure; the feed reads a few records ahead);
 * calls are answered in their order; after the end, an error or `return` there is nothing more.
 */
import type { Change } from './change.ts'
import type { Tail } from './tail.ts'

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined }

/** Batches of a tail, each of at least one change. */
export interface Changes<Key = unknown, Value = unknown> extends AsyncIterable<Change<Key, Value>[]> {
	/** Every iterator is a tail of its own, which begins when it is made. */
	[Symbol.asyncIterator](): ChangeIterator<Key, Value>
}

export class ChangeIterator<Key = unknown, Value = unknown>
	implements AsyncIterableIterator<Change<Key, Value>[], undefined>, AsyncDisposable
{
	readonly #tail: Tail
	#isDone = false
	#turn: Promise<unknown> | undefined

	/** @internal */
	constructor(tail: Tail) {
		this.#tail = tail
	}

	/** Resumes behind everything that was delivered; a filtered tail's moves on with what it passes over. */
	get cursor(): string | undefined {
		return this.#tail.cursor
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	/** The next batch, which belongs to the caller. @throws as `Tail.next`. */
	next(): Promise<IteratorResult<Change<Key, Value>[], undefined>> {
		const turn = this.#turn === undefined ? this.#next() : this.#turn.then(() => this.#next())
		const settled: Promise<void> = turn.then(
			() => this.#endTurn(settled),
			() => this.#endTurn(settled),
		)
		this.#turn = settled
		return turn
	}

	/** Ends the tail and frees everything at once; a pending `next` is done. */
	return(): Promise<IteratorResult<Change<Key, Value>[], undefined>> {
		this.#isDone = true
		this.#tail.close()
		return Promise.resolve(DONE)
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.return().then(() => undefined)
	}

	async #next(): Promise<IteratorResult<Change<Key, Value>[], undefined>> {
		if (this.#isDone) return DONE
		try {
			const { changes } = await this.#tail.next()
			if (this.#isReturned()) return DONE
			// The transcoders of the tail were chosen by the encodings that Key and Value are derived from.
			return { done: false, value: changes as Change<Key, Value>[] }
		} catch (error) {
			if (this.#isReturned()) return DONE
			this.#isDone = true
			this.#tail.close(error)
			throw error
		}
	}

	/** Read anew: `return` may have been called while something was awaited. */
	#isReturned(): boolean {
		return this.#isDone
	}

	#endTurn(turn: Promise<unknown>): void {
		if (this.#turn === turn) this.#turn = undefined
	}
}
