/**
 * How new a view must be for a read of a process that only reads: at least as new as a position, or as a span of time.
 *
 * Invariants: a view that is new enough costs nothing, not even a promise; waiting ends with the signal of the read; the span
 * counts from the call of the read, so that one poll that begins after it is always enough.
 */
import { integerOption } from '../arguments.ts'
import { IsleError } from '../errors.ts'
import { sleep } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import { comparePositions } from '../log/log-position.ts'
import { decodePosition } from '../log/log-position-codec.ts'
import type { ManifestFollower } from '../manifest/manifest-follower.ts'
import type { RangeOptions } from './key-range.ts'
import type { ReadOptions } from './read-core.ts'

export interface FreshReadOptions extends ReadOptions {
	/** The read sees at least what stood before this position, which `flush` returned: the view is refreshed until it does. */
	readonly atLeast?: string | undefined
	/**
	 * The read sees everything that was committed longer than so many milliseconds before the call; where the view is older
	 * the log is polled first (one GET when nothing is new), and the read fails when the store does not answer. 0: everything
	 * that was committed before the call. Default: the option of the reader; Infinity: any view will do.
	 */
	readonly maxStalenessMs?: number | undefined
}

/** A range of which the newest state is wanted. */
export interface FreshRangeOptions<Key> extends RangeOptions<Key>, FreshReadOptions {}

/** `atLeast` asks this often for a commit that is not there yet, in milliseconds. */
const AT_LEAST_PAUSE_MS = 20
/** And gives up after this long: the position is then taken for one of another database. */
const AT_LEAST_BUDGET_MS = 30_000
/** A year: more is Infinity. */
const STALENESS_MAX_MS = 31_536_000_000

/** @throws TypeError, RangeError. */
export function stalenessOption(value: unknown, fallback: number): number {
	if (value === Number.POSITIVE_INFINITY) return value
	return integerOption('maxStalenessMs', value, fallback, 0, STALENESS_MAX_MS)
}

export class Freshness {
	readonly #follower: ManifestFollower
	readonly #host: Host
	readonly #maxStalenessMs: number

	constructor(follower: ManifestFollower, host: Host, maxStalenessMs: number) {
		this.#follower = follower
		this.#host = host
		this.#maxStalenessMs = maxStalenessMs
	}

	/**
	 * Undefined: the view is new enough for a read with `options`. Otherwise it is once the promise has resolved.
	 * @throws TypeError, RangeError for the options. Rejects with ISLE_UNAVAILABLE, what polling threw, the signal's reason.
	 */
	wait(options: FreshReadOptions | undefined): Promise<void> | undefined {
		const maxStalenessMs =
			options?.maxStalenessMs === undefined
				? this.#maxStalenessMs
				: stalenessOption(options.maxStalenessMs, this.#maxStalenessMs)
		const atLeast = options?.atLeast
		if (maxStalenessMs === Number.POSITIVE_INFINITY && atLeast === undefined) return undefined
		const position = atLeast === undefined ? undefined : decodePosition(atLeast, 'atLeast')
		const isReached = position === undefined || comparePositions(this.#follower.manifest.writerPosition, position) >= 0
		const { clock } = this.#host
		const sinceMs = clock.monotonicMs() - maxStalenessMs
		const sinceWallMs = clock.nowMs() - maxStalenessMs
		if (isReached && this.#isCaughtUp(sinceMs, sinceWallMs)) return undefined
		return this.#catchUp(sinceMs, sinceWallMs, options?.signal).then(() =>
			isReached ? undefined : this.#reach(atLeast ?? '', options?.signal),
		)
	}

	/** By both clocks: a host that slept has a monotonic one that may have stood still, a wall clock may be set back. */
	#isCaughtUp(sinceMs: number, sinceWallMs: number): boolean {
		const { monotonicMs, wallMs } = this.#follower.caughtUp
		return monotonicMs >= sinceMs && wallMs >= sinceWallMs
	}

	async #catchUp(sinceMs: number, sinceWallMs: number, signal: AbortSignal | undefined): Promise<void> {
		// A poll that ran already began too early perhaps; the next one begins after the call.
		for (let poll = 0; poll < 2 && !this.#isCaughtUp(sinceMs, sinceWallMs); poll++) {
			await this.#follower.poll({ signal })
		}
	}

	/** Reads on until the view stands at or beyond `atLeast`: what is committed a poll finds, which is cheaper than a refresh. */
	async #reach(atLeast: string, signal: AbortSignal | undefined): Promise<void> {
		const { clock } = this.#host
		const position = decodePosition(atLeast, 'atLeast')
		const startedMs = clock.monotonicMs()
		await this.#follower.poll({ signal })
		while (comparePositions(this.#follower.manifest.writerPosition, position) < 0) {
			const before = this.#follower.manifest
			await this.#follower.refresh({ signal })
			if (this.#follower.manifest !== before) continue
			if (clock.monotonicMs() - startedMs > AT_LEAST_BUDGET_MS) {
				throw new IsleError('ISLE_UNAVAILABLE', `the log does not reach the position: atLeast=\`${atLeast}\``)
			}
			await sleep(clock, AT_LEAST_PAUSE_MS, signal)
		}
	}
}
