/** Where a loop waits for whatever comes first: a call, or its time. Calls that come while nobody waits are remembered. */
import type { Clock, Timer } from '../host/clock.ts'

export class Wake {
	readonly #clock: Clock
	#isCalled = false
	#resolve: (() => void) | undefined

	constructor(clock: Clock) {
		this.#clock = clock
	}

	call(): void {
		this.#isCalled = true
		this.#resolve?.()
	}

	/** Resolves at the next call, or after `delayMs`. Keeps no process alive. */
	async wait(delayMs: number | undefined): Promise<void> {
		if (!this.#isCalled) {
			let timer: Timer | undefined
			await new Promise<void>(resolve => {
				this.#resolve = resolve
				if (delayMs !== undefined) timer = this.#clock.schedule(delayMs, resolve, { background: true })
			})
			timer?.cancel()
			this.#resolve = undefined
		}
		this.#isCalled = false
	}
}
