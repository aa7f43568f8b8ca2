/**
 * Time and timers, injected: nothing else in the engine may ask the system for them.
 *
 * `nowMs` is the wall clock (commit times, expiry); `monotonicMs` measures spans. A timer keeps the process alive
 * unless it is scheduled as `background`: a `sleep` that somebody awaits must fire, a poller must not hold the process.
 */

export interface Timer {
	cancel(): void
}

export interface Clock {
	/** Whole milliseconds since the Unix epoch; may jump. */
	nowMs(): number
	/** Milliseconds since an arbitrary start; never goes back. */
	monotonicMs(): number
	/** Calls `fire` once after `delayMs` (any length), unless cancelled. `background` timers do not keep the process alive. */
	schedule(delayMs: number, fire: () => void, options?: { readonly background?: boolean }): Timer
	/** Resolves in a new macrotask, after I/O callbacks and messages that wait. */
	yieldToIo(): Promise<void>
}

/** setTimeout holds 2^31 − 1 ms, 24.8 days; more would fire at once. */
const SYSTEM_TIMER_MAX_MS = 2 ** 31 - 1

export const systemClock: Clock = {
	nowMs: () => Date.now(),
	monotonicMs: () => performance.now(),
	schedule(delayMs, fire, options) {
		let timer: ReturnType<typeof setTimeout>
		const arm = (leftMs: number): void => {
			const isLast = leftMs <= SYSTEM_TIMER_MAX_MS
			timer = isLast ? setTimeout(fire, leftMs) : setTimeout(arm, SYSTEM_TIMER_MAX_MS, leftMs - SYSTEM_TIMER_MAX_MS)
			if (options?.background) timer.unref()
		}
		arm(delayMs)
		return { cancel: () => clearTimeout(timer) }
	},
	yieldToIo: () => new Promise(resolve => setImmediate(resolve)),
}

/** Waits `delayMs` on `clock`; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted) {
			reject(signal.reason)
			return
		}
		const onAbort = (): void => {
			timer.cancel()
			reject(signal?.reason)
		}
		const timer = clock.schedule(delayMs, () => {
			signal?.removeEventListener('abort', onAbort)
			resolve()
		})
		signal?.addEventListener('abort', onAbort, { once: true })
	})
}
