/**
 * The maintenance role: one loop that watches, takes over, works, and is taken over.
 *
 * States: `waiting` (there is no database yet) → `standby` (follows both logs, owns nothing) → `active` (owns the
 * maintenance log: works) → `standby` again when it is fenced, or `fenced` for good when told so; `failed` for good on
 * what no retry mends; `closed`.
 *
 * The loop sleeps until something calls it (a hint, a work that ended, `runOnce`, `close`), or until time alone makes work.
 * A maintainer that lives with the writer is told of commits and never polls; one that is alone polls.
 *
 * Invariants: it owns at most one epoch at a time; what it started for an epoch has ended before it does anything else;
 * nothing of it keeps the process alive but requests under way and somebody who waits in `runOnce`, unless it was told to
 * (`keepsAlive`).
 */
import { IsleError, isIsleError } from '../errors.ts'
import { Ending } from '../host/ending.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ActiveSession } from './active-session.ts'
import { type FollowedLogs, NO_MEMORY } from './maintainer-parts.ts'
import type { MaintainerOptions, MaintainerStatus, MaintenanceHint } from './maintainer-status.ts'
import { Backoff, isTransientTrouble } from './maintenance-backoff.ts'
import { type MaintainerState, type ReportedError, reportedError } from './maintenance-event.ts'
import { RunDemand, type RunOnceOptions, type RunReport } from './run-demand.ts'
import { isVacant, judgeTakeover, unservedPolicies, type Watch } from './takeover.ts'
import { Wake } from './wake.ts'
import { addTotals, NO_TOTALS, type WorkTotals } from './work-totals.ts'

/** To finish a range of a merge and record it takes a second or two; a store that hangs may cost what was not recorded. */
const STOP_GRACE_MS = 10_000
/** Each time that it is fenced it waits twice as long before it takes over: 64 times at most. */
const FENCED_DOUBLINGS_MAX = 6

export class Maintainer {
	readonly #options: MaintainerOptions
	readonly #wake: Wake
	readonly #closing = new Ending()
	readonly #trouble = new Backoff()
	readonly #looping: Promise<void>
	#state: MaintainerState
	#session: ActiveSession | undefined
	#follower: FollowedLogs | undefined
	#watch: Watch | undefined
	#demand: RunDemand | undefined
	/** The last call of `runOnce` that has not ended. */
	#lastRun: Promise<RunReport> | undefined
	#protectedPosition: LogPosition | undefined
	#hasCommits = false
	#claimsAtOnce: boolean
	#polledMs = Number.NEGATIVE_INFINITY
	#past: WorkTotals = NO_TOTALS
	/** Of the session before this one. */
	#pastQuarantined: readonly string[] = []
	#lastOwnedEpoch = 0
	#timesFenced = 0
	#lastError: ReportedError | undefined
	#failure: unknown
	#closed: Promise<void> | undefined

	/** It begins at once. */
	constructor(options: MaintainerOptions) {
		this.#options = options
		this.#wake = new Wake(options.host.clock, options.keepsAlive)
		this.#claimsAtOnce = options.claimAtOnce
		this.#protectedPosition = options.protectedPosition
		this.#state = options.isContinuous ? 'standby' : 'resting'
		this.#looping = this.#loop()
	}

	/** The writer of this process has news. */
	hint(hint: MaintenanceHint): void {
		this.#protectedPosition = hint.protectedPosition
		this.#session?.protect(hint.protectedPosition)
		this.#hasCommits ||= hint.hasCommits
		this.#wake.call()
	}

	/**
	 * Takes over, works until nothing is due or the time is up, and leaves a checkpoint. What it did not finish is gone on with
	 * by whoever comes next.
	 *
	 * @throws ISLE_FENCED when it was taken over meanwhile; ISLE_CLOSED; what the store threw; the signal's reason, after
	 * what ran has saved how far it came.
	 */
	runOnce(options: RunOnceOptions = {}): Promise<RunReport> {
		const demand = new RunDemand(options, this.#options.host.clock, () => this.#wake.call())
		const begin = (): Promise<RunReport> => {
			if (this.#failure !== undefined) return Promise.reject(this.#failure)
			if (this.#closed !== undefined) return Promise.reject(closedError())
			demand.begin(this.#totals())
			this.#demand = demand
			// What was committed before the call counts, whether or not it has been looked at.
			this.#hasCommits = true
			this.#wake.call()
			return demand.result
		}
		const result = this.#lastRun === undefined ? begin() : this.#lastRun.then(begin, begin)
		const settle = (): void => {
			if (this.#lastRun === result) this.#lastRun = undefined
		}
		this.#lastRun = result
		result.then(settle, settle)
		return result
	}

	status(): MaintainerStatus {
		const { policies } = this.#options.trade
		const { manifest } = this
		const note = manifest?.maintainer
		const isOwned = manifest !== undefined && !isVacant(manifest, this.#options.writerEpoch)
		const owner = this.#session !== undefined || isOwned ? note : undefined
		return {
			state: this.#state,
			epoch: this.#session?.owner.epoch,
			policies,
			owner,
			unserved: unservedPolicies(policies, owner),
			running: this.#session?.running ?? [],
			totals: this.#totals(),
			memory: this.#session?.memory ?? NO_MEMORY,
			quarantined: this.#quarantined,
			timesFenced: this.#timesFenced,
			lastError: this.#lastError,
		}
	}

	/** Ends what runs, which saves how far it came, and leaves the log to others. Idempotent; never rejects. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	async #close(): Promise<void> {
		this.#closing.end(closedError())
		this.#wake.call()
		await this.#looping
		this.#demand?.fail(closedError())
		await this.#leave(closedError())
		this.#enter('closed', 'it was closed')
	}

	async #loop(): Promise<void> {
		while (!this.#closing.isOver && this.#failure === undefined && this.#state !== 'fenced') {
			let delayMs: number | undefined
			try {
				delayMs = this.#isAsked() ? await this.#step() : undefined
				this.#trouble.reset()
			} catch (error) {
				delayMs = await this.#recover(error)
			}
			// 0: the state has changed, look again.
			if (delayMs !== 0) await this.#wake.wait(delayMs)
		}
	}

	/** Answers when to look again, in milliseconds. */
	#step(): Promise<number | undefined> {
		return this.#session === undefined ? this.#watchOrClaim() : this.#work(this.#session)
	}

	#isAsked(): boolean {
		return this.#options.isContinuous || this.#demand !== undefined
	}

	async #watchOrClaim(): Promise<number | undefined> {
		const { trade, host, pollIntervalMs, takeoverAfterMs, writerEpoch } = this.#options
		const { signal } = this.#closing
		if (this.#claimsAtOnce) return await this.#claim('there was nobody')
		if (this.#follower === undefined) this.#follower = await trade.openFollower({ signal })
		else await this.#follower.poll({ signal })
		const { manifest } = this.#follower
		const { policies } = trade
		const fencedFactor = 2 ** Math.min(this.#timesFenced, FENCED_DOUBLINGS_MAX)
		const verdict = judgeTakeover({
			manifest,
			policies,
			writerEpoch,
			lastOwnedEpoch: this.#lastOwnedEpoch,
			monotonicMs: host.clock.monotonicMs(),
			takeoverAfterMs: takeoverAfterMs * fencedFactor,
			watch: this.#watch,
			hasWork: () => trade.hasWork(manifest, host.clock.nowMs()),
			isUndone: some => trade.isUndone(manifest, host.clock.nowMs(), some),
		})
		if (verdict.kind === 'wait-for-database') {
			this.#enter('waiting', 'there is no database')
			this.#endDemand('no-database')
			return this.#options.isContinuous ? pollIntervalMs : undefined
		}
		if (verdict.kind === 'claim') return await this.#claim(verdict.why)
		if (this.#demand?.takeover === 'now') return await this.#claim('it was asked to run')
		this.#enter('standby', isVacant(manifest, writerEpoch) ? 'nothing is due' : 'another maintainer is active')
		this.#watch = verdict.watch
		if (this.#demand !== undefined && (verdict.lookAgainInMs === undefined || this.#demand.isOver)) {
			this.#endDemand(isVacant(manifest, writerEpoch) ? 'done' : 'standby')
		}
		const waits = [verdict.lookAgainInMs, this.#demand?.leftMs]
		if (writerEpoch === 0) waits.push(pollIntervalMs)
		else if (isVacant(manifest, writerEpoch)) waits.push(this.#untilDueMs(manifest))
		return soonest(waits)
	}

	async #claim(why: string): Promise<number> {
		const { trade, host, places, largeBytes } = this.#options
		this.#claimsAtOnce = false
		const { owner, desk } = await trade.claim({ signal: this.#closing.signal })
		this.#follower = undefined
		this.#watch = undefined
		this.#lastOwnedEpoch = owner.epoch
		const session = new ActiveSession({
			owner,
			desk,
			host,
			places,
			largeBytes,
			onEvent: event => {
				if ('error' in event && event.error !== undefined) this.#lastError = event.error
				this.#options.onEvent(event)
			},
			onWake: () => this.#wake.call(),
		})
		this.#session = session
		this.#polledMs = host.clock.monotonicMs()
		this.#hasCommits = false
		if (this.#protectedPosition !== undefined) session.protect(this.#protectedPosition)
		this.#enter('active', why)
		return 0
	}

	async #work(session: ActiveSession): Promise<number | undefined> {
		const { host, writerEpoch, pollIntervalMs } = this.#options
		const isAlone = writerEpoch === 0
		const sincePollMs = host.clock.monotonicMs() - this.#polledMs
		if (this.#hasCommits || (isAlone && sincePollMs >= pollIntervalMs)) {
			this.#hasCommits = false
			this.#polledMs = host.clock.monotonicMs()
			const before = session.owner.manifest
			await session.owner.follow({ signal: this.#closing.signal })
			if (session.owner.manifest !== before) session.noteCommits()
		}
		const { isQuiet, lookAgainInMs } = session.step()
		const demand = this.#demand
		if (demand !== undefined && (isQuiet || demand.isOver)) {
			if (!this.#options.isContinuous) await this.#leave(new IsleError('ISLE_CLOSED', 'the time for maintenance is up'))
			else if (isQuiet) await session.tendLast(this.#closing.signal)
			this.#endDemand(isQuiet ? 'done' : 'deadline')
			return 0
		}
		const waits = [lookAgainInMs, demand?.leftMs]
		if (isAlone) waits.push(Math.max(0, this.#polledMs + pollIntervalMs - host.clock.monotonicMs()))
		return soonest(waits)
	}

	/** Ends the session in good order: a checkpoint, and a note that there is no owner any more. Never rejects. */
	async #leave(reason: unknown): Promise<void> {
		const session = this.#session
		if (session === undefined) return
		await session.stop(reason, STOP_GRACE_MS)
		try {
			if (session.owner.failure === undefined) {
				// A close that was asked for ends the waiting, not the good order: this is bounded by the retries of the store.
				await session.tendLast(new AbortController().signal)
				await session.owner.append([{ kind: 'maintainer', note: { policies: [], writerEpoch: 0 } }])
			}
		} catch (error) {
			this.#lastError = reportedError(error)
		}
		this.#drop(session)
		if (!this.#closing.isOver) this.#enter(this.#options.isContinuous ? 'standby' : 'resting', 'it has left')
	}

	#drop(session: ActiveSession): void {
		this.#past = this.#totals()
		this.#pastQuarantined = session.quarantined
		if (this.#session !== session) return
		this.#session = undefined
	}

	/** Answers how long to wait before the next attempt. */
	async #recover(error: unknown): Promise<number | undefined> {
		if (this.#closing.isOver) return undefined
		const session = this.#session
		const hasLost = session?.owner.failure !== undefined
		if (session !== undefined && hasLost) {
			await session.stop(error, 0)
			this.#drop(session)
		}
		this.#lastError = reportedError(error)
		if (isIsleError(error, 'ISLE_FENCED')) return this.#wasFenced(error)
		if (isTransientTrouble(error) || isIsleError(error, 'ISLE_INDETERMINATE')) {
			this.#demand?.fail(error)
			this.#demand = undefined
			if (hasLost) this.#enter('standby', 'its log has failed')
			const retryInMs = this.#trouble.nextMs(this.#options.host.random)
			this.#options.onEvent({ channel: 'isledb:maintenance', kind: 'trouble', error: reportedError(error), retryInMs })
			return retryInMs
		}
		this.#failure = error
		this.#demand?.fail(error)
		await session?.stop(error, 0)
		if (session !== undefined) this.#drop(session)
		this.#enter('failed', reportedError(error).message)
		return 0
	}

	#wasFenced(error: unknown): number | undefined {
		this.#timesFenced++
		this.#enter('fenced', 'another maintainer has taken over')
		this.#demand?.fail(error)
		this.#demand = undefined
		if (this.#options.onFenced === 'stop') {
			this.#failure = error
			return 0
		}
		this.#enter(this.#options.isContinuous ? 'standby' : 'resting', 'another maintainer has taken over')
		return 0
	}

	#endDemand(outcome: RunReport['outcome']): void {
		this.#demand?.end(outcome, this.#totals(), this.#quarantined)
		this.#demand = undefined
	}

	#untilDueMs(manifest: Manifest): number | undefined {
		const nowMs = this.#options.host.clock.nowMs()
		const dueMs = this.#options.trade.nextDueMs(manifest, nowMs)
		return dueMs === undefined ? undefined : Math.max(1, dueMs - nowMs)
	}

	/** What it knows of both logs; undefined before it has looked. */
	get manifest(): Manifest | undefined {
		return this.#session?.owner.manifest ?? this.#follower?.manifest
	}

	get #quarantined(): readonly string[] {
		return this.#session?.quarantined ?? this.#pastQuarantined
	}

	#totals(): WorkTotals {
		return addTotals(this.#past, this.#session?.totals ?? NO_TOTALS)
	}

	#enter(to: MaintainerState, why: string): void {
		const from = this.#state
		if (from === to || from === 'closed') return
		this.#state = to
		const epoch = this.#session?.owner.epoch
		this.#options.onEvent({ channel: 'isledb:maintenance', kind: 'state', from, to, why, epoch })
	}
}

function soonest(waits: readonly (number | undefined)[]): number | undefined {
	const known = waits.filter(wait => wait !== undefined)
	return known.length === 0 ? undefined : Math.min(...known)
}

function closedError(): IsleError {
	return new IsleError('ISLE_CLOSED', 'the maintainer is closed')
}
