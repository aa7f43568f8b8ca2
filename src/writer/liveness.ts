/**
 * Whether a writer may still be used: it is open, or it closes, or it has failed.
 *
 * The first failure is final. Whoever waits is told it, and every later call, `close` included, with its code and it as
 * the cause. A failure comes before having been closed: it says that something was lost.
 */
import { IsleError, isIsleError } from '../errors.ts'

export class Liveness {
	readonly #listeners = new Set<(failure: IsleError) => void>()
	#failure: IsleError | undefined
	#isClosing = false

	get failure(): IsleError | undefined {
		return this.#failure
	}

	get isUsable(): boolean {
		return this.#failure === undefined && !this.#isClosing
	}

	onFailure(listener: (failure: IsleError) => void): void {
		this.#listeners.add(listener)
	}

	/** Answers the failure that counts, which is the first. What has no code of ours is a bug, and closes the writer. */
	fail(error: unknown): IsleError {
		if (this.#failure !== undefined) return this.#failure
		const failure = isIsleError(error)
			? error
			: new IsleError('ISLE_CLOSED', `the writer failed: ${error instanceof Error ? error.message : String(error)}`, {
					cause: error,
				})
		this.#failure = failure
		for (const listener of this.#listeners) listener(failure)
		return failure
	}

	beginClosing(): void {
		this.#isClosing = true
	}

	/** @throws the failure, wrapped. */
	throwIfFailed(): void {
		if (this.#failure === undefined) return
		throw new IsleError(this.#failure.code, `the writer has failed: ${this.#failure.message}`, {
			cause: this.#failure,
			details: this.#failure.details,
		})
	}

	/** @throws the failure, wrapped, or ISLE_CLOSED. */
	assertUsable(): void {
		this.throwIfFailed()
		if (this.#isClosing) throw new IsleError('ISLE_CLOSED', 'the writer is closed')
	}
}
