/**
 * A clock that moves only by hand. `advance` fires what is due in order of time (then of scheduling), and lets promises
 * and I/O callbacks run before and after each timer, so that a loop which sleeps again is seen within the same `advance`.
 */
import type { Clock, Timer } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'

interface PendingTimer {
	readonly dueMs: number
	readonly order: number
	readonly isBackground: boolean
	readonly fire: () => void
}

/** A loop that schedules with no delay would otherwise keep `advance` busy for ever. */
const FIRED_MAX_PER_ADVANCE = 100_000
/** Macrotasks that `untilTimers` waits for before it calls the wait hopeless. */
const WAIT_MAX_TURNS = 10_000

export class ManualClock implements Clock {
	readonly #timers = new Set<PendingTimer>()
	#monotonicMs = 0
	#offsetMs: number
	#scheduled = 0

	/** `startMs` is the wall clock at the beginning; default 2023-11-14T22:13:20Z. */
	constructor(startMs = 1_700_000_000_000) {
		this.#offsetMs = startMs
	}

	/** Timers that have neither fired nor been cancelled: 0 means that nothing was leaked. */
	get pendingTimers(): number {
		return this.#timers.size
	}

	/** Those of them that would keep a process alive. */
	get pendingForegroundTimers(): number {
		return [...this.#timers].filter(timer => !timer.isBackground).length
	}

	/** Milliseconds until the next timer is due; `undefined` when there is none. */
	get nextTimerMs(): number | undefined {
		const next = this.#next()
		return next === undefined ? undefined : Math.max(0, next.dueMs - this.#monotonicMs)
	}

	nowMs(): number {
		return this.#offsetMs + this.#monotonicMs
	}

	monotonicMs(): number {
		return this.#monotonicMs
	}

	/** Never fires before the call returns, also with no delay: only `advance` fires. */
	schedule(delayMs: number, fire: () => void, options?: { readonly background?: boolean }): Timer {
		if (Number.isNaN(delayMs)) throw new RangeError('Expected `delayMs` to be a number, got NaN')
		const timer: PendingTimer = {
			dueMs: this.#monotonicMs + Math.max(0, delayMs),
			order: this.#scheduled++,
			isBackground: options?.background ?? false,
			fire,
		}
		this.#timers.add(timer)
		return { cancel: () => void this.#timers.delete(timer) }
	}

	yieldToIo(): Promise<void> {
		return macrotask()
	}

	/** Moves both clocks on by `durationMs`. 0 fires what is due already. */
	async advance(durationMs: number): Promise<void> {
		const endMs = this.#monotonicMs + durationMs
		for (let fired = 0; fired < FIRED_MAX_PER_ADVANCE; fired++) {
			await settle()
			const next = this.#next()
			if (next === undefined || next.dueMs > endMs) {
				this.#monotonicMs = endMs
				return
			}
			this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
			this.#timers.delete(next)
			next.fire()
		}
		throw new Error(`${FIRED_MAX_PER_ADVANCE} timers fired within ${durationMs} ms: a loop without a pause`)
	}

	/** The wall clock jumps, forwards or backwards; spans do not notice. */
	jumpWallClock(byMs: number): void {
		this.#offsetMs += byMs
	}

	/** Resolves once at least `count` timers are pending: what is under test has reached its pause. */
	async untilTimers(count = 1): Promise<void> {
		for (let turn = 0; turn < WAIT_MAX_TURNS; turn++) {
			if (this.#timers.size >= count) return
			await macrotask()
		}
		throw new Error(`expected ${count} pending timers, got ${this.#timers.size}`)
	}

	#next(): PendingTimer | undefined {
		let next: PendingTimer | undefined
		for (const timer of this.#timers) {
			const isEarlier =
				next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)
			if (isEarlier) next = timer
		}
		return next
	}
}

export interface ManualHost extends Host {
	readonly clock: ManualClock
}

/** A host with a hand-driven clock and seeded randomness. */
export function manualHost(seed = 1): ManualHost {
	return { clock: new ManualClock(), random: seededRandom(seed) }
}

/** Lets promise chains and callbacks that wait come to rest (as far as they do not wait for threads or disks). */
export async function settle(): Promise<void> {
	for (let turn = 0; turn < 3; turn++) await macrotask()
}

function macrotask(): Promise<void> {
	return new Promise(resolve => setImmediate(resolve))
}
