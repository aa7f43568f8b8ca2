/**
 * The maintainers of a history: each works when told, may stand still at any of its requests while everybody else goes on,
 * may be killed there, and may find itself fenced when it goes on.
 */
import type { Host } from '../../src/host/host.ts'
import type { Random } from '../../src/host/random.ts'
import { createInlinePool, isIsleError, type JobPool, type ObjectStore } from '../../src/index.ts'
import type { Maintainer } from '../../src/maintenance/maintainer.ts'
import { createMaintainer } from '../../src/maintenance/maintenance-actor.ts'
import type { RunReport } from '../../src/maintenance/run-demand.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { VirtualProcess } from '../support/virtual-process.ts'
import { type PlantedBug, plant } from './history-bugs.ts'
import type { HistorySettings } from './history-settings.ts'

export interface MaintainersContext {
	readonly store: ObjectStore
	readonly clock: ManualClock
	readonly random: Random
	readonly settings: HistorySettings
	readonly bug: PlantedBug | undefined
	readonly newPool: ((host: Host) => JobPool) | undefined
	readonly fault: (what: string) => void
	/** Waits; a call that never answers is a fault. */
	readonly settle: <Value>(work: Promise<Value>) => Promise<Value>
}

interface Alive {
	readonly process: VirtualProcess
	readonly maintainer: Maintainer
	/** Of a `runOnce` that stands still. */
	running: Promise<void> | undefined
}

/** Requests until one stands still: a claim makes half of them, and a `runOnce` of a small database hardly more than all. */
const REQUESTS_MAX = 100
const CLAIM_REQUESTS = 45
const POLL_INTERVAL_MS = 600_000

export class Maintainers {
	readonly #context: MaintainersContext
	readonly #alive: (Alive | undefined)[] = []
	#started = 0
	#jobs = 0
	/** Whoever has worked last. */
	#lastSlot: number | undefined
	/** What all of them did. */
	works = 0
	deleted = 0
	fenced = 0
	killed = 0

	constructor(context: MaintainersContext) {
		this.#context = context
	}

	/** Number `slot` works until nothing is due; one that stood still goes on first. */
	async work(slot: number): Promise<void> {
		const one = this.#of(slot)
		one.process.allow(Number.POSITIVE_INFINITY)
		const { running } = one
		one.running = undefined
		if (running !== undefined) return await this.#context.settle(running)
		await this.#context.settle(this.#run(one))
	}

	/** Number `slot` begins to work, or goes on, and stands still after some requests. */
	async workAWhile(slot: number, requestsMin = 0): Promise<void> {
		const isLate = this.#lastSlot !== slot
		const one = this.#of(slot)
		// What it uploads after its epoch was looked through only it can delete: it is not to die between.
		if (isLate && one.running !== undefined) return await this.work(slot)
		one.process.allow(requestsMin + Math.floor(this.#context.random.next() * REQUESTS_MAX))
		const running = one.running ?? this.#run(one)
		one.running = (await one.process.untilStill(running)) ? undefined : running
		if (one.running === undefined) one.process.allow(Number.POSITIVE_INFINITY)
	}

	/** Number `slot` stands still, another one takes over, and it goes on. */
	async fence(slot: number): Promise<void> {
		await this.workAWhile(slot, CLAIM_REQUESTS)
		await this.work(1 - slot)
		await this.work(slot)
	}

	kill(slot: number): void {
		const one = this.#alive[slot]
		if (one === undefined) return
		if (one.running !== undefined) this.killed++
		// An upload that arrives when its epoch was looked through long ago is never found: a later delivery is not tried.
		const isLate = this.#lastSlot !== slot
		one.process.kill(isLate ? undefined : this.#context.random)
		this.#alive[slot] = undefined
	}

	async close(slot: number): Promise<void> {
		const one = this.#alive[slot]
		if (one === undefined) return
		one.process.allow(Number.POSITIVE_INFINITY)
		await this.#context.settle(one.running ?? Promise.resolve())
		await this.#context.settle(one.maintainer.close())
		this.#alive[slot] = undefined
	}

	/** A fresh one, whose clock is right, works on and on; `rest` passes the time meanwhile. */
	async while(rest: () => Promise<void>): Promise<void> {
		const one = this.#make(0, true)
		await rest()
		await this.#context.settle(one.maintainer.close())
	}

	/** Jobs are done at their own pace, whatever the clock is moved by: it is to stand still meanwhile. */
	async untilNoJobs(): Promise<void> {
		while (this.#jobs > 0) await this.#context.clock.yieldToIo()
	}

	#watched(pool: JobPool): JobPool {
		return {
			run: (name, make, options) => {
				this.#jobs++
				return pool.run(name, make, options).finally(() => this.#jobs--)
			},
			stats: () => pool.stats(),
			close: () => pool.close(),
		}
	}

	#of(slot: number): Alive {
		this.#lastSlot = slot
		const { skewsMs } = this.#context.settings
		const one = this.#alive[slot] ?? this.#make(skewsMs[slot % skewsMs.length] ?? 0)
		this.#alive[slot] = one
		return one
	}

	#make(skewMs: number, isContinuous = false): Alive {
		const { store, clock, settings, bug, newPool, fault } = this.#context
		const process = new VirtualProcess(store, clock, ++this.#started, skewMs)
		const pool = this.#watched(newPool?.(process.host) ?? createInlinePool(process.host))
		const ground = plant(bug, { store: process.store, pool, host: process.host })
		const plan = {
			settings: settings.maintenance,
			writerEpoch: 0,
			pollIntervalMs: POLL_INTERVAL_MS,
			takeoverAfterMs: 60_000,
			onFenced: 'standby',
			isContinuous,
			claimAtOnce: isContinuous,
			keepsAlive: true,
			protectedPosition: undefined,
		} as const
		const count = (works: number, objects: number): void => {
			this.works += works
			this.deleted += objects
		}
		const maintainer = createMaintainer(ground, plan, {
			onEvent(event) {
				if (event.kind === 'finished') count(1, 0)
				if (event.kind === 'tended') count(0, event.objectsDeleted)
				if (event.kind === 'failed') fault(`${event.work} (${event.why}) failed: ${event.error?.message}`)
				if (event.kind === 'quarantined') fault(`table ${event.table} is set aside: ${event.error.message}`)
				if (event.kind === 'trouble') fault(`maintenance meets trouble: ${event.error.message}`)
			},
			onEdited: () => undefined,
		})
		return { process, maintainer, running: undefined }
	}

	async #run({ maintainer, process }: Alive): Promise<void> {
		try {
			this.#judge(await maintainer.runOnce())
		} catch (error) {
			if (isIsleError(error, 'ISLE_FENCED')) this.fenced++
			else if (!process.isDead) this.#context.fault(`runOnce rejects: ${String(error)}`)
		}
	}

	#judge({ outcome }: RunReport): void {
		if (outcome !== 'done') this.#context.fault(`runOnce ends with ${outcome}`)
	}
}
