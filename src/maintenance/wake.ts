/** Where a loop waits for whatever comes first: a call, or its time. Calls that come while nobody waits are remembered. */
import type { Clock, Timer } from '../host/clock.ts'

export class Wake {
	readonly #clock: Clock
	readonly #keepsAlive: boolean
	#isCalled = false
	#resolve: (() => void) | undefined

	/** `keepsAlive`: whether the process goes on while somebody waits for a time. */
	constructor(clock: Clock, keepsAlive: boolean) {
		this.#clock = clock
		this.#keepsAlive = keepsAlive
	}

	call(): void {
		this.#isCalled = true
		this.#resolve?.()
	}

	/** Resolves at the next call, or after `delayMs`. */
	async wait(delayMs: number | undefined): Promise<void> {
		if (!this.#isCalled) {
			const options = { background: !this.#keepsAlive }
			let timer: Timer | undefined
			await new Promise<void>(resolve => {
				this.#resolve = resolve
				if (delayMs !== undefined) timer = this.#clock.schedule(delayMs, resolve, options)
			})
			timer?.cancel()
			this.#resolve = undefined
		}
		this.#isCalled = false
	}
}
