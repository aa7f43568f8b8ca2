/**
 * Tells work that it is over. Its signal is made when somebody asks for it: a controller that is made and aborted takes more
 * than a microsecond, and what is answered from memory has nobody to tell.
 */
export class Ending {
	#controller: AbortController | undefined
	#reason: unknown
	isOver = false

	/** Aborted by `end`; also when it is asked for later. */
	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController()
			if (this.isOver) this.#controller.abort(this.#reason)
		}
		return this.#controller.signal
	}

	throwIfOver(): void {
		if (this.isOver) throw this.#reason
	}

	/** Idempotent: the first reason stays. Without a reason `abort` makes an error with a stack. */
	end(reason?: unknown): void {
		if (this.isOver) return
		this.isOver = true
		this.#reason = reason
		this.#controller?.abort(reason)
	}
}
