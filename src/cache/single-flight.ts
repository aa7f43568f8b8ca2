/**
 * One download for all who want the same thing at the same time.
 *
 * Steps: the first caller starts the work, later ones join it, all get its one result.
 * Invariants: a member that aborts leaves alone, with its own reason, at once; the work is aborted only when its last
 * member has left; work that was abandoned is never joined again; a failure is not remembered.
 */

/** Work under way, shared by its members. */
export class Flight<Value> {
	readonly #controller: AbortController | undefined
	readonly #work: Promise<Value>
	readonly #onLand: () => void
	#members = 0
	/** A member without a signal never leaves. */
	#isPinned = false
	#hasLanded = false

	/**
	 * Starts `work`. Its signal is undefined when `signal`, that of the first member, is: then nobody can abort it.
	 * `onLand` is called once, when the work has ended or was abandoned: whoever lists the flight drops it then.
	 */
	constructor(
		signal: AbortSignal | undefined,
		work: (signal: AbortSignal | undefined) => Promise<Value>,
		onLand: () => void,
	) {
		this.#onLand = onLand
		this.#controller = signal === undefined ? undefined : new AbortController()
		const land = (): void => this.#land()
		this.#work = work(this.#controller?.signal)
		// Also marks the promise as handled: an abandoned flight fails with nobody listening.
		this.#work.then(land, land)
	}

	/** The result; rejects with the work's error, or with the reason of `signal` as soon as it aborts. */
	join(signal: AbortSignal | undefined): Promise<Value> {
		if (signal === undefined || this.#controller === undefined) this.#isPinned = true
		if (signal === undefined) return this.#work
		if (signal.aborted) {
			if (this.#members === 0) this.#abandon(signal.reason)
			return Promise.reject(signal.reason)
		}
		this.#members++
		return new Promise<Value>((resolve, reject) => {
			const onAbort = (): void => {
				this.#members--
				if (this.#members === 0) this.#abandon(signal.reason)
				reject(signal.reason)
			}
			signal.addEventListener('abort', onAbort, { once: true })
			this.#work.then(
				value => {
					signal.removeEventListener('abort', onAbort)
					resolve(value)
				},
				(error: unknown) => {
					signal.removeEventListener('abort', onAbort)
					reject(error)
				},
			)
		})
	}

	#abandon(reason: unknown): void {
		if (this.#isPinned || this.#hasLanded) return
		this.#land()
		this.#controller?.abort(reason)
	}

	#land(): void {
		if (this.#hasLanded) return
		this.#hasLanded = true
		this.#onLand()
	}
}

/** Flights by key. */
export class SingleFlight<Key, Value> {
	readonly #flights = new Map<Key, Flight<Value>>()

	/** Flights under way. */
	get size(): number {
		return this.#flights.size
	}

	/**
	 * The result of `work` for `key`: joined when it is under way, started otherwise. `work` must not throw
	 * synchronously. Rejects with the reason of `signal` as soon as it aborts, whatever the others do.
	 */
	run(
		key: Key,
		signal: AbortSignal | undefined,
		work: (signal: AbortSignal | undefined) => Promise<Value>,
	): Promise<Value> {
		if (signal?.aborted) return Promise.reject(signal.reason)
		let flight = this.#flights.get(key)
		if (flight === undefined) {
			flight = new Flight(signal, work, () => this.#flights.delete(key))
			this.#flights.set(key, flight)
		}
		return flight.join(signal)
	}
}
