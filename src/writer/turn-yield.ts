/**
 * Lets the event loop turn: a caller that only awaits resolved promises would starve timers, sockets and the replies of
 * worker threads for as long as it writes.
 */
import type { Clock } from '../host/clock.ts'

/** How long callers may go on before the event loop must turn. */
const YIELD_INTERVAL_MS = 1.5
/** The clock is read once in this many small mutations (30 ns each time). */
const CHECK_MASK = 63

export class TurnYield {
	readonly #clock: Clock
	#mutations = 0
	#lastTurnMs: number

	constructor(clock: Clock) {
		this.#clock = clock
		this.#lastTurnMs = clock.monotonicMs()
	}

	/** What the caller must wait for after a mutation, if anything. `isLong`: it took as long as many small ones. */
	afterMutation(isLong: boolean): Promise<void> | undefined {
		if ((++this.#mutations & CHECK_MASK) !== 0 && !isLong) return undefined
		return this.#clock.monotonicMs() - this.#lastTurnMs < YIELD_INTERVAL_MS ? undefined : this.#turn()
	}

	async #turn(): Promise<void> {
		await this.#clock.yieldToIo()
		this.#lastTurnMs = this.#clock.monotonicMs()
	}
}
