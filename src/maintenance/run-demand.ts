/** One call of `runOnce`: until when it may work, and what it reports. */
import { integerOption } from '../arguments.ts'
import type { Clock, Timer } from '../host/clock.ts'
import { NO_TOTALS, subtractTotals, type WorkTotals } from './work-totals.ts'

export interface RunOnceOptions {
	/** It begins to stop in time to be done after this long, about; default: when nothing is due any more. */
	readonly deadlineMs?: number | undefined
	/** Ends it: what runs saves how far it came. */
	readonly signal?: AbortSignal | undefined
	/**
	 * 'now' (default) takes the log from whoever owns it. 'standby' does so only by the rules of a standby, and reports
	 * 'standby' when there was no reason to.
	 */
	readonly takeover?: 'now' | 'standby' | undefined
}

/** What one `runOnce` did. */
export interface RunReport extends WorkTotals {
	/** 'done': nothing is due any more. 'deadline': work is left, and kept as far as it came. */
	readonly outcome: 'done' | 'deadline' | 'standby' | 'no-database'
	readonly durationMs: number
	/** What is damaged or gone, as `MaintainerStatus.quarantined`: everything else was done without it. */
	readonly quarantined: readonly string[]
}

/** Of the time, what is kept for saving and the checkpoint: a fifth, 2 s at most. */
const RESERVE_PART = 0.2
const RESERVE_MAX_MS = 2000
const DEADLINE_MAX_MS = 7 * 86_400_000

export class RunDemand {
	readonly takeover: 'now' | 'standby'
	readonly result: Promise<RunReport>
	readonly #clock: Clock
	readonly #signal: AbortSignal | undefined
	readonly #deadlineMs: number | undefined
	readonly #onWake: () => void
	#resolve: (report: RunReport) => void = () => undefined
	#reject: (reason: unknown) => void = () => undefined
	#before: WorkTotals = NO_TOTALS
	#beganMs = 0
	/** Somebody waits for the result: it keeps the process alive. */
	#timer: Timer | undefined

	/** @throws TypeError, RangeError for options; the signal's reason. `onWake` is called when its time is up. */
	constructor(options: RunOnceOptions, clock: Clock, onWake: () => void) {
		const { deadlineMs, signal, takeover = 'now' } = options
		signal?.throwIfAborted()
		if (takeover !== 'now' && takeover !== 'standby') {
			throw new RangeError(`Expected \`takeover\` to be 'now' or 'standby', got ${String(takeover)}`)
		}
		this.takeover = takeover
		this.#deadlineMs =
			deadlineMs === undefined ? undefined : integerOption('deadlineMs', deadlineMs, 0, 1, DEADLINE_MAX_MS)
		this.#clock = clock
		this.#signal = signal
		this.#onWake = onWake
		this.result = new Promise((resolve, reject) => {
			this.#resolve = resolve
			this.#reject = reject
		})
		// Whoever asked is told; the loop is not.
		this.result.catch(() => undefined)
	}

	begin(before: WorkTotals): void {
		this.#before = before
		this.#beganMs = this.#clock.monotonicMs()
		this.#signal?.addEventListener('abort', this.#onWake, { once: true })
		this.#arm()
	}

	get isOver(): boolean {
		return this.#signal?.aborted === true || this.leftMs === 0
	}

	/** Until it has to stop; undefined: no matter when. */
	get leftMs(): number | undefined {
		if (this.#deadlineMs === undefined) return undefined
		const workMs = this.#deadlineMs - Math.min(RESERVE_MAX_MS, this.#deadlineMs * RESERVE_PART)
		return Math.max(0, this.#beganMs + workMs - this.#clock.monotonicMs())
	}

	end(outcome: RunReport['outcome'], totals: WorkTotals, quarantined: readonly string[]): void {
		this.#settle()
		if (this.#signal?.aborted) {
			this.#reject(this.#signal.reason)
			return
		}
		const durationMs = this.#clock.monotonicMs() - this.#beganMs
		this.#resolve({ ...subtractTotals(totals, this.#before), outcome, durationMs, quarantined })
	}

	fail(error: unknown): void {
		this.#settle()
		this.#reject(error)
	}

	/** A timer in the foreground as long as somebody waits: all others of the maintainer are in the background. */
	#arm(): void {
		this.#timer = this.#clock.schedule(KEEP_ALIVE_MS, () => this.#arm())
	}

	#settle(): void {
		this.#timer?.cancel()
		this.#signal?.removeEventListener('abort', this.#onWake)
	}
}

const KEEP_ALIVE_MS = 60_000
