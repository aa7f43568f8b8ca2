/**
 * One epoch of ownership: starts what the policies choose, several at once, and the housekeeping beside them.
 *
 * Steps, at each `step`: plan until no place is left or nothing more is due; tend when that is due; say when to look again.
 *
 * Invariants:
 * - Works that run at once touch disjoint tables.
 * - Small work never waits behind large: the last place is kept for small ones.
 * - A work that fails sets its tables aside for a while, longer each time; everything else goes on. A table or pack that is
 *   damaged or gone is set aside for an hour, and longer if it still is then.
 * - A store that does not answer pauses everything, longer each time.
 * - After `stop` nothing runs any more.
 */
import { Ending } from '../host/ending.ts'
import type { Host } from '../host/host.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { OwnedLog, PlannedWork, UnreadablePin, WorkDesk, WorkOutcome } from './maintainer-parts.ts'
import { Backoff, isTransientTrouble } from './maintenance-backoff.ts'
import { type MaintenanceEvent, type QuarantineNews, reportedError, type WorkEvent } from './maintenance-event.ts'
import { type Running, type RunningWork, shownRunning, workEvent } from './running-work.ts'
import { SetAside } from './set-aside.ts'
import { addTotals, NO_TOTALS, type WorkTotals } from './work-totals.ts'

export interface ActiveSessionOptions {
	readonly owner: OwnedLog
	readonly desk: WorkDesk
	readonly host: Host
	/** Works at once; at least 2, so that small work has a place. */
	readonly places: number
	/** Inputs from this size on are large. */
	readonly largeBytes: number
	readonly onEvent: (event: MaintenanceEvent) => void
	/** Something ended: `step` should be called. */
	readonly onWake: () => void
}

export interface SessionStep {
	/** Nothing runs and nothing is due. */
	readonly isQuiet: boolean
	/** When time alone changes that. */
	readonly lookAgainInMs: number | undefined
}

/** A policy that chose for ever would keep the thread. */
const PLANS_MAX_PER_STEP = 1000
/** Progress is told when this much more is done, in parts of the whole. */
const PROGRESS_PARTS = 20

export class ActiveSession {
	readonly #options: ActiveSessionOptions
	readonly #running = new Map<number, Running>()
	readonly #stopping = new Ending()
	readonly #storeTrouble = new Backoff()
	readonly #setAside: SetAside
	/** As the last housekeeping found them. */
	#unreadablePins: readonly string[] = []
	#pausedUntilMs = Number.NEGATIVE_INFINITY
	#nextId = 1
	#totals: WorkTotals = NO_TOTALS
	#protectedPosition: LogPosition | undefined
	#tending: Promise<void> | undefined
	#isTendDue = true
	#tendAtMs: number | undefined
	#isOver = false

	constructor(options: ActiveSessionOptions) {
		this.#options = options
		this.#setAside = new SetAside(options.host.random)
	}

	get owner(): OwnedLog {
		return this.#options.owner
	}

	get totals(): WorkTotals {
		return this.#totals
	}

	get memory(): WorkDesk['memory'] {
		return this.#options.desk.memory
	}

	/** What is damaged or gone: tables by id, packs and pins by object key. */
	get quarantined(): readonly string[] {
		return [...this.#setAside.damaged, ...this.#unreadablePins]
	}

	get running(): readonly RunningWork[] {
		return [...this.#running.values()].map(shownRunning)
	}

	/** What was removed from `position` on is still read. */
	protect(position: LogPosition): void {
		this.#protectedPosition = position
		if (this.owner.manifest.removed.length > 0) this.#isTendDue = true
	}

	/** Commits were folded in: the housekeeping looks, too. */
	noteCommits(): void {
		this.#isTendDue = true
	}

	/** @throws what ended the owner. */
	step(): SessionStep {
		const { owner, host } = this.#options
		if (owner.failure !== undefined) throw owner.failure
		if (this.#isOver) return { isQuiet: false, lookAgainInMs: undefined }
		const nowMs = host.clock.monotonicMs()
		const wallMs = host.clock.nowMs()
		if (nowMs < this.#pausedUntilMs) {
			return { isQuiet: false, lookAgainInMs: this.#pausedUntilMs - nowMs }
		}
		if (this.#tendAtMs !== undefined && wallMs >= this.#tendAtMs) this.#isTendDue = true
		const isWorkLeft = this.#launch(nowMs, wallMs)
		if (this.#isTendDue && this.#tending === undefined) this.#tending = this.#tend(false)
		const isQuiet = this.#running.size === 0 && this.#tending === undefined && !isWorkLeft
		return { isQuiet, lookAgainInMs: this.#lookAgainInMs(nowMs, wallMs) }
	}

	/**
	 * Ends what runs: it has `graceMs` to save how far it came. Nothing runs when it resolves, and nothing begins any more.
	 * Never rejects.
	 */
	async stop(reason: unknown, graceMs: number): Promise<void> {
		this.#isOver = true
		const ended = Promise.all([...this.#running.values()].map(running => running.ended))
		const abort = (): void => this.#stopping.end(reason)
		const timer = graceMs > 0 ? this.#options.host.clock.schedule(graceMs, abort) : undefined
		if (timer === undefined) abort()
		await ended
		timer?.cancel()
		abort()
		await this.#tending
	}

	/** After `stop`: a checkpoint of what there is. @throws what the store or the log throws. */
	async tendLast(signal: AbortSignal): Promise<void> {
		const { desk, host } = this.#options
		const nowMs = host.clock.nowMs()
		const dueMs = this.#tendAtMs
		this.#count(await desk.tend({ nowMs, signal, protectedPosition: this.#protectedPosition, isLast: true }))
		// It need not have collected, and then says nothing of what waits for time: whoever goes on afterwards still looks then.
		if (dueMs !== undefined) this.#tendAtMs = Math.min(dueMs, this.#tendAtMs ?? dueMs)
	}

	/** True when work is due that has no place. */
	#launch(nowMs: number, wallMs: number): boolean {
		const { desk, places, largeBytes } = this.#options
		const busy = new Set([...this.#running.values()].flatMap(({ work }) => [...work.tables]))
		for (const table of this.#setAside.restingAt(nowMs)) busy.add(table)
		const quarantined = this.#setAside.quarantinedAt(nowMs)
		for (let plans = 0; plans < PLANS_MAX_PER_STEP; plans++) {
			const largeRunning = [...this.#running.values()].filter(running => running.work.bytes >= largeBytes).length
			const isLargeAllowed = largeRunning < places - 1
			const work = desk.plan({ nowMs: wallMs, busy, quarantined, isLargeAllowed })
			// What is large and has no place is left, too: it is not quiet while such work runs.
			if (work === undefined) return !isLargeAllowed
			if (this.#running.size >= places) return true
			for (const table of work.tables) busy.add(table)
			this.#start(work, nowMs)
		}
		return true
	}

	#start(work: PlannedWork, nowMs: number): void {
		const running: Running = { id: this.#nextId++, work, startedMs: nowMs, bytesDone: 0, ended: Promise.resolve() }
		this.#running.set(running.id, running)
		this.#tell(running, 'started', 0)
		running.ended = this.#run(running)
	}

	/** Never rejects. */
	async #run(running: Running): Promise<void> {
		const { work } = running
		try {
			const outcome = await work.run({
				signal: this.#stopping.signal,
				isOver: () => this.#isOver,
				onProgress: bytesDone => this.#progress(running, bytesDone),
			})
			this.#running.delete(running.id)
			this.#ended(running, outcome)
		} catch (error) {
			this.#running.delete(running.id)
			this.#failed(running, error)
		}
		this.#isTendDue = true
		this.#options.onWake()
	}

	#ended(running: Running, outcome: WorkOutcome): void {
		const { bytesRead, bytesWritten, tablesDropped } = outcome
		const { kind, tables, bytes, reads } = running.work
		this.#storeTrouble.reset()
		const isDone = outcome.kind === 'done'
		this.#totals = addTotals(this.#totals, { works: isDone ? 1 : 0, bytesRead, bytesWritten, tablesDropped })
		if (isDone) running.bytesDone = bytes
		// What finds its tables gone is planned anew, from what is there; not at once, should it be wrong about that. What is
		// postponed has neither failed nor succeeded.
		if (outcome.kind === 'void') this.#setAside.put(tables, undefined, this.#options.host.clock.monotonicMs())
		else if (outcome.kind !== 'postponed') this.#setAside.forget(tables)
		this.#tell(running, isDone ? 'finished' : 'stopped', bytesWritten)
		if (!isDone) return
		for (const { table, key } of this.#setAside.release(reads)) this.#tellQuarantine({ kind: 'released', table, key })
		// What is dropped is nobody's any more.
		if (kind === 'drop') this.#setAside.release(tables)
	}

	#failed(running: Running, error: unknown): void {
		const { owner, host } = this.#options
		if (this.#isOver || owner.failure !== undefined) {
			this.#tell(running, 'stopped', 0)
			return
		}
		this.#totals = addTotals(this.#totals, { failures: 1 })
		this.#tell(running, 'failed', 0, error)
		const nowMs = host.clock.monotonicMs()
		if (isTransientTrouble(error)) {
			this.#pause(error, nowMs)
			return
		}
		const damaged = this.#setAside.put(running.work.tables, error, nowMs)
		if (damaged === undefined) return
		this.#tellQuarantine({ kind: 'quarantined', table: damaged.table, key: damaged.key, error: reportedError(error) })
	}

	#tellQuarantine(event: QuarantineNews): void {
		this.#options.onEvent({ channel: 'isledb:quarantine', ...event })
	}

	/** Tells of those that were readable when it looked last, and of those that are no more there unreadable. */
	#notePins(unreadable: readonly UnreadablePin[]): void {
		const before = this.#unreadablePins
		this.#unreadablePins = unreadable.map(pin => pin.key)
		for (const { key, error } of unreadable) {
			if (before.includes(key)) continue
			this.#tellQuarantine({ kind: 'quarantined', table: undefined, key, error: reportedError(error) })
		}
		for (const key of before) {
			if (!this.#unreadablePins.includes(key)) this.#tellQuarantine({ kind: 'released', table: undefined, key })
		}
	}

	/** Never rejects. */
	async #tend(isLast: boolean): Promise<void> {
		const { desk, host, owner } = this.#options
		this.#isTendDue = false
		this.#tendAtMs = undefined
		const { signal } = this.#stopping
		const nowMs = host.clock.nowMs()
		try {
			this.#count(await desk.tend({ nowMs, signal, protectedPosition: this.#protectedPosition, isLast }))
			this.#storeTrouble.reset()
		} catch (error) {
			if (!signal.aborted && owner.failure === undefined) {
				this.#isTendDue = true
				this.#pause(error, host.clock.monotonicMs())
			}
		}
		this.#tending = undefined
		this.#options.onWake()
	}

	#count(outcome: Awaited<ReturnType<WorkDesk['tend']>>): void {
		const { unreadablePins, nextDueMs, ...done } = outcome
		this.#notePins(unreadablePins)
		this.#tendAtMs = nextDueMs
		this.#totals = addTotals(this.#totals, done)
		if (done.checkpoints + done.objectsDeleted === 0) return
		this.#options.onEvent({ channel: 'isledb:collection', kind: 'tended', ...done })
	}

	#pause(error: unknown, nowMs: number): void {
		const retryInMs = this.#storeTrouble.nextMs(this.#options.host.random)
		this.#pausedUntilMs = nowMs + retryInMs
		this.#options.onEvent({ channel: 'isledb:maintenance', kind: 'trouble', error: reportedError(error), retryInMs })
	}

	#lookAgainInMs(nowMs: number, wallMs: number): number | undefined {
		const due: number[] = []
		const planMs = this.#options.desk.nextDueMs(wallMs)
		if (planMs !== undefined) due.push(planMs - wallMs)
		if (this.#tendAtMs !== undefined) due.push(this.#tendAtMs - wallMs)
		const againMs = this.#setAside.nextInMs(nowMs)
		if (againMs !== undefined) due.push(againMs)
		return due.length === 0 ? undefined : Math.max(1, Math.min(...due))
	}

	#progress(running: Running, bytesDone: number): void {
		const stepBytes = running.work.bytes / PROGRESS_PARTS
		const isNews = Math.floor(bytesDone / stepBytes) > Math.floor(running.bytesDone / stepBytes)
		running.bytesDone = bytesDone
		if (isNews) this.#tell(running, 'progress', 0)
	}

	#tell(running: Running, kind: WorkEvent['kind'], bytesWritten: number, error?: unknown): void {
		const durationMs = this.#options.host.clock.monotonicMs() - running.startedMs
		this.#options.onEvent(workEvent(running, { kind, bytesWritten, durationMs, error }))
	}
}
