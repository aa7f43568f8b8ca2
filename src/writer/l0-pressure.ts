/**
 * Back-pressure of L0: a writer must not make tables faster than they are merged.
 *
 * L0 has a weight: a large table counts 1, a tiny one as little as 1/128, so that thousands of small durable commits are no
 * reason to wait while they are merged by the hundreds. Between `slowdownTables` and `stopTables` writers pay for what they
 * make: a share of a memtable costs its part of a second, times level / (1 − level), where the level goes from 0 to 1. The
 * pause begins at nothing, grows without a step and without bound, and so the rate settles where merging keeps up. From
 * `stopTables` on mutations wait until L0 has shrunk.
 *
 * What was accepted is also committed: at once while L0 is slow. While it is stopped, commits are held, or callers who
 * do not await would make L0 grow; memory then fills up to its own limit. `flush` and `close` let everything through, and
 * what has waited for `flushIntervalMs` goes as long as L0 is less than a quarter over its limit.
 *
 * Invariants: commits pass in order. Whoever waits is woken when L0 shrinks, when the writer fails and when it closes; waiting
 * depends on no commit of this writer. Nothing that was accepted is refused.
 */
import { invariant } from '../errors.ts'
import type { Clock, Timer } from '../host/clock.ts'
import { FULL_WEIGHT_BYTES, l0Weight } from '../manifest/l0-weight.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { newRoom, type Room } from './room.ts'
import type { WriterStall } from './stall.ts'

export interface L0Limits {
	readonly l0SlowdownTables: number
	readonly l0StopTables: number
	/** A memtable of this size makes a large table. */
	readonly memtableMaxBytes: number
}

/** Who asks for a commit: `flush` and `close`; the flush timer; a full memtable or a durable write. */
export type CommitReason = 'demanded' | 'timer' | 'written'

/** Tables in L0, and what they weigh beside `l0SlowdownTables` and `l0StopTables`. */
export interface L0Depth {
	readonly l0Tables: number
	readonly l0Weight: number
}

export interface L0Listener {
	/** Writers begin to wait in another way, or no more. */
	onChange(stall: L0Stall, l0: L0Depth): void
	/** Something waits until L0 has shrunk. */
	onAwaited(): void
}

export type L0Stall = 'none' | 'slow' | 'stopped'

/** 128 tiny tables weigh as one large table: 6,144 of them before writers slow down by default. */
const SMALLEST_WEIGHT = 1 / 128
/** What a large table costs at half way between the limits. At full speed one takes about 0.15 s. */
const PAUSE_UNIT_MS = 1000
/** Timers are good to a millisecond: what is owed adds up to this before anybody waits. */
const PAUSE_MIN_MS = 5
/** A longer one is taken in parts, so that it may be shorter when L0 has shrunk. */
const PAUSE_MAX_MS = 1000
const TIMER_CEILING = 1.25

export class L0Pressure {
	readonly #clock: Clock
	readonly #limits: L0Limits
	readonly #listener: L0Listener
	#failure: unknown
	#l0: readonly TableRef[]
	#weight: number
	#stall: L0Stall = 'none'
	#stallSinceMs = 0
	#hasEnded = false
	/** What was made and is not paid for, in large tables. */
	#debt = 0
	#lastEntryBytes: number | undefined
	#pause: { readonly room: Room; readonly timer: Timer } | undefined
	/** While stopped: who writes, and commits that are held. */
	#stopped: Room | undefined
	#gate: Room | undefined
	#turn: Promise<void> = Promise.resolve()
	#held = 0

	constructor(clock: Clock, limits: L0Limits, l0: readonly TableRef[], listener: L0Listener) {
		this.#clock = clock
		this.#limits = limits
		this.#listener = listener
		this.#weight = this.#weigh(l0)
		this.#l0 = l0
		this.#judge()
	}

	get stall(): L0Stall {
		return this.#stall
	}

	get depth(): L0Depth {
		return { l0Tables: this.#l0.length, l0Weight: this.#weight }
	}

	/** As `stats` shows it. */
	get stalled(): WriterStall | undefined {
		if (this.#stall === 'none') return undefined
		const forMs = this.#clock.monotonicMs() - this.#stallSinceMs
		return { cause: 'l0', isStopped: this.#stall === 'stopped', forMs, heldCommits: this.#held }
	}

	/** L0 is this now. Costs next to nothing when tables were only added. */
	changed(l0: readonly TableRef[]): void {
		const known = this.#l0
		const hasOnlyGrown = known.length === 0 || (l0[0] === known[0] && l0[known.length - 1] === known.at(-1))
		if (hasOnlyGrown) this.#weight += this.#weigh(l0.slice(known.length))
		else this.#weight = this.#weigh(l0)
		this.#l0 = l0
		this.#judge()
	}

	/** After a mutation, while `stall` is not 'none'. `entryBytes` are those of the active memtable. */
	charge(entryBytes: number): void {
		const before = this.#lastEntryBytes ?? entryBytes
		// Less than before: it is a new one.
		const bytes = entryBytes < before ? entryBytes : entryBytes - before
		this.#lastEntryBytes = entryBytes
		this.#debt += bytes / this.#limits.memtableMaxBytes
	}

	/** What whoever has written waits for now, if anything. */
	wait(): Promise<void> | undefined {
		if (this.#stall === 'stopped') {
			this.#stopped ??= newRoom()
			this.#listener.onAwaited()
			return this.#stopped.promise
		}
		if (this.#stall === 'none') return undefined
		if (this.#pause === undefined && this.#owedMs() >= PAUSE_MIN_MS) this.#beginPause()
		return this.#pause?.room.promise
	}

	/** Calls `begin`, in the order of calls: at once, or when L0 has room for another table. Rejects when the writer fails. */
	admit<Value>(reason: CommitReason, begin: () => Promise<Value>): Promise<Value> {
		// However small, a table is a table.
		if (this.#stall === 'slow') this.#debt += SMALLEST_WEIGHT
		const isHeld = reason !== 'demanded' && this.#isOverLimit(reason)
		if (!isHeld && this.#held === 0) return begin()
		if (isHeld) {
			this.#gate ??= newRoom()
			this.#listener.onAwaited()
		}
		const gate = isHeld ? this.#gate?.promise : undefined
		this.#held++
		const turn = this.#turn.then(() => gate)
		// What follows begins behind it, and what does not have to wait any more not before it.
		const begun = turn.then(
			() => {
				this.#held--
				if (this.#failure !== undefined) throw this.#failure
				return { committed: begin() }
			},
			(error: unknown) => {
				this.#held--
				throw error
			},
		)
		this.#turn = begun.then(
			() => undefined,
			() => undefined,
		)
		return begun.then(({ committed }) => committed)
	}

	/** What is held is committed, whatever L0 is: `flush` asks for it. */
	release(): void {
		this.#openGate()
	}

	/** Nobody waits any more: the writer closes, and what was accepted is committed. */
	end(): void {
		this.#hasEnded = true
		this.#judge()
		this.#openGate()
	}

	/** Whoever waits is told. */
	fail(error: unknown): void {
		this.#hasEnded = true
		this.#failure = error
		this.#pause?.timer.cancel()
		for (const room of [this.#pause?.room, this.#stopped, this.#gate]) room?.reject(error)
		this.#pause = undefined
		this.#stopped = undefined
		this.#gate = undefined
		this.#judge()
	}

	#weigh(tables: readonly TableRef[]): number {
		return l0Weight(tables, FULL_WEIGHT_BYTES, SMALLEST_WEIGHT)
	}

	#isOverLimit(reason: CommitReason): boolean {
		if (this.#stall !== 'stopped') return false
		return reason !== 'timer' || this.#weight >= TIMER_CEILING * this.#limits.l0StopTables
	}

	#judge(): void {
		const { l0SlowdownTables, l0StopTables } = this.#limits
		const isSlow = this.#weight >= l0SlowdownTables && !this.#hasEnded
		const stall = isSlow ? (this.#weight >= l0StopTables ? 'stopped' : 'slow') : 'none'
		if (stall === this.#stall) return
		this.#stall = stall
		this.#stallSinceMs = this.#clock.monotonicMs()
		if (stall !== 'stopped') {
			this.#stopped?.resolve()
			this.#stopped = undefined
			this.#openGate()
		}
		if (stall === 'none') {
			this.#debt = 0
			this.#lastEntryBytes = undefined
			this.#endPause()
		}
		this.#listener.onChange(stall, this.depth)
	}

	#openGate(): void {
		this.#gate?.resolve()
		this.#gate = undefined
	}

	/** What a large table costs now. */
	#priceMs(): number {
		const { l0SlowdownTables, l0StopTables } = this.#limits
		const level = (this.#weight - l0SlowdownTables) / (l0StopTables - l0SlowdownTables)
		invariant(level >= 0 && level < 1, `writers are slow at level ${level}`)
		return (PAUSE_UNIT_MS * level) / (1 - level)
	}

	#owedMs(): number {
		return this.#debt * this.#priceMs()
	}

	/** All who write meanwhile share it, and their debts add up for the next one. */
	#beginPause(): void {
		const priceMs = this.#priceMs()
		const delayMs = Math.min(PAUSE_MAX_MS, Math.ceil(this.#debt * priceMs))
		this.#debt = Math.max(0, this.#debt - delayMs / priceMs)
		this.#pause = { room: newRoom(), timer: this.#clock.schedule(delayMs, () => this.#endPause()) }
	}

	#endPause(): void {
		this.#pause?.timer.cancel()
		this.#pause?.room.resolve()
		this.#pause = undefined
	}
}
