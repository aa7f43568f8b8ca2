/**
 * Memory that several merges share: who wants bytes waits, first come first served, until they are free.
 *
 * Invariant: what is held never exceeds the budget, but for a single holder that wants more than all of it.
 */
export class ByteBudget {
	readonly #maxBytes: number
	readonly #waiting: { readonly bytes: number; grant(): void }[] = []
	#usedBytes = 0

	constructor(maxBytes: number) {
		this.#maxBytes = maxBytes
	}

	get usedBytes(): number {
		return this.#usedBytes
	}

	/** Resolves with what gives the bytes back, to be called once. Rejects with the signal's reason. */
	async acquire(bytes: number, signal?: AbortSignal): Promise<() => void> {
		signal?.throwIfAborted()
		if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal)
		else this.#usedBytes += bytes
		let isHeld = true
		return () => {
			if (!isHeld) return
			isHeld = false
			this.#usedBytes -= bytes
			this.#grant()
		}
	}

	#fits(bytes: number): boolean {
		return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes
	}

	#wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
		return new Promise((resolve, reject) => {
			const onAbort = (): void => {
				this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
				reject(signal?.reason)
				this.#grant()
			}
			const waiter = {
				bytes,
				grant: (): void => {
					signal?.removeEventListener('abort', onAbort)
					resolve()
				},
			}
			signal?.addEventListener('abort', onAbort, { once: true })
			this.#waiting.push(waiter)
		})
	}

	#grant(): void {
		for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
			this.#waiting.shift()
			this.#usedBytes += next.bytes
			next.grant()
		}
	}
}
