/**
 * Looks for what maintainers in other processes have merged, while writes wait for it. Whoever waits makes no commits, and so
 * nothing else would ever look.
 *
 * It looks when the stall begins, after a second, then less and less often, every half a minute at last: 1 GET and 1 LIST each
 * time. Its timer keeps the process alive only while somebody waits.
 */
import type { Clock, Timer } from '../host/clock.ts'

const FIRST_DELAY_MS = 1000
const DELAY_GROWTH = 1.5
const DELAY_MAX_MS = 30_000

export class StallWatch {
	readonly #clock: Clock
	readonly #look: () => Promise<void>
	#isOn = false
	#isLooking = false
	#isAwaited = false
	#delayMs = FIRST_DELAY_MS
	#timer: Timer | undefined

	/** `look` may reject: it is called again later. */
	constructor(clock: Clock, look: () => Promise<void>) {
		this.#clock = clock
		this.#look = look
	}

	/** Writes wait, or do not any more. */
	set(isStalled: boolean): void {
		if (isStalled === this.#isOn) return
		this.#isOn = isStalled
		this.#isAwaited = false
		this.#delayMs = FIRST_DELAY_MS
		this.#timer?.cancel()
		this.#timer = undefined
		if (isStalled && !this.#isLooking) void this.#lookNow()
	}

	/** Somebody waits until the stall is over. */
	awaited(): void {
		if (this.#isAwaited) return
		this.#isAwaited = true
		if (this.#timer === undefined) return
		this.#timer.cancel()
		this.#schedule()
	}

	async #lookNow(): Promise<void> {
		this.#isLooking = true
		// Not within the commit or edit that told of the stall.
		await this.#clock.yieldToIo()
		if (this.#isOn) await this.#look().catch(() => undefined)
		this.#isLooking = false
		if (!this.#isOn) return
		this.#schedule()
		this.#delayMs = Math.min(DELAY_MAX_MS, Math.ceil(this.#delayMs * DELAY_GROWTH))
	}

	#schedule(): void {
		const fire = (): void => {
			this.#timer = undefined
			void this.#lookNow()
		}
		this.#timer = this.#clock.schedule(this.#delayMs, fire, { background: !this.#isAwaited })
	}
}
