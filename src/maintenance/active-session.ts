/**
 * One epoch of ownership: starts what the policies choose, several at once, and the housekeeping beside them.
 *
 * Steps, at each `step`: plan until no place is left or nothing more is due; tend when that is due; say when to look again.
 *
 * Invariants:
 * - Works that run at once touch disjoint tables.
 * - Small work never waits behind large: the last place is kept for small ones.
 * - A work that fails sets its tables aside for a while, longer each time; everything else goes on. A table that is damaged
 *   or gone is set aside for as long as this owner lives.
 * - A store that does not answer pauses everything, longer each time.
 * - After `stop` nothing runs any more.
 */
import type { Host } from '../host/host.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { OwnedLog, PlannedWork, WorkDesk, WorkOutcome } from './maintainer-parts.ts'
import { Backoff, isTransientTrouble } from './maintenance-backoff.ts'
import { type MaintenanceEvent, reportedError, type WorkEvent } from './maintenance-event.ts'
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

/** A work under way, as `stats` shows it. */
export interface RunningWork {
	readonly id: number
	readonly work: PlannedWork['kind']
	readonly why: string
	readonly tables: number
	readonly bytesTotal: number
	readonly bytesDone: number
	readonly startedMs: number
}

export interface SessionStep {
	/** Nothing runs and nothing is due. */
	readonly isQuiet: boolean
	/** When time alone changes that. */
	readonly lookAgainInMs: number | undefined
}

interface Running {
	readonly id: number
	readonly work: PlannedWork
	readonly startedMs: number
	bytesDone: number
	ended: Promise<void>
}

/** A policy that chose for ever would keep the thread. */
const PLANS_MAX_PER_STEP = 1000
/** Progress is told when this much more is done, in parts of the whole. */
const PROGRESS_PARTS = 20

export class ActiveSession {
	readonly #options: ActiveSessionOptions
	readonly #running = new Map<number, Running>()
	readonly #stopping = new AbortController()
	readonly #storeTrouble = new Backoff()
	readonly #setAside: SetAside
	#pausedUntilMs = Number.NEGATIVE_INFINITY
	#nextId = 1
	#totals: WorkTotals = NO_TOTALS
	#protectedPosition: LogPosition | undefined
	#tending: Promise<void> | undefined
	#isTendDue = true
	#tendAtMs: number | undefined

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

	get quarantined(): ReadonlySet<string> {
		return this.#setAside.quarantined
	}

	get running(): readonly RunningWork[] {
		return [...this.#running.values()].map(({ id, work, startedMs, bytesDone }) => ({
			id,
			work: work.kind,
			why: work.why,
			tables: work.tables.length,
			bytesTotal: work.bytes,
			bytesDone,
			startedMs,
		}))
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

	/** Ends what runs, which saves how far it came. Nothing runs when it resolves. Never rejects. */
	async stop(reason: unknown): Promise<void> {
		this.#stopping.abort(reason)
		await Promise.all([...this.#running.values()].map(running => running.ended))
		await this.#tending
	}

	/** After `stop`: a checkpoint of what there is. @throws what the store or the log throws. */
	async tendLast(signal: AbortSignal): Promise<void> {
		const { desk, host } = this.#options
		const nowMs = host.clock.nowMs()
		this.#count(await desk.tend({ nowMs, signal, protectedPosition: this.#protectedPosition, isLast: true }))
	}

	/** True when work is due that has no place. */
	#launch(nowMs: number, wallMs: number): boolean {
		const { desk, places, largeBytes } = this.#options
		const busy = new Set([...this.#running.values()].flatMap(({ work }) => [...work.tables]))
		for (const table of this.#setAside.restingAt(nowMs)) busy.add(table)
		const { quarantined } = this.#setAside
		let isWorkLeft = false
		for (let plans = 0; plans < PLANS_MAX_PER_STEP; plans++) {
			const work = desk.plan({ nowMs: wallMs, busy, quarantined })
			if (work === undefined) return isWorkLeft
			if (this.#running.size >= places) return true
			const isLarge = work.bytes >= largeBytes
			const largeRunning = [...this.#running.values()].filter(running => running.work.bytes >= largeBytes).length
			for (const table of work.tables) busy.add(table)
			if (isLarge && largeRunning >= places - 1) isWorkLeft = true
			else this.#start(work, nowMs)
		}
		return isWorkLeft
	}

	#start(work: PlannedWork, nowMs: number): void {
		const running: Running = { id: this.#nextId++, work, startedMs: nowMs, bytesDone: 0, ended: Promise.resolve() }
		this.#running.set(running.id, running)
		this.#tell(running, 'started', 0)
		running.ended = this.#run(running)
	}

	/** Never rejects. */
	async #run(running: Running): Promise<void> {
		const { work, id } = running
		try {
			const outcome = await work.run({
				signal: this.#stopping.signal,
				onProgress: bytesDone => this.#progress(running, bytesDone),
			})
			running.bytesDone = work.bytes
			this.#succeeded(running, outcome)
		} catch (error) {
			this.#failed(running, error)
		}
		this.#running.delete(id)
		this.#isTendDue = true
		this.#options.onWake()
	}

	#succeeded(running: Running, outcome: WorkOutcome): void {
		this.#storeTrouble.reset()
		this.#setAside.forget(running.work.tables)
		const { bytesRead, bytesWritten, tablesDropped } = outcome
		this.#totals = addTotals(this.#totals, { works: 1, bytesRead, bytesWritten, tablesDropped })
		this.#tell(running, 'finished', outcome.bytesWritten)
	}

	#failed(running: Running, error: unknown): void {
		const { owner, host } = this.#options
		if (this.#stopping.signal.aborted || owner.failure !== undefined) {
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
		const table = this.#setAside.put(running.work.tables, error, nowMs)
		if (table === undefined) return
		const event = { channel: 'isledb:quarantine', kind: 'quarantined', table } as const
		this.#options.onEvent({ ...event, error: reportedError(error) })
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
		const { checkpoints, objectsDeleted, bytesDeleted, nextDueMs } = outcome
		this.#tendAtMs = nextDueMs
		this.#totals = addTotals(this.#totals, { checkpoints, objectsDeleted, bytesDeleted })
		if (checkpoints + objectsDeleted === 0) return
		this.#options.onEvent({
			channel: 'isledb:collection',
			kind: 'tended',
			checkpoints,
			objectsDeleted,
			bytesDeleted,
		})
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
		const { work, id, bytesDone, startedMs } = running
		this.#options.onEvent({
			channel: work.kind === 'drop' ? 'isledb:retention' : 'isledb:compaction',
			kind,
			id,
			work: work.kind,
			why: work.why,
			tables: work.tables.length,
			bytesTotal: work.bytes,
			bytesDone,
			bytesWritten,
			durationMs: this.#options.host.clock.monotonicMs() - startedMs,
			error: error === undefined ? undefined : reportedError(error),
		})
	}
}
