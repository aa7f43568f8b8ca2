/**
 * The maintainer that lives with a writer, seen from the writer's thread.
 *
 * 1. It rests until there is work: a database that nothing needs to be done for has no second thread and sends nothing.
 * 2. Then it is started, in a thread of its own when the store can be opened again there, on this thread otherwise.
 * 3. It is told of commits, not more often than `HINT_INTERVAL_MS`, and only when they make work; and of what is still read.
 * 4. When its thread dies, or it fails, that is told, and another one starts after a pause, longer each time; it claims again.
 *
 * Nothing here keeps the process alive; after `close` nothing is left.
 */
import type { Timer } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { EditRecord } from '../manifest/edit.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { RequestSnapshot } from '../object-store/counting-store.ts'
import type { JobPoolStats } from '../runtime/job-pool.ts'
import { NO_MEMORY } from './maintainer-parts.ts'
import type { MaintainerStatus, MaintenanceHint } from './maintainer-status.ts'
import { Backoff } from './maintenance-backoff.ts'
import { type MaintenanceEvent, publishEvent, type ReportedError, reportedError } from './maintenance-event.ts'
import { isVacant, unservedPolicies } from './takeover.ts'
import type { DueJudge } from './trade.ts'
import { NO_TOTALS } from './work-totals.ts'

/** What is known of a maintainer that lives elsewhere than this thread. */
export interface MaintenanceReport extends MaintainerStatus {
	/** Of its connection to the store; undefined when it uses that of its database. */
	readonly requests: RequestSnapshot | undefined
	/** Undefined when it uses that of its database. */
	readonly pool: JobPoolStats | undefined
}

export type MaintenanceNotice =
	| { readonly kind: 'event'; readonly event: MaintenanceEvent; readonly report: MaintenanceReport }
	/** It has committed an edit. */
	| { readonly kind: 'edited'; readonly record: EditRecord }

/** What the writer's thread tells it. */
export interface ResidentDoor {
	hint(hint: MaintenanceHint): Promise<void>
	/** Ends what runs, in good order. */
	close(): Promise<void>
}

/** Starts one. `onDeath` is told once when it ends without having been asked to. */
export type StartResident = (start: {
	readonly claimAtOnce: boolean
	/** What was removed from here on is still read in this process. */
	readonly protectedPosition: LogPosition
	readonly onNotice: (notice: MaintenanceNotice) => void
	readonly onDeath: (error: unknown) => void
}) => Promise<ResidentDoor>

export interface ResidentOptions {
	readonly host: Host
	/** Names the database in events. */
	readonly storeUrl: string
	readonly writerEpoch: number
	/** What is due, of its policies. */
	readonly judge: DueJudge
	/** Reads the maintenance log: somebody elsewhere may have done what is due. */
	readonly refresh: () => Promise<void>
	/** What the writer knows, now. */
	readonly manifest: () => Manifest
	/** What was removed from here on is still read in this process. */
	readonly protectedPosition: () => LogPosition
	readonly onEdited: (record: EditRecord) => void
	readonly start: StartResident
}

/** As `stats` shows it. */
export interface ResidentStatus extends MaintenanceReport {
	/** Threads of it that died. */
	readonly deaths: number
}

/** Four times a second: what is due is due for seconds, and looking costs a millisecond with thousands of tables. */
const HINT_INTERVAL_MS = 250

export class ResidentMaintenance {
	readonly #options: ResidentOptions
	readonly #backoff = new Backoff()
	#door: ResidentDoor | undefined
	#starting: Promise<void> | undefined
	#timer: Timer | undefined
	#lookAtMs = Number.POSITIVE_INFINITY
	#lookedMs = Number.NEGATIVE_INFINITY
	#notBeforeMs = Number.NEGATIVE_INFINITY
	#hasCommits = false
	#told: LogPosition | undefined
	#report: MaintenanceReport | undefined
	#deaths = 0
	#generation = 0
	#closed: Promise<void> | undefined

	constructor(options: ResidentOptions) {
		this.#options = options
		this.#lookSoon()
	}

	/** The writer has committed. */
	noteCommit(): void {
		this.#hasCommits = true
		this.#lookSoon()
	}

	/** What is still read, or the state, has changed. */
	noteChange(): void {
		this.#lookSoon()
	}

	status(): ResidentStatus {
		const { judge, writerEpoch } = this.#options
		const { policies } = judge
		const { maintainer: note } = this.#options.manifest()
		const owner = isVacant(this.#options.manifest(), writerEpoch) ? undefined : note
		const resting: MaintenanceReport = {
			state: this.#closed === undefined ? 'resting' : 'closed',
			epoch: undefined,
			policies,
			owner,
			unserved: unservedPolicies(policies, owner),
			running: [],
			totals: NO_TOTALS,
			memory: NO_MEMORY,
			quarantined: [],
			timesFenced: 0,
			lastError: undefined,
			requests: undefined,
			pool: undefined,
		}
		return { ...(this.#report ?? resting), deaths: this.#deaths }
	}

	/** Ends the maintainer, in good order. Idempotent; never rejects. */
	close(): Promise<void> {
		this.#closed ??= this.#close()
		return this.#closed
	}

	async #close(): Promise<void> {
		this.#timer?.cancel()
		this.#timer = undefined
		await this.#starting
		const door = this.#door
		this.#door = undefined
		// What it could not do at the end, somebody does later; its thread is gone all the same.
		await door?.close().catch((error: unknown) => this.#trouble(reportedError(error), 0))
	}

	/** Looks now, or as soon as the interval allows. */
	#lookSoon(): void {
		if (this.#closed !== undefined) return
		this.#lookAt(Math.max(this.#lookedMs + HINT_INTERVAL_MS, this.#options.host.clock.monotonicMs()))
	}

	/** One timer: the earliest look that was asked for. */
	#lookAt(atMs: number): void {
		if (atMs >= this.#lookAtMs) return
		const { clock } = this.#options.host
		this.#timer?.cancel()
		this.#lookAtMs = atMs
		const delayMs = Math.max(0, atMs - clock.monotonicMs())
		this.#timer = clock.schedule(delayMs, () => this.#look(), { background: true })
	}

	#look(): void {
		const { host, judge, protectedPosition } = this.#options
		const nowMs = host.clock.monotonicMs()
		this.#timer = undefined
		this.#lookAtMs = Number.POSITIVE_INFINITY
		this.#lookedMs = nowMs
		if (this.#closed !== undefined) return
		const manifest = this.#options.manifest()
		const wallMs = host.clock.nowMs()
		const isWork = judge.hasWork(manifest, wallMs)
		if (this.#door === undefined) {
			if (isWork && nowMs >= this.#notBeforeMs) this.#starting ??= this.#start()
			else if (isWork) this.#lookAt(this.#notBeforeMs)
			else {
				const dueMs = judge.nextDueMs(manifest, wallMs)
				if (dueMs !== undefined) this.#lookAt(nowMs + Math.max(HINT_INTERVAL_MS, dueMs - wallMs))
			}
			return
		}
		const position = protectedPosition()
		const isMoved = this.#told === undefined || comparePositions(this.#told, position) !== 0
		const hasCommits = this.#hasCommits && isWork
		// Commits that it does not know of may become due with time.
		const dueMs = this.#hasCommits && !isWork ? judge.nextDueMs(manifest, wallMs) : undefined
		if (dueMs !== undefined) this.#lookAt(nowMs + Math.max(HINT_INTERVAL_MS, dueMs - wallMs))
		if (!hasCommits && !isMoved) return
		if (hasCommits) this.#hasCommits = false
		this.#told = position
		// A thread that died is told of by `onDeath`.
		this.#door.hint({ hasCommits, protectedPosition: position }).catch(() => undefined)
	}

	/** Never rejects. */
	async #start(): Promise<void> {
		const { start, writerEpoch, manifest, onEdited, refresh, judge, host, protectedPosition } = this.#options
		const generation = ++this.#generation
		const isCurrent = (): boolean => generation === this.#generation
		try {
			try {
				await refresh()
			} catch (error) {
				this.#pause(reportedError(error))
				return
			}
			if (this.#closed !== undefined || !judge.hasWork(manifest(), host.clock.nowMs())) return
			const door = await start({
				claimAtOnce: isVacant(manifest(), writerEpoch),
				protectedPosition: protectedPosition(),
				onNotice: notice => {
					if (!isCurrent()) return
					if (notice.kind === 'edited') onEdited(notice.record)
					else this.#heard(notice.event, notice.report)
				},
				onDeath: error => {
					if (isCurrent()) this.#died(error)
				},
			})
			// One that died while it was started was told of already.
			if (isCurrent()) {
				this.#door = door
				this.#told = undefined
				this.#lookSoon()
			} else await door.close().catch(() => undefined)
		} catch (error) {
			if (isCurrent()) this.#died(error)
		} finally {
			this.#starting = undefined
			if (this.#door === undefined) this.#lookSoon()
		}
	}

	#heard(event: MaintenanceEvent, report: MaintenanceReport): void {
		this.#report = report
		publishEvent(event, this.#options.storeUrl)
		if (event.channel !== 'isledb:maintenance' || event.kind !== 'state') return
		if (event.to === 'active') this.#backoff.reset()
		if (event.to === 'failed') void this.#replace(report.lastError ?? { code: undefined, message: event.why })
	}

	/** One that has failed does nothing any more: it is ended, and another one starts. */
	async #replace(failure: ReportedError): Promise<void> {
		const door = this.#door
		this.#door = undefined
		this.#generation++
		this.#pause(failure)
		await door?.close().catch(() => undefined)
	}

	#died(error: unknown): void {
		this.#door = undefined
		this.#generation++
		this.#deaths++
		if (this.#closed === undefined) this.#pause(reportedError(error))
	}

	/** Another one starts after a while, when there is work. */
	#pause(error: ReportedError): void {
		const { clock, random } = this.#options.host
		const restartInMs = this.#backoff.nextMs(random)
		this.#trouble(error, restartInMs)
		this.#notBeforeMs = clock.monotonicMs() + restartInMs
		this.#lookAt(this.#notBeforeMs)
	}

	#trouble(lastError: ReportedError, restartInMs: number): void {
		const report = this.status()
		this.#report = { ...report, state: 'resting', epoch: undefined, running: [], memory: NO_MEMORY, lastError }
		publishEvent(
			{ channel: 'isledb:maintenance', kind: 'ended', error: lastError, restartInMs },
			this.#options.storeUrl,
		)
	}
}
