/**
 * Bytes that several merges share: who wants some waits, first come first served, until they are free.
 *
 * Beside what is acquired there is what is kept: taken at once or not at all, by whoever does without it else. Nobody who has
 * kept some waits for others to let theirs go.
 *
 * Invariant: what is held never exceeds the budget, but for a single holder that wants more than is not kept.
 */
export class ByteBudget {
	readonly #maxBytes: number
	readonly #waiting: { readonly bytes: number; grant(): void }[] = []
	#acquiredBytes = 0
	#keptBytes = 0

	constructor(maxBytes: number) {
		this.#maxBytes = maxBytes
	}

	get usedBytes(): number {
		return this.#acquiredBytes + this.#keptBytes
	}

	get acquiredBytes(): number {
		return this.#acquiredBytes
	}

	get keptBytes(): number {
		return this.#keptBytes
	}

	/** Resolves with what gives the bytes back, to be called once. Rejects with the signal's reason. */
	async acquire(bytes: number, signal?: AbortSignal): Promise<() => void> {
		signal?.throwIfAborted()
		if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal)
		else this.#acquiredBytes += bytes
		let isHeld = true
		return () => {
			if (!isHeld) return
			isHeld = false
			this.#acquiredBytes -= bytes
			this.#grant()
		}
	}

	/** True: they are kept, until as many are let go. False where others wait, or where there is no room. */
	keep(bytes: number): boolean {
		if (this.#waiting.length > 0 || this.usedBytes + bytes > this.#maxBytes) return false
		this.#keptBytes += bytes
		return true
	}

	letGo(bytes: number): void {
		this.#keptBytes -= bytes
		this.#grant()
	}

	#fits(bytes: number): boolean {
		return this.#acquiredBytes === 0 || this.usedBytes + bytes <= this.#maxBytes
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
			this.#acquiredBytes += next.bytes
			next.grant()
		}
	}
}
