/**
 * Lets go of the memory that a writer keeps for its next memtables and tables once it is not needed any more: after a heavy
 * load that is 160 MiB and more, of no use to a process that then rests or writes little.
 *
 * Every ten seconds each keeper drops what lay free all the time since the last look: so memory that comes and goes stays, and all of a
 * writer that rests is dropped within twenty. The timer is in the background, and there is none while little is kept.
 */
import type { Clock, Timer } from '../host/clock.ts'

export interface MemoryKeeper {
	/** Bytes that are kept free. */
	readonly bytes: number
	/** Drops what was not needed since the last call. */
	dropIdle(): void
}

/** Long beside what a memtable takes from its first put to its commit, short beside what a process lives. */
const LOOK_INTERVAL_MS = 10_000
/** 1 MiB: less is not worth a timer. */
const MIN_BYTES = 1_048_576

export class IdleMemory {
	readonly #clock: Clock
	readonly #keepers: readonly MemoryKeeper[]
	#timer: Timer | undefined

	constructor(clock: Clock, keepers: readonly MemoryKeeper[]) {
		this.#clock = clock
		this.#keepers = keepers
	}

	/** Bytes that are kept free. */
	get bytes(): number {
		return this.#keepers.reduce((sum, { bytes }) => sum + bytes, 0)
	}

	/** Memory came back. */
	watch(): void {
		if (this.#timer !== undefined || this.bytes < MIN_BYTES) return
		const look = (): void => {
			this.#timer = undefined
			for (const keeper of this.#keepers) keeper.dropIdle()
			this.watch()
		}
		this.#timer = this.#clock.schedule(LOOK_INTERVAL_MS, look, { background: true })
	}

	stop(): void {
		this.#timer?.cancel()
		this.#timer = undefined
	}
}
